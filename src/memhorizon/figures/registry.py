"""Which figures a record yields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.beyond import augmentation, guidance, halves
from memhorizon.figures.collapse import collapse
from memhorizon.figures.contrasts import contrasts
from memhorizon.figures.duplicates import duplicates
from memhorizon.figures.exponents import exponents
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.noise_levels import noise_levels
from memhorizon.figures.phase import phase
from memhorizon.figures.picture import Picture
from memhorizon.figures.rates import rates
from memhorizon.figures.reading import TIMESCALE_NAMES, number, sweep_of, timescale, varied
from memhorizon.figures.records import reading
from memhorizon.figures.reruns import reruns
from memhorizon.figures.samples import samples, shows_images
from memhorizon.figures.threshold import threshold
from memhorizon.figures.timescales import timescales
from memhorizon.records.sweep import SweepRecord

TABLES: dict[str, dict[str, Callable[[Any], Picture]]] = {
    "noise_levels": {"lead": noise_levels},
    "augmentation_digits": {"effective": augmentation},
    "exponents": {"levels": exponents},
    "halves_digits": {"bias": halves},
    "guidance_mixture": {"classes": guidance},
    "reruns": {"times": reruns},
    "rates": {"times": rates},
    "threshold_mixture": {"widths": threshold},
}


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
    "timescales": SweepFigure(_has_curves, timescales),
    "collapse": SweepFigure(_collapses, collapse),
    "laws": SweepFigure(_has_laws, laws),
    "contrasts": SweepFigure(lambda record: bool(record.contrasts), contrasts),
    "losses": SweepFigure(_has_losses, losses),
    "phase": SweepFigure(_has_phases, phase),
}


def of(record: object, runs: Sequence[RunDir] = ()) -> dict[str, Picture]:
    """All figures of a record by name; none for a record that has no picture.

    Args:
        record: what was measured or computed.
        runs: run directories of a sweep, for its generated images; without them that figure is left out.

    Raises:
        InputError: if it is no record, or lacks an entry that its kind promises.
    """
    if isinstance(record, Mapping):  # records of recipes, until these have types
        with reading():
            return _of_table(record)
    sweep = sweep_of(record)
    found = {name: figure.make(sweep) for name, figure in SWEEP_FIGURES.items() if figure.applies(sweep)}
    if any(shows_images(run) for run in runs):
        found["samples"] = samples(sweep, runs)
    return found


def _of_table(record: Mapping[str, Any]) -> dict[str, Picture]:
    if record.get("kind") == "duplicates":
        return {"times": duplicates(record)}
    made = TABLES.get(record.get("name", ""), {}) if "columns" in record else {}
    return {name: figure(record) for name, figure in made.items()}
