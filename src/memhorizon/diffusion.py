"""What a diffusion network is asked for: noise, x0 or v; how these turn into each other; the loss per item.

A model is any callable `model(x, index)`: x [batch, *item], index int64 [batch] -> [batch, *item].
"""

import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from memhorizon.checks import check_choice
from memhorizon.devices import wide
from memhorizon.distributions import Distribution
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule

Prediction = Literal["noise", "x0", "v"]
Model = Callable[[Tensor, Tensor], Tensor]
_LEAVES = (Tensor, np.ndarray, str, bytes, int, float, complex, type(None))  # hold no network
_MOST_OBJECTS = 100_000  # looked through for networks: a fraction of a second
_METHODS = (FunctionType, staticmethod, classmethod, property)


def add_noise(
    x0: Float[Tensor, " batch *item"], noise: Float[Tensor, " batch *item"], alpha_bar: Tensor
) -> Float[Tensor, " batch *item"]:
    """Draw x_t given x_0: sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise.

    Source: [ho2020] Eq. (4)
    """
    a, b = _amplitudes(alpha_bar, x0)
    return a * x0 + b * noise


def target(
    x0: Float[Tensor, " batch *item"],
    noise: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Give what the model should put out: noise, x0, or v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0.

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return noise
    if prediction == "x0":
        return x0
    a, b = _amplitudes(alpha_bar, x0)
    return a * noise - b * x0


def to_x0(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[x_0 | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "x0":
        return output
    a, b = _amplitudes(alpha_bar, x_t)
    return (x_t - b * output) / a if prediction == "noise" else a * x_t - b * output


def to_noise(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[noise | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return output
    a, b = _amplitudes(alpha_bar, x_t)
    return (x_t - a * output) / b if prediction == "x0" else a * output + b * x_t


def to_score(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of the score, -E[noise | x_t]/sqrt(1 - alpha_bar).

    Source: [bonnaire2025] Eqs. (1)-(6)
    """
    return -to_noise(output, x_t, alpha_bar, prediction) / _amplitudes(alpha_bar, x_t)[1]


def item_losses(
    model: Model,
    x0: Float[Tensor, " batch *item"],
    index: Shaped[Tensor, " batch"],
    noise: Float[Tensor, " batch *item"],
    *,
    schedule: Schedule,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch"]:
    """Give each item's denoising loss: the squared error of the model's output, averaged over coordinates.

    Its mean over items is the loss that is trained; gradients flow, the mode of the model is the caller's.

    Raises:
        InputError: if the model's output is no tensor of the shape of its input.

    Source: [bonnaire2025] Eqs. (1)-(6), [ho2020] Eq. (14)
    """
    alpha_bar = schedule.at(index)  # [batch]
    output = predict(model, add_noise(x0, noise, alpha_bar), index)
    wanted = target(x0, noise, alpha_bar, prediction)
    return (output.to(x0.dtype) - wanted).square().flatten(1).mean(1)


def predict(model: Model, x: Float[Tensor, " batch *item"], index: Shaped[Tensor, " batch"]) -> Tensor:
    """Call the model and check the shape of what it gives.

    Raises:
        InputError: if the model cannot be called, or its output is no tensor of the shape of `x`.
    """
    if not callable(model):
        raise InputError(f"model: expected a callable model(x, index), got {type(model).__name__}")
    output = model(x, index)
    if not isinstance(output, Tensor):
        raise InputError(
            f"model: expected a tensor of the shape of its input, got {type(output).__name__}; return the "
            "tensor alone, for a network that gives more lambda x, index: net(x, index).sample, say"
        )
    if output.shape != x.shape:
        raise InputError(f"model: expected an output of shape {tuple(x.shape)}, got {tuple(output.shape)}")
    return output


def ideal_model(law: Distribution, schedule: Schedule, prediction: Prediction = "noise") -> Model:
    """Make the model that has learned `law` exactly; on `Empirical` it is the perfect memorizer.

    The law's coordinates are those of the items, flattened; it must be on their device (see its `to`), or
    on the CPU where that device has no 64 bits.
    """
    check_prediction(prediction)

    def model(x: Tensor, index: Tensor) -> Tensor:
        flat = wide(x.flatten(1))
        index = index.to(flat.device)
        output = torch.empty_like(flat)
        for level in index.unique().tolist():  # one closed form per noise level
            rows = index == level
            alpha_bar = schedule.at(torch.tensor([level], device=flat.device))
            x0 = law.denoiser(flat[rows], float(schedule.t(level)))
            noise = to_noise(x0, flat[rows], alpha_bar, "x0")
            output[rows] = target(x0, noise, alpha_bar, prediction)
        return output.reshape(x.shape).to(x)

    return model


@contextmanager
def eval_mode(model: Callable[..., Any]) -> Iterator[None]:
    """Hold a model's networks in eval mode without gradients, then give every submodule its own mode back.

    Every module that this thread calls inside is in eval mode while it runs, wherever the model keeps it: the
    networks that `networks` finds from the start, all others from their first call on (a hook on all modules;
    there is none where a network found is compiled by torch.compile, which would compile it in). A `forward`
    called past the module's `__call__` meets no hook, so of networks that were not found it is not reached.
    A model that moves torch's random numbers while it is measured nevertheless (dropout that is always on, or
    noise of its own) is warned about, since its numbers do not follow from the seeds.

    Warns:
        UserWarning: if the model drew random numbers.
    """
    switched: list[nn.Module] = []
    thread = threading.get_ident()

    def switch(module: nn.Module) -> None:
        training = [part for part in module.modules() if part.training]
        switched.extend(training)
        for part in training:
            part.training = False

    def before_forward(module: nn.Module, _: Any) -> None:
        if module.training and threading.get_ident() == thread:  # other threads may train
            switch(module)

    found = networks(model)
    compiled = any(hasattr(part, "_orig_mod") for network in found for part in network.modules())
    before = _random_states()
    hook = None if compiled else register_module_forward_pre_hook(before_forward)
    try:
        for network in found:
            switch(network)
        with torch.no_grad():
            yield
    finally:
        if hook is not None:
            hook.remove()
        for module in switched:
            module.training = True
    if any(not torch.equal(now, then) for now, then in zip(_random_states(), before, strict=True)):
        warnings.warn(
            "model: drew random numbers while it was measured, so the result does not follow from the seeds "
            "(dropout outside of eval mode, or noise of its own)",
            stacklevel=4,
        )


def device_of_model(model: Callable[..., Any]) -> torch.device:
    """Return where the first parameter of a model's networks lies; the CPU where there is none."""
    parameters = (parameter for network in networks(model) for parameter in network.parameters())
    first = next(parameters, None)
    return torch.device("cpu") if first is None else first.device


def networks(model: Callable[..., Any]) -> list[nn.Module]:
    """Find the networks that a callable may call, itself or behind what it refers to, the nearest first.

    Looked through are closures, defaults, `functools.partial`, bound methods, attributes and slots of
    objects, lists, tuples, sets, dictionaries, weak references, and of globals, modules and classes the names
    that the user's code mentions (not that of installed packages). A network that is only made during the
    call, or fetched by a name computed there, is not found, nor one behind more than 100,000 other objects.
    """
    found: list[nn.Module] = []
    seen: dict[int, Any] = {}  # by identity, kept alive so that no identity is used twice
    ahead: deque[Any] = deque([model])
    while ahead and len(seen) < _MOST_OBJECTS:
        thing = ahead.popleft()
        if id(thing) in seen or isinstance(thing, _LEAVES):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, nn.Module):
            found.append(thing)
        ahead.extend(_referred(thing))
    inside = {id(part) for network in found for part in network.modules() if part is not network}
    return [network for network in found if id(network) not in inside]


def _referred(thing: Any) -> Iterable[Any]:
    """What an object holds that it may call."""
    if isinstance(thing, dict | MappingProxyType):
        return list(thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget]
    if isinstance(thing, FunctionType):
        return _referred_by_function(thing)
    if isinstance(thing, weakref.ReferenceType):
        return [thing()]
    if isinstance(thing, type | ModuleType):
        return []  # only the names that code mentions, see _mentioned
    return _referred_by_object(thing)


def _referred_by_object(thing: Any) -> Iterator[Any]:
    """Its attributes and slots, and the methods of its class."""
    with suppress(AttributeError):
        yield from list(object.__getattribute__(thing, "__dict__").values())
    for kind in type(thing).__mro__:
        if _of_library(str(kind.__module__)):
            continue
        for member in list(vars(kind).values()):
            if isinstance(member, _METHODS):
                yield member
            elif isinstance(member, MemberDescriptorType):
                with suppress(AttributeError):  # a slot that is not set yet
                    yield member.__get__(thing, kind)


def _referred_by_function(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a cell whose variable is not set yet
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    if not _of_library(str(function.__globals__.get("__name__"))):
        yield from _mentioned(function.__code__, function.__globals__)


@cache
def _of_library(module: str) -> bool:
    """Whether code of this module is no code of the user's, so that no network of theirs is named in it."""
    root = module.split(".")[0]
    if root == "__main__":
        return False
    if root in ("memhorizon", *sys.stdlib_module_names):
        return True
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _mentioned(code: CodeType, scope: Mapping[str, Any]) -> Iterator[Any]:
    """The globals that code names, and what it names of modules and classes among them."""
    names = code.co_names
    holders = [scope[name] if name in scope else sys.modules.get(name) for name in names]
    while holders:
        holder = holders.pop()
        yield holder
        if isinstance(holder, type | ModuleType) and not _of_library(holder.__name__):
            holders += [vars(holder)[name] for name in names if name in vars(holder)]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _mentioned(inner, scope)


def _random_states() -> list[Tensor]:
    """The states of torch's global generators: of the CPU, and of the accelerators in use."""
    states = [torch.random.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states += torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states.append(torch.mps.get_rng_state())
    return states


def _amplitudes(alpha_bar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), rooted in alpha_bar's precision, then made like `like`."""
    alpha_bar = alpha_bar.reshape(-1, *(1,) * (like.ndim - 1))
    return alpha_bar.sqrt().to(like), (1 - alpha_bar).sqrt().to(like)


def check_prediction(prediction: Any) -> None:
    """Raise an InputError unless this is a known kind of prediction."""
    check_choice("prediction", prediction, get_args(Prediction))
