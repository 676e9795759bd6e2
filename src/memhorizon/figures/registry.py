"""Which figures a record yields."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memhorizon.errors import InputError
from memhorizon.experiments.record import varied
from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.beyond import augmentation, guidance, halves
from memhorizon.figures.clocks import clocks, collapse
from memhorizon.figures.contrasts import contrasts
from memhorizon.figures.duplicates import duplicates
from memhorizon.figures.exponents import exponents
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.noise_levels import noise_levels
from memhorizon.figures.phase import phase
from memhorizon.figures.rates import rates
from memhorizon.figures.records import quality_name, reading, time_of
from memhorizon.figures.reruns import reruns
from memhorizon.figures.samples import samples, shows_images
from memhorizon.figures.style import Picture
from memhorizon.figures.theory_digits import beside_digits
from memhorizon.figures.theory_losses import (
    heatmap,
    heatmap_score,
    losses_check,
    losses_over_t,
    losses_over_variance,
)
from memhorizon.figures.theory_losses import losses as losses_of_theory
from memhorizon.figures.theory_optimizers import optimizers, optimizers_times
from memhorizon.figures.theory_spectra import spectra, third_group
from memhorizon.figures.theory_training import (
    clocks_of_theory,
    exponent,
    mixture,
    noise_draws,
    steps,
)
from memhorizon.figures.threshold import threshold
from memhorizon.records.check import check_record

TABLES: dict[str, dict[str, Callable[[Any], Picture]]] = {
    "spectra": {"density": spectra},
    "third_group": {"shares": third_group},
    "losses": {
        "curves": losses_of_theory,
        "t": losses_over_t,
        "variance": losses_over_variance,
        "check": losses_check,
    },
    "heatmap": {"gap": heatmap, "score": heatmap_score},
    "exponent": {"minimum": exponent},
    "clocks": {"times": clocks_of_theory},
    "optimizers": {"curves": optimizers, "times": optimizers_times},
    "steps": {"curves": steps},
    "noise_draws": {"peak": noise_draws},
    "mixture": {"score": mixture},
    "beside_digits": {"times": beside_digits},
    "noise_levels": {"lead": noise_levels},
    "augmentation_digits": {"effective": augmentation},
    "exponents": {"levels": exponents},
    "halves_digits": {"bias": halves},
    "guidance_mixture": {"classes": guidance},
    "reruns": {"times": reruns},
    "rates": {"times": rates},
    "threshold_mixture": {"widths": threshold},
}


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
    with reading():
        return _of(record, runs)


def _of(record: Mapping[str, Any], runs: Sequence[RunDir]) -> dict[str, Picture]:
    if record.get("kind") == "sweep":
        return _of_sweep(check_record(record), runs)
    if record.get("kind") == "duplicates":
        return {"times": duplicates(record)}
    made = TABLES.get(record.get("name", ""), {}) if "columns" in record else {}
    return {name: figure(record) for name, figure in made.items()}


def _of_sweep(record: Mapping[str, Any], runs: Sequence[RunDir]) -> dict[str, Picture]:
    entries = record["runs"]
    measured = {name for run in entries for name in run["curves"]}
    timed = any(time_of(run["times"][name]).known for run in entries for name in ("tau_gen", "tau_mem"))
    factors = varied(entries)
    found: dict[str, Picture] = {}
    if measured & {quality_name(record), "memorized"}:
        found["clocks"] = clocks(record)
    if "n_train" in factors and "memorized" in measured:
        found["collapse"] = collapse(record)
    if factors and timed:
        found["laws"] = laws(record)
    if record.get("contrasts"):
        found["contrasts"] = contrasts(record)
    if any(name.startswith("train@") for name in measured):
        found["losses"] = losses(record)
    if {"n_train", "width"} <= set(factors) and all(run.get("width") for run in record["runs"]):
        found["phase"] = phase(record)
    if any(shows_images(run) for run in runs):
        found["samples"] = samples(record, runs)
    return found
