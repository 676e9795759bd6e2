"""Which figures a record of a sweep, an audit or a training yields; those of a table belong to its recipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memhorizon.figures.audit import p_values, statistics
from memhorizon.figures.collapse import collapse
from memhorizon.figures.contrasts import contrasts
from memhorizon.figures.forecast import forecast
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.monitor import course
from memhorizon.figures.monitor_signals import Signals, evidence
from memhorizon.figures.phase import phase
from memhorizon.figures.picture import Picture
from memhorizon.figures.reading import TIMESCALE_NAMES, number, sweep_of, timescale, varied
from memhorizon.figures.samples import samples, shows_images
from memhorizon.figures.sheets import sheets
from memhorizon.figures.timescales import timescales
from memhorizon.figures.window import window
from memhorizon.records.audit import AuditRecord
from memhorizon.records.forecast import ForecastRecord
from memhorizon.records.monitor import MonitorRecord
from memhorizon.records.sweep import SweepRecord

if TYPE_CHECKING:  # it imports torch
    from memhorizon.experiments.run_directory import RunDir


@dataclass(frozen=True)
class SweepFigure:
    """A figure of a sweep.

    Attributes:
        applies: whether a record holds what it shows.
        make: makes it.
    """

    applies: Callable[[SweepRecord], bool]
    make: Callable[[SweepRecord], Picture]


def _measured(record: SweepRecord) -> set[str]:
    return {name for run in record.runs for name in run.curves}


def _has_curves(record: SweepRecord) -> bool:
    return not _measured(record).isdisjoint({record.rules.curve, "memorized"})


def has_window(record: SweepRecord) -> bool:
    """Whether both curves are there and the quality is that of samples."""
    return record.rules.is_of_samples and _measured(record) >= {record.rules.curve, "memorized"}


def _collapses(record: SweepRecord) -> bool:
    return "n_train" in varied(record) and "memorized" in _measured(record)


def _has_laws(record: SweepRecord) -> bool:
    timed = any(timescale(run, name).known for run in record.runs for name in TIMESCALE_NAMES)
    return bool(varied(record)) and timed


def _has_losses(record: SweepRecord) -> bool:
    return any(name.startswith("train@") for name in _measured(record))


def _has_phases(record: SweepRecord) -> bool:
    grid = {"n_train", "width"} <= set(varied(record))
    return grid and all(number(run, "width") for run in record.runs)


SWEEP_FIGURES = {
    "window": SweepFigure(has_window, window),
    "timescales": SweepFigure(_has_curves, timescales),
    "collapse": SweepFigure(_collapses, collapse),
    "laws": SweepFigure(_has_laws, laws),
    "contrasts": SweepFigure(lambda record: bool(record.contrasts), contrasts),
    "losses": SweepFigure(_has_losses, losses),
    "phase": SweepFigure(_has_phases, phase),
}


def of(record: object, runs: Sequence["RunDir"] = ()) -> dict[str, Picture]:
    """All figures of a sweep, an audit, a forecast or a monitored training by name.

    Args:
        record: what was measured.
        runs: run directories, for its generated images; without them that figure is left out.

    Raises:
        InputError: if it is no record of these.
    """
    if isinstance(record, AuditRecord):
        return {"statistics": statistics(record), "p-values": p_values(record)}
    if isinstance(record, ForecastRecord):
        return {"forecast": forecast(record.forecast)}
    if isinstance(record, MonitorRecord):
        return _of_monitor(record)
    sweep = sweep_of(record)
    found = {name: figure.make(sweep) for name, figure in SWEEP_FIGURES.items() if figure.applies(sweep)}
    if any(shows_images(run) for run in runs):
        found["samples"] = samples(sweep, runs)
        if has_window(sweep):
            found["sheets"] = sheets(sweep, runs)
    return found


def _of_monitor(record: MonitorRecord) -> dict[str, Picture]:
    """The figures of a monitored training: those whose numbers were measured."""
    found: dict[str, Picture] = {"course": course(record)}
    known = Signals(record)
    if known.shown() or known.quantiles():
        found["signals"] = known
    if any(look.copies is not None for look in record.looks):
        found["evidence"] = evidence(record)
    return found
