"""Many runs: finished ones are skipped, the others are done by an executor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np

from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, config_of, flat
from memhorizon.experiments.executors import Executor, Local, Outcome
from memhorizon.experiments.executors.base import reason
from memhorizon.experiments.executors.table import fail, queue
from memhorizon.experiments.hyperparameters import HYPERPARAMETERS, axes_of
from memhorizon.experiments.jobs import RunJob
from memhorizon.experiments.run import check_finished
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import check_path
from memhorizon.records.codec import encode, encode_object


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        step: updates done, of all runs together.
        steps: of how many.
        outcomes: how those that have ended did; in the last progress there is one for each run.
        runs: all of them, also those that failed.
    """

    step: int
    steps: int
    outcomes: tuple[Outcome, ...]
    runs: tuple[RunDir, ...]


def grid(base: Config, **axes: object) -> list[Config]:
    """All combinations of the axes around one configuration, each once.

    Args:
        base: what all share.
        **axes: values of `n_train`, `width`, `lr`, `batch_size` and so on, of any field by its dotted name,
            as in `**{"optimizer.name": ("sgd", "adam")}`, or of `seed`; a seed has other weights, noise
            and training items.

    Raises:
        InputError: if an axis is unknown or has no values, or the network or the optimizer of `base` does not
            have it; if two axes are the same; if a value does not fit.
    """
    check_kind("base", base, Config)
    listed = [_values(axis, values) for axis, values in axes.items()]
    points = [dict(zip(axes, values, strict=True)) for values in product(*listed)]
    return list(dict.fromkeys(_at(base, point) for point in points))


def _values(axis: str, values: object) -> list[object]:
    """The values of an axis, at least one."""
    found = values
    if isinstance(values, np.ndarray):
        found = list(values) if values.ndim else []
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise InputError(f"{axis}: expected a sequence of at least one value, got {values!r}")
    return list(found)


def _at(base: Config, point: Mapping[str, object]) -> Config:
    """The configuration of one point of the grid."""
    tree: Mapping[str, object] = encode_object(base)
    taken: dict[str, str] = {}
    for axis, value in point.items():
        for name in _fields_of(base, axis):
            if name in taken:
                raise InputError(f"axes: {axis!r} and {taken[name]!r} both set {name}")
            taken[name] = axis
            tree = _with(tree, name.split("."), encode(value))
    config = config_of(tree)
    if "optimizer.momentum" in taken and "momentum" not in axes_of(config):
        raise _unknown(config, taken["optimizer.momentum"])
    return config


def _with(tree: Mapping[str, object], path: Sequence[str], value: object) -> dict[str, object]:
    """The tree with another value at a place that it has."""
    name, *rest = path
    inner = tree[name]
    if rest:
        assert isinstance(inner, Mapping)
        value = _with(inner, rest, value)
    return {**tree, name: value}


def _fields_of(base: Config, axis: str) -> list[str]:
    """The dotted names of the fields that an axis sets."""
    if axis == "seed":
        if base.data.subset not in (0, base.seed):
            wanted = "0, for a seed chooses the training items too"
            raise InputError(f"data.subset: expected {wanted}, got {base.data.subset} beside the axis seed")
        return ["seed", "data.subset"]
    name = HYPERPARAMETERS[axis].dotted if axis in HYPERPARAMETERS else axis
    if name not in _names(base):
        raise _unknown(base, axis)
    return [name]


def _names(base: Config) -> list[str]:
    """The dotted names of all fields that can be an axis."""
    return [name for name in flat(base) if name != "model.kind"]


def _unknown(base: Config, axis: str) -> InputError:
    had = ", ".join([*axes_of(base), "seed"])
    dotted = ", ".join(name for name in _names(base) if "." in name)
    return InputError(
        f"axes: expected some of {had}, or of {dotted} (this network and optimizer), got {axis!r}"
    )


def execute_sweep(
    configs: Iterable[Config],
    *,
    root: Path | str = "runs",
    executor: Executor | None = None,
    device: str | None = None,
) -> Iterator[SweepProgress]:
    """Do (or finish) many runs, yielding progress; the longest begin first.

    The last progress has the outcome of every run that failed, with its reason, and comes before the error.

    Args:
        configs: one per run.
        root: the directories of the runs are made in here.
        executor: who does them; None for one process per core.
        device: where to compute; None for the accelerator of this machine, or where a run began.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same.
    """
    _check_executor(executor)
    planned = _planned(_listed(configs), root)
    began = planned.progress()
    left = []
    for run, config in planned.pairs:
        yield replace(began, outcomes=tuple(planned.outcomes))
        outcome = _begin(run, Path(root), config)
        if outcome is None:
            queue(run.path)
            left.append((config.train.n_updates, run.path))
        else:
            planned.outcomes.append(outcome)
    jobs = [RunJob(path) for _, path in sorted(left, key=lambda entry: -entry[0])]
    for outcome in (executor or Local())(jobs, device=device):
        if outcome is not None:
            planned.outcomes.append(outcome)
        yield planned.progress()
    yield planned.progress()
    planned.check()


def _check_executor(executor: object) -> None:
    if executor is not None and (isinstance(executor, type) or not callable(executor)):
        got = f"the class {executor.__name__}" if isinstance(executor, type) else type(executor).__name__
        raise InputError(f"executor: expected one such as Local() or Inline(), got {got}")


@dataclass(frozen=True)
class _Planned:
    """The runs of a sweep with their configurations, and how those that have ended did."""

    pairs: tuple[tuple[RunDir, Config], ...]
    outcomes: list[Outcome] = field(default_factory=list)

    def progress(self) -> SweepProgress:
        """How far all of them are."""
        runs = tuple(run for run, _ in self.pairs)
        lengths = [config.train.n_updates for _, config in self.pairs]
        done = [length if run.done else run.last_step() for run, length in zip(runs, lengths, strict=True)]
        return SweepProgress(sum(done), sum(lengths), tuple(self.outcomes), runs)

    def check(self) -> None:
        """Say which runs failed.

        Raises:
            InputError: if some did.
        """
        failed = [outcome for outcome in self.outcomes if outcome.error]
        if failed:
            lines = "\n".join(f"  {outcome.path.name}: {outcome.error}" for outcome in failed)
            count = f"{len(failed)} of {len(self.pairs)} runs failed"
            raise InputError(f"{count} (the others are done):\n{lines}")


def _planned(configs: Sequence[Config], root: Path | str) -> _Planned:
    """Where each run will be."""
    folder = check_path("root", root)
    return _Planned(tuple((RunDir(folder / config.key), config) for config in configs))


def _listed(configs: Iterable[Config]) -> list[Config]:
    if not isinstance(configs, Iterable):
        raise InputError(f"configs: expected several configurations, got {type(configs).__name__}")
    found = list(configs)
    if not found:
        raise InputError("configs: expected at least one configuration, got none")
    _check_each(found)
    return found


def _check_each(configs: Sequence[object]) -> None:
    for config in configs:
        if not isinstance(config, Config):
            raise InputError(f"configs: expected configurations, got {type(config).__name__} among them")


def _begin(run: RunDir, root: Path, config: Config) -> Outcome | None:
    """Make the directory of a run, or look at that of a finished one; None where there is something to do."""
    try:
        RunDir.create(root, config)
        if not run.done:
            return None
        check_finished(run)
    except Exception as error:  # noqa: BLE001  one damaged directory is the failure of one run
        fail(run.path, reason(error))
        return Outcome(run.path, reason(error))
    return Outcome(run.path)
