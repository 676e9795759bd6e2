"""The derivative J of a network's outputs by its trained weights, as products with vectors: no matrix.

Outputs at inputs x [m, *item] with levels index [m] are the rows of J, [m d, p]. The network need only be
twice differentiable in reverse mode: J v is the derivative of J^T u by u, along v.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from memhorizon.eval_mode import eval_mode

ROWS = 128  # inputs in one call of the network


def trained(network: nn.Module) -> list[nn.Parameter]:
    """The weights that are trained, in the order of the network."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def flattened(tensors: Sequence[Tensor]) -> Float[Tensor, " p"]:
    """All entries as one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def push(
    network: nn.Module,
    x: Float[Tensor, " m *item"],
    index: Int64[Tensor, " m"],
    change: Float[Tensor, " p"],
) -> tuple[Float[Tensor, " m *item"], Float[Tensor, " m *item"]]:
    """Give the outputs, and J v: how they move with a small change v of the weights."""
    weights = trained(network)
    parts = _like(change, weights)
    with _differentiable(network):
        pairs = [_along(network(*chunk), weights, parts) for chunk in _chunks(x, index)]
    return torch.cat([out for out, _ in pairs]), torch.cat([moved for _, moved in pairs])


def pull(
    network: nn.Module,
    x: Float[Tensor, " m *item"],
    index: Int64[Tensor, " m"],
    rows: Float[Tensor, " m *item"],
) -> Float[Tensor, " p"]:
    """Give J^T w, of w with the shape of the outputs."""
    weights = trained(network)
    total = flattened(weights).detach().zero_()
    with _differentiable(network):
        for part, chunk in zip(rows.split(ROWS), _chunks(x, index), strict=True):
            total += flattened(torch.autograd.grad(network(*chunk), weights, part))
    return total


def _along(out: Tensor, weights: Sequence[Tensor], parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The outputs, and their derivative along a change of the weights."""
    # J^T u is linear in u, so that its derivative by u along v is J v wherever u is
    u = torch.zeros_like(out, requires_grad=True)
    pulled = torch.autograd.grad(out, weights, u, create_graph=True)
    return out.detach(), torch.autograd.grad(pulled, u, parts)[0]


def _chunks(x: Tensor, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(x.split(ROWS), index.split(ROWS), strict=True)


def _like(vector: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """The entries of a vector in the shapes of the weights."""
    parts = vector.split([weight.numel() for weight in weights])
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]


@contextmanager
def _differentiable(network: nn.Module) -> Iterator[None]:
    """Eval mode, with gradients, and with the one attention that has a second derivative."""
    with eval_mode(network), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield
