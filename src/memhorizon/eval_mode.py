"""The networks behind a callable: found, held in eval mode while something is measured, on which device."""

import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

_LEAVES = (Tensor, np.ndarray, str, bytes, int, float, complex, type(None))  # hold no network
_MOST_OBJECTS = 100_000  # looked through for networks: a fraction of a second
_METHODS = (FunctionType, staticmethod, classmethod, property)
_WRAPPERS = (MethodType, staticmethod, classmethod, property, weakref.ReferenceType)


@contextmanager
def eval_mode(model: Callable[..., object]) -> Iterator[None]:
    """Hold a model's networks in eval mode without gradients, then give every submodule back the mode it had.

    Every module that this thread calls inside is in eval mode while it runs, wherever the model keeps it: the
    networks that `networks` finds from the start, all others from their first call on (a hook on all modules;
    there is none where a network found is compiled by torch.compile, which would compile it in). A `forward`
    called past the module's `__call__` meets no hook, so of networks that were not found it is not reached.
    A model that moves torch's random numbers while it is measured nevertheless (dropout that is always on, or
    noise that it adds) is warned about, since its numbers do not follow from the seeds.

    Warns:
        UserWarning: if the model drew random numbers.
    """
    found = networks(model)
    before = _random_states()
    switch = _Switch()
    hook = None if _are_compiled(found) else register_module_forward_pre_hook(switch.before_forward)
    try:
        for network in found:
            switch.to_eval(network)
        with torch.no_grad():
            yield
    finally:
        if hook is not None:
            hook.remove()
        switch.back()
    if _have_moved(before):
        warnings.warn(
            "model: drew random numbers while it was measured, so the result does not follow from the seeds "
            "(dropout outside of eval mode, or noise that it adds)",
            stacklevel=4,
        )


def _are_compiled(found: Sequence[nn.Module]) -> bool:
    """Whether torch.compile has made one of the networks, or a part of one."""
    return any(hasattr(part, "_orig_mod") for network in found for part in network.modules())


def _have_moved(before: Sequence[Tensor]) -> bool:
    """Whether random numbers were drawn since torch's generators had these states."""
    return any(not torch.equal(now, then) for now, then in zip(_random_states(), before, strict=True))


class _Switch:
    """Puts modules into eval mode, and those that it has switched back."""

    def __init__(self) -> None:
        self.switched: list[nn.Module] = []
        self.thread = threading.get_ident()

    def to_eval(self, module: nn.Module) -> None:
        training = [part for part in module.modules() if _trains(part)]
        self.switched.extend(training)
        for part in training:
            part.training = False

    def before_forward(self, module: nn.Module, _: object) -> None:
        if _trains(module) and threading.get_ident() == self.thread:  # other threads may train
            self.to_eval(module)

    def back(self) -> None:
        for module in self.switched:
            module.training = True


def _trains(module: nn.Module) -> bool:
    """Whether a module is in training mode; a frozen TorchScript module has no mode."""
    return getattr(module, "training", False)


def device_of_model(model: Callable[..., object]) -> torch.device:
    """Return where the first parameter of a model's networks lies; the CPU where there is none."""
    parameters = (parameter for network in networks(model) for parameter in network.parameters())
    first = next(parameters, None)
    return torch.device("cpu") if first is None else first.device


def networks(model: Callable[..., object]) -> list[nn.Module]:
    """Find the networks that a callable may call, itself or behind what it refers to, the nearest first.

    Looked through are closures, defaults, `functools.partial`, bound methods, attributes and slots of
    objects, lists, tuples, sets, dictionaries, weak references, and of globals, modules and classes the names
    that the user's code mentions (not that of installed packages). A network that is only made during the
    call, or fetched by a name computed there, is not found, nor one behind more than 100,000 other objects.
    """
    found = [thing for thing in _reachable(model) if isinstance(thing, nn.Module)]
    inside = _parts_of(found)
    return [network for network in found if id(network) not in inside]


def _parts_of(found: Sequence[nn.Module]) -> set[int]:
    """Identities of all modules inside of these."""
    return {id(part) for network in found for part in network.modules() if part is not network}


def _reachable(model: object) -> Iterator[object]:
    """What a callable refers to, directly or not, the nearest first; up to a number of objects."""
    seen: dict[int, object] = {}  # by identity, kept alive so that no identity is used twice
    ahead: deque[object] = deque([model])
    while ahead and len(seen) < _MOST_OBJECTS:
        thing = ahead.popleft()
        if id(thing) in seen or isinstance(thing, _LEAVES):
            continue
        seen[id(thing)] = thing
        yield thing
        ahead.extend(_referred(thing))


def _referred(thing: object) -> Iterable[object]:
    """What an object holds that it may call."""
    if isinstance(thing, type | ModuleType):
        return []  # only the names that code mentions, see _mentioned
    if isinstance(thing, dict | MappingProxyType):
        return list(thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if isinstance(thing, FunctionType):
        return _referred_by_function(thing)
    if isinstance(thing, (partial, *_WRAPPERS)):
        return _wrapped(thing)
    return _referred_by_object(thing)


def _wrapped(thing: object) -> list[object]:
    """What a partial, a method, a property or a weak reference refers to."""
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget]
    return [thing()] if isinstance(thing, weakref.ReferenceType) else []


def _referred_by_object(thing: object) -> Iterator[object]:
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


def _referred_by_function(function: FunctionType) -> Iterator[object]:
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
    return _is_installed(root)


def _is_installed(root: str) -> bool:
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _mentioned(code: CodeType, scope: Mapping[str, object]) -> Iterator[object]:
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
