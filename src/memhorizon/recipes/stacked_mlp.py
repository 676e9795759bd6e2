"""Many residual MLPs of one width in one network: small ones train a dozen at the price of two.

A step of a network of a few thousand parameters is all overhead. Stacked, each network has weights and
items and noise of its own and sees them alone; one item of the stack is one item of every network, and the
noise level of an item is that of all.
"""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn import functional as F  # noqa: N812

from memhorizon.datasets.split import Split, load_split
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.observe import SAMPLE_SEED
from memhorizon.experiments.run import environment, snapshot_steps
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.truth import kl_divergence
from memhorizon.networks.mlp import MLPConfig, ResidualMLP
from memhorizon.recipes.parts import Part
from memhorizon.samplers import sample
from memhorizon.training import TrainState, train


class StackedMLP(nn.Module):
    """Networks of one shape side by side, [batch, networks, dim] to the same.

    The loss of `train` is the mean over them; their gradients are multiplied by their number, so that each
    is trained on its own loss.
    """

    def __init__(self, nets: Sequence[ResidualMLP]):
        super().__init__()
        self.time, self.blocks, self.count = nets[0].time, len(nets[0].blocks), len(nets)
        self.weights = nn.ParameterDict()
        for name, stacked in stack_module_state(list(nets))[0].items():
            # matrices [networks, in, out], vectors [networks, 1, width]: as the batched products want them
            laid = stacked.detach().mT if stacked.ndim == 3 else stacked.detach().unsqueeze(1)
            parameter = nn.Parameter(laid.contiguous())
            parameter.register_hook(lambda gradient: gradient * self.count)
            self.weights[name.replace(".", "_")] = parameter

    def _linear(self, name: str, h: Tensor) -> Tensor:
        return torch.baddbmm(self.weights[f"{name}_bias"], h, self.weights[f"{name}_weight"])

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from x [batch, networks, dim] at the grid positions index [batch].

        Raises:
            InputError: if x has not one item for each network, or index does not fit.
        """
        if x.ndim != 3 or x.shape[1] != self.count:
            raise InputError(f"x: expected [batch, {self.count} networks, dim], got {tuple(x.shape)}")
        h, time = self._linear("inlet", x.transpose(0, 1)), self.time(index, len(x))
        for k in range(self.blocks):
            inner = F.gelu(self._linear(f"blocks_{k}_inner", h + time))
            h = h + self._linear(f"blocks_{k}_outer", inner)
            scale, shift = (self.weights[f"blocks_{k}_norm_{part}"] for part in ("weight", "bias"))
            h = F.layer_norm(h, h.shape[-1:]) * scale + shift
        return self._linear("outlet", h).transpose(0, 1)


def side_by_side(splits: Sequence[Split]) -> Tensor:
    """The items of every network, repeated to the number of the largest set. [entries, networks, dim]."""
    entries = max(len(split.train) for split in splits)
    repeated = [split.train.repeat(entries // len(split.train), 1) for split in splits]
    return torch.stack(repeated, 1)


def stack_of(configs: Sequence[Config], item_shape: tuple[int, ...]) -> StackedMLP:
    """The networks of these configurations, which are residual MLPs of one shape."""
    nets: list[ResidualMLP] = []
    for own in configs:
        assert isinstance(own.model, MLPConfig)
        nets.append(own.model.build(item_shape, seed=own.seed))
    return StackedMLP(nets)


def copies(points: Tensor, split: Split, threshold: float) -> int:
    """How many of the points copy a training item."""
    return int((gap_ratios(points, split.train) < threshold).sum())


def look(stack: StackedMLP, splits: Sequence[Split], own: Config) -> Iterator[dict[str, float]]:
    """Of every network: copies among its finite samples, their number, and KL from them to the law."""
    made = sample(
        stack,
        (len(splits), *splits[0].item_shape),
        schedule=own.schedule.build(),
        seeds=range(SAMPLE_SEED, SAMPLE_SEED + own.measure.n_samples),
        sampler=own.measure.sampler,
    )
    for points, split in zip(made.unbind(1), splits, strict=True):
        finite = points[points.isfinite().all(1)]
        assert split.truth is not None
        kl = kl_divergence(finite, split.truth)
        count = copies(finite, split, own.measure.threshold)
        yield {"count": count, "total": len(finite), "kl": kl.value, "kl_error": kl.standard_error}


def train_stack(configs: Sequence[Config]) -> Part:
    """Train all networks side by side, each on its own items, and look at them at every snapshot."""
    begun, own, splits = perf_counter(), configs[0], [load_split(each.data) for each in configs]
    stack, measure = stack_of(configs, splits[0].item_shape), own.measure
    state, schedule = TrainState.new(stack, own.optimizer), own.schedule.build()
    marks = snapshot_steps(measure.first, own.train.n_updates, measure.snapshots)
    curves: list[dict[str, Any]] = [
        {
            "n_train": each.data.n_train,
            "seed": each.seed,
            "null": [copies(split.holdout, split, measure.threshold), len(split.holdout)],
            **{name: [] for name in ("count", "total", "kl", "kl_error")},
        }
        for each, split in zip(configs, splits, strict=True)
    ]
    for step in train(state, side_by_side(splits), schedule=schedule, config=own.train, seed=own.seed):
        for curve, seen in zip(curves, look(stack, splits, own), strict=True) if step.step in marks else ():
            for name, value in seen.items():
                curve[name].append(value)
    return {
        "step": marks,
        "parameters": sum(parameter.numel() for parameter in stack.parameters()) // len(configs),
        "curves": curves,
        "seconds": perf_counter() - begun,
        "environment": environment() | {"device": "cpu"},  # smaller than what an accelerator is good for
    }
