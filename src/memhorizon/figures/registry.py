"""Which figures a record yields."""

from collections.abc import Mapping, Sequence
from typing import Any

from memhorizon.experiments.rundir import RunDir
from memhorizon.figures.clocks import clocks, collapse
from memhorizon.figures.laws import laws, varied
from memhorizon.figures.losses import losses
from memhorizon.figures.phase import phase
from memhorizon.figures.records import sweep_of
from memhorizon.figures.samples import samples
from memhorizon.figures.style import Picture
from memhorizon.results import InputError


def of(record: Any, runs: Sequence[RunDir] = ()) -> dict[str, Picture]:
    """All figures of a record by name; none for a record that has no picture.

    Args:
        record: what was measured or computed.
        runs: run directories of a sweep, for its generated images; without them that figure is left out.

    Raises:
        InputError: if it is no record, or lacks an entry that its kind promises.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"record: expected an object, got {type(record).__name__}")
    return _of_sweep(record, runs) if record.get("kind") == "sweep" else {}


def _of_sweep(record: Mapping[str, Any], runs: Sequence[RunDir]) -> dict[str, Picture]:
    found: dict[str, Picture] = {"clocks": clocks(record)}
    factors = varied(sweep_of(record))
    if "n_train" in factors:
        found["collapse"] = collapse(record)
    if factors:
        found["laws"] = laws(record)
    if any(name.startswith("train@") for run in record["runs"] for name in run["curves"]):
        found["losses"] = losses(record)
    if len(factors) == 2:
        found["phase"] = phase(record)
    if any(run.sample_steps() for run in runs):
        found["samples"] = samples(record, runs)
    return found
