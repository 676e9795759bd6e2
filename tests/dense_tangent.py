"""The derivative of a small network's outputs by its weights as a matrix, by torch.func."""

import torch
from torch.func import functional_call, jacrev


def dense(network, x, index):
    """J, [m d, p]."""
    weights = {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}
    blocks = jacrev(lambda named: functional_call(network, named, (x, index)).flatten())(weights)
    return torch.cat([blocks[name].flatten(1) for name in weights], 1)
