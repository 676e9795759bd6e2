"""What figures and pages ask of the record of a sweep, beside `records.reading`."""

from memhorizon.errors import InputError
from memhorizon.experiments.hyperparameters import varied as varied_among
from memhorizon.records.reading import measured_by
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Time

TIMESCALE_NAMES = ("tau_gen", "tau_mem")
QUALITY_NAMES = {
    "holdout": "held-out loss",
    "score_error": "score error",
    "frechet": "Fréchet distance",
    "frechet_classifier": "Fréchet distance in classifier features",
    "kl": "KL divergence",
}


def sweep_of(record: object) -> SweepRecord:
    """Return the record itself if it is a sweep with runs.

    Raises:
        InputError: if it is no record of a sweep, or has no runs.
    """
    if not isinstance(record, SweepRecord):
        kind = type(record).__name__
        raise InputError(f"record: expected a SweepRecord (load_record gives one), got {kind}")
    if not record.runs:
        raise InputError("record: expected at least one run, got none")
    return record


def timescale(run: RunRecord, name: str) -> Time:
    """tau_gen or tau_mem of a run."""
    return run.timescales.tau_gen if name == "tau_gen" else run.timescales.tau_mem


def number(run: RunRecord, factor: str) -> float | None:
    """The value of a hyperparameter; None where the network or the optimizer of the run has none."""
    value = run.factor(factor)
    return value if isinstance(value, int | float) else None


def varied(record: SweepRecord) -> list[str]:
    """The hyperparameters of which times are fitted as powers that take more than one value."""
    return varied_among(record.runs)


def quality_label(record: SweepRecord) -> str:
    """The quality that tau_gen is read from, in words."""
    rules = record.rules
    label = QUALITY_NAMES.get(rules.quality, rules.quality)
    return label if rules.at is None else f"{label} (t = {rules.at:g})"


def copy_threshold(run: RunRecord) -> float | None:
    """The ratio of distances below which a sample of this run counts as a copy; None where unknown."""
    measured = measured_by(run)
    return None if measured is None else measured.threshold
