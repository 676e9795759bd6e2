"""A network made linear in its weights: it is trained, sampled and measured like any other."""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from memhorizon.checks import check_kind
from memhorizon.tangent.products import flattened, pull, push, trained
from memhorizon.training import OptimizerConfig, TrainState


class TangentNetwork(nn.Module):
    """The tangent of a network at its weights: f_0(x) + J(x) change, J the derivative by the trained weights.

    Its one parameter is the change of the weights, zero at first. The network is copied, and asked in eval
    mode.

    Attributes:
        change: of the weights, in the order of the network. [p]

    Source: [lee2019] Sec. 2.2
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self._held = (deepcopy(network),)  # in a tuple: its weights are none of this module
        self.change = nn.Parameter(torch.zeros_like(flattened(trained(network)).detach()))

    def forward(self, x: Float[Tensor, " batch *item"], index: Tensor) -> Float[Tensor, " batch *item"]:
        """Predict from x at the levels `index`."""
        out: Tensor = _Linear.apply(self.change, self._held[0], x.to(self.change.dtype), index)
        return out.to(x.dtype)


class _Linear(torch.autograd.Function):
    """f_0 + J change, which autograd would differentiate by the change at twice the cost."""

    @staticmethod
    def forward(ctx: FunctionCtx, change: Tensor, network: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        out, moved = push(network, x, index, change.detach())
        ctx.place = (network, x, index)  # pyright: ignore[reportAttributeAccessIssue]
        return out + moved

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        network, x, index = ctx.place  # pyright: ignore[reportAttributeAccessIssue]
        return pull(network, x, index, grads[0]), None, None, None


def tangent_state(state: TrainState, optimizer: OptimizerConfig) -> TrainState:
    """Give a training that resumes from here with the tangent of the network in place of the network.

    The optimizer keeps its moments, and `train` draws the same batches and noise: only the network differs.

    Args:
        state: of the training; it is not changed. A moving average of its weights is not taken over.
        optimizer: its optimizer.

    Raises:
        InputError: if `state` is no TrainState.
    """
    check_kind("state", state, TrainState)
    linear = TrainState.new(TangentNetwork(state.model), optimizer)
    slots = list(state.optimizer.state_dict()["state"].values())
    if slots:
        kept = linear.optimizer.state_dict()
        linear.optimizer.load_state_dict({**kept, "state": {0: _joined(slots)}})
    linear.step = state.step
    return linear


def _joined(slots: list[dict[str, Tensor | None]]) -> dict[str, Tensor]:
    """The moments of all weights as those of one vector; the number of steps is that of the first."""
    found: dict[str, Tensor] = {}
    for name, first in slots[0].items():
        if first is not None:
            parts = [torch.as_tensor(slot[name]) for slot in slots]
            found[name] = parts[0].clone() if first.ndim == 0 else flattened(parts)
    return found
