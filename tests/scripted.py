"""TorchScript files of small networks, as users write them."""

import warnings

import torch
from torch import nn


def save_scripted(net, path, example=None, *, freeze=False):
    """Write a network as TorchScript: compiled, or traced along an example; frozen if wished."""
    with warnings.catch_warnings():
        # torch advises torch.export, by the one warning or the other
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        module = torch.jit.script(net) if example is None else torch.jit.trace(net, example)
        if freeze:
            module = torch.jit.freeze(module.eval())
        module.save(str(path))
    return path


class Sums(nn.Module):
    """Sums of the rows of a picture times a weight, and dropout that is on in training."""

    def __init__(self, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0], dtype=dtype))
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.weight * x.sum(3).flatten(1))


class Wrong(nn.Module):
    """What is no vector for each item."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.kind == "map":
            return x
        if self.kind == "one":
            return x.flatten(1).sum(1)
        if self.kind == "fewer":
            return x.flatten(1)[1:]
        if self.kind == "nan":
            return x.flatten(1) / torch.zeros(1)
        return x.flatten(1) @ torch.zeros(5, 3)


class Pair(nn.Module):
    """Two tensors."""

    def forward(self, x):
        return x.flatten(1), x
