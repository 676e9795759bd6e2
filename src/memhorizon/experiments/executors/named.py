"""Executors by name, with their options by name: for command lines."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Literal, get_args

from memhorizon.checks import check_choice
from memhorizon.errors import InputError
from memhorizon.experiments.executors.base import Executor
from memhorizon.experiments.executors.inline import Inline
from memhorizon.experiments.executors.local import Local
from memhorizon.experiments.executors.ray import Ray
from memhorizon.experiments.executors.slurm import Slurm

ExecutorName = Literal["local", "inline", "slurm", "ray"]
KINDS: Mapping[ExecutorName, type] = {"local": Local, "inline": Inline, "slurm": Slurm, "ray": Ray}


def executor_of(name: str, options: Mapping[str, object]) -> Executor:
    """The executor of a name, ready to begin.

    Args:
        name: "local", "inline", "slurm" or "ray".
        options: fields of its class.

    Raises:
        InputError: if there is none of this name, it has no such option, or it cannot be used here.
        MissingExtraError: if the package of its engine is not installed.
    """
    kind = KINDS[check_choice("executor", name, get_args(ExecutorName))]
    _check_options(options, name, kind)
    made = kind(**options)
    check: Callable[[], None] | None = getattr(made, "check", None)
    if check is not None:
        check()
    return made


def _check_options(options: Iterable[str], name: str, kind: type) -> None:
    known = _options_of(kind)
    for option in options:
        if option not in known:
            has = ", ".join(known) or "none"
            where = _elsewhere(option)
            raise InputError(f"{option}: expected an option of {name} ({has}), got another one{where}")


def _elsewhere(option: str) -> str:
    """Which other executors have an option, in words."""
    others = [name for name, kind in KINDS.items() if option in _options_of(kind)]
    return f", which {' and '.join(others)} has" if others else ""


def _options_of(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]
