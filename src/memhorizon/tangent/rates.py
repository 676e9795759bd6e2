"""The learning rate of each weight, as an optimizer has it at this step."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.tangent.products import flattened


def learning_rates(optimizer: torch.optim.Optimizer) -> Float[Tensor, " p"]:
    """Give what a steady gradient of 1 moves each weight by in one step, in the order of the optimizer.

    SGD: lr/(1 - momentum). Adam: lr/(sqrt(v) + eps), v its second moment without the bias of its start: the
    rates of this step, which move on with v.

    Raises:
        InputError: if it is neither SGD nor Adam, has done no step, or decays the weights.

    Source: [kingma2015] Alg. 1
    """
    parts = [
        _rate(optimizer, group, weight) for group in optimizer.param_groups for weight in group["params"]
    ]
    return flattened(parts)


def _rate(optimizer: torch.optim.Optimizer, group: Mapping[str, object], weight: Tensor) -> Tensor:
    _check_no_decay(group)
    if isinstance(optimizer, torch.optim.SGD):
        rate = _number(group, "lr") / (1 - _number(group, "momentum"))
        return torch.full_like(weight.detach(), rate)
    if isinstance(optimizer, torch.optim.Adam):
        return _adam_rate(group, optimizer.state[weight])
    raise InputError(f"optimizer: expected SGD or Adam, got {type(optimizer).__name__}")


def _check_no_decay(group: Mapping[str, object]) -> None:
    decay = _number(group, "weight_decay")
    if decay:
        raise InputError(f"optimizer: expected one without weight decay, got {decay:g}")


def _adam_rate(group: Mapping[str, object], state: Mapping[str, Tensor]) -> Tensor:
    """lr/(sqrt(v/(1 - beta_2^step)) + eps)."""
    if not state:
        raise InputError("optimizer: expected one that has done a step, got a new one")
    betas = group["betas"]
    assert isinstance(betas, tuple | list)
    bias = 1 - float(betas[1]) ** float(state["step"])
    root = state["exp_avg_sq"].div(bias).sqrt()
    return _number(group, "lr") / (root + _number(group, "eps"))


def _number(group: Mapping[str, object], name: str) -> float:
    value = group[name]
    assert isinstance(value, int | float)
    return float(value)
