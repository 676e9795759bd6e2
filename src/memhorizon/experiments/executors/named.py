"""Executors by name, with their options by name: for command lines."""

from collections.abc import Callable, Mapping
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
    known = [field.name for field in fields(kind)]
    for option in options:
        if option not in known:
            has = ", ".join(known) or "none"
            others = [other for other, of in KINDS.items() if option in {f.name for f in fields(of)}]
            where = f", which {' and '.join(others)} has" if others else ""
            raise InputError(f"{option}: expected an option of {name} ({has}), got another one{where}")
    made = kind(**options)
    check: Callable[[], None] | None = getattr(made, "check", None)
    if check is not None:
        check()
    return made
