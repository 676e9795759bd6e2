"""What follows from the times of runs that compare: scaling laws, contrasts, the collapse of their curves."""

import math
from collections.abc import Sequence
from dataclasses import replace

from memhorizon.errors import InputError
from memhorizon.experiments.hyperparameters import HYPERPARAMETERS
from memhorizon.records.sweep import Contrast, RunRecord
from memhorizon.results import Estimate, ScalingLaw, Status, Time
from memhorizon.timescales.collapse import collapse_quality
from memhorizon.timescales.contrasts import SeededTime, time_ratio
from memhorizon.timescales.power_law import fit_scaling, unfitted


def laws_by(runs: Sequence[RunRecord], by: Sequence[str]) -> dict[str, ScalingLaw]:
    """The law of each timescale, and that of tau_mem in passes over the training set."""
    tau_gen = [run.timescales.tau_gen for run in runs]
    tau_mem = [run.timescales.tau_mem for run in runs]
    passes = [_in_passes(run) for run in runs]
    every = {"tau_gen": tau_gen, "tau_mem": tau_mem, "passes": passes}
    return {name: _law(runs, times, by) for name, times in every.items()}


def _law(runs: Sequence[RunRecord], times: Sequence[Time], by: Sequence[str]) -> ScalingLaw:
    """The law of one timescale; without numbers where the runs do not tell the factors apart."""
    points = [
        {**{factor: run.factor(factor) for factor in by}, "time": time}
        for run, time in zip(runs, times, strict=True)
    ]
    try:
        return fit_scaling(points, by=by)
    except InputError as error:
        return unfitted(by, times, str(error))


def _in_passes(run: RunRecord) -> Time:
    """tau_mem in passes over the training set; a step sees batch_size of its n_train items.

    If copying were a matter of repetition its exponent of n would be 0.
    """
    time = run.timescales.tau_mem
    if run.factor("batch_size") is None:
        return Time.unknown(Status.NOT_MEASURED, "the batch size is not known")
    share = _number(run, "batch_size") / run.n_train
    return replace(time, value=time.value * share, low=time.low * share, high=time.high * share)


def contrasts_of(runs: Sequence[RunRecord]) -> list[Contrast]:
    """Both timescales at each value of the one hyperparameter that is varied, over those at its smallest."""
    factor = _only_varied(runs)
    if factor is None:
        return []
    reference, *rest = sorted({_number(run, factor) for run in runs})
    return [
        _contrast(runs, factor, reference, value, timescale)
        for timescale in ("tau_gen", "tau_mem")
        for value in rest
    ]


def _only_varied(runs: Sequence[RunRecord]) -> str | None:
    """The one hyperparameter that is varied; None where there is none, or more than one."""
    taken = {name: {run.factor(name) for run in runs} for name in HYPERPARAMETERS}
    several = [name for name, values in taken.items() if len(values) > 1 and None not in values]
    return several[0] if len(several) == 1 else None


def _contrast(
    runs: Sequence[RunRecord], factor: str, reference: float, value: float, timescale: str
) -> Contrast:
    times = [
        SeededTime(run.factor(factor) == value, run.seed, getattr(run.timescales, timescale))
        for run in runs
        if run.factor(factor) in (reference, value)
    ]
    found = time_ratio(times)
    return Contrast(
        factor=factor,
        reference=reference,
        value=value,
        timescale=timescale,
        ratio=found.ratio,
        observed=found.observed,
        censored=found.censored,
        status=found.status,
        note=found.note,
        left_out=found.left_out,
        at_least=found.at_least,
    )


def collapse_of(runs: Sequence[RunRecord], by: Sequence[str]) -> tuple[dict[str, Estimate], str]:
    """How well the curves of f_mem fall together in the paper's units of time, where n is varied.

    Returns:
        The spread that is left by unit of time; and why there is none, where there is none.
    """
    if "n_train" not in by or not set(by) <= {"n_train", "width"}:
        return {}, ""
    measured = [run for run in runs if "memorized" in run.curves]
    units = {"steps / n_train": [float(run.n_train) for run in measured]}
    if "width" in by:
        units["steps * width"] = [1 / _number(run, "width") for run in measured]
        units["steps * width / n_train"] = [run.n_train / _number(run, "width") for run in measured]
    copied = [run.curves["memorized"] for run in measured]
    try:
        return {name: collapse_quality(copied, factor, 1.0) for name, factor in units.items()}, ""
    except InputError as error:  # curves without a common range: written down, not hidden
        return {}, str(error)


def _number(run: RunRecord, factor: str) -> float:
    """What a run has of a factor that is a number."""
    value = run.factor(factor)
    return float(value) if isinstance(value, int | float) else math.nan
