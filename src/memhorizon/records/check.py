"""What the types of a record do not say: which of its values can be drawn and written about.

A record may come from a stranger, so nothing of it is taken on trust: `check_sweep` names the first entry
that is wrong, such as record.runs[0].curves.holdout@0.1.step.
"""

import json
import math
from collections.abc import Mapping

import numpy as np

from memhorizon.errors import InputError
from memhorizon.records.codec import encode, show, word
from memhorizon.records.reading import check_config
from memhorizon.records.sweep import Contrast, RunRecord, SweepRecord
from memhorizon.results import Curve, Estimate, ScalingLaw, Time, Timescales

# What each count of a run is at least.
LEAST = {"n_train": 1, "seed": 0, "n_updates": 0}
FIRST_STEP = 1e-12
LAST_STEP = 1e14


def check_sweep(record: SweepRecord, where: str = "record") -> SweepRecord:
    """Return the record itself if it can be drawn and written about.

    Raises:
        InputError: if it cannot; the entry is named, with what was expected and what came.
    """
    _check_runs(record.runs, f"{where}.runs")
    _check_laws(record, where)
    _check_contrasts(record, where)
    _check_others(record, where)
    return record


def _check_runs(runs: tuple[RunRecord, ...], where: str) -> None:
    if not runs:
        raise InputError(f"{where}: expected at least one, got none")
    for i, run in enumerate(runs):
        _check_run(run, f"{where}[{i}]")
    _check_once(runs, where)
    _check_alike(runs, where)


def _check_once(runs: tuple[RunRecord, ...], where: str) -> None:
    """Refuse a training that is there twice: it would count as further evidence."""
    seen: dict[str, int] = {}
    for i, run in enumerate(runs):
        for same in (f"key {run.key}", json.dumps(encode(run.config), sort_keys=True)):
            first = seen.setdefault(same, i)
            if first != i:
                raise InputError(f"{where}[{i}]: expected each training once, got that of [{first}] again")


def _check_laws(record: SweepRecord, where: str) -> None:
    for name, law in record.laws.items():
        _check_law(law, record.runs, f"{where}.laws.{word(name)}")


def _check_contrasts(record: SweepRecord, where: str) -> None:
    for i, contrast in enumerate(record.contrasts):
        _check_contrast(contrast, record.runs, f"{where}.contrasts[{i}]")


def _check_others(record: SweepRecord, where: str) -> None:
    """Check the sweeps that are kept apart; these have none within them."""
    for i, other in enumerate(record.others):
        if other.others:
            raise InputError(f"{where}.others[{i}].others: expected none within another, got some")
        check_sweep(other, f"{where}.others[{i}]")


def _check_run(run: RunRecord, where: str) -> None:
    _check_sizes(run, where)
    _check_factors(run.factors, f"{where}.factors")
    _check_measured(run, where)
    _check_configuration(run, where)
    _check_n_train(run, where)


def _check_sizes(run: RunRecord, where: str) -> None:
    for name, least in LEAST.items():
        _check_least(run, name, least, where)


def _check_least(checked: RunRecord | ScalingLaw, name: str, least: int, where: str) -> None:
    count = getattr(checked, name)
    if count < least:
        raise InputError(f"{where}.{name}: expected at least {least}, got {show(count)}")


def _check_measured(run: RunRecord, where: str) -> None:
    """Check the curves, and the times that were read off them."""
    _check_curves(run.curves, f"{where}.curves")
    _check_has_counts(run, where)
    _check_timescales(run.timescales, f"{where}.timescales")


def _check_curves(curves: Mapping[str, Curve], where: str) -> None:
    if not curves:
        raise InputError(f"{where}: expected at least one, got none")
    for name, curve in curves.items():
        _check_curve(curve, f"{where}.{word(name)}")


def _check_has_counts(run: RunRecord, where: str) -> None:
    """Refuse a memorized fraction without the number of samples that it is a share of."""
    memorized = run.curves.get("memorized")
    if memorized is not None and memorized.total is None:
        raise InputError(f"{where}.curves.memorized.total: expected counts, got none")


def _check_configuration(run: RunRecord, where: str) -> None:
    try:
        check_config(run)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_n_train(run: RunRecord, where: str) -> None:
    """Refuse an n that is not that of the configuration, where this tells one."""
    part = run.config.get("data")
    told = (part if isinstance(part, Mapping) else run.config).get("n_train", run.n_train)
    if told != run.n_train:
        wanted = f"that of the configuration, {show(told)}"
        raise InputError(f"{where}.n_train: expected {wanted}, got {run.n_train}")


def _check_factors(factors: Mapping[str, float | int | str | None], where: str) -> None:
    for name, value in factors.items():
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            raise InputError(f"{where}.{word(name)}: expected a number of at least 0, got {show(value)}")


def _check_alike(runs: tuple[RunRecord, ...], where: str) -> None:
    """Refuse a factor that is a number in one run and a text in another: they cannot be put in order."""
    names = sorted({name for run in runs for name in run.factors})
    for name in names:
        kinds = {isinstance(run.factors.get(name), str) for run in runs if run.factors.get(name) is not None}
        if len(kinds) > 1:
            raise InputError(f"{where}: expected numbers or texts in factors.{word(name)}, got both")


def _check_curve(curve: Curve, where: str) -> None:
    if not (curve.step[0] >= FIRST_STEP and curve.step[-1] <= LAST_STEP):
        span = f"from {FIRST_STEP:g} to {LAST_STEP:g}"
        raise InputError(f"{where}.step: expected steps {span}, got {curve.step[[0, -1]].tolist()}")
    if curve.total is None:
        return
    if not np.all(curve.total >= 1):
        raise InputError(f"{where}.total: expected counts of at least 1, got {curve.total.min():g}")
    if not np.all((curve.value >= 0) & (curve.value <= 1)):
        raise InputError(f"{where}.value: expected fractions in [0, 1], got {np.ptp(curve.value):g} apart")


def _check_timescales(timescales: Timescales, where: str) -> None:
    times = {"tau_gen": timescales.tau_gen, "tau_mem": timescales.tau_mem}
    for name, time in times.items():
        _check_time(time, f"{where}.{name}")
    for name, time in timescales.others.items():
        _check_time(time, f"{where}.others.{word(name)}")


def _check_time(time: Time, where: str) -> None:
    if time.known and not 0 <= time.value < math.inf:
        raise InputError(f"{where}.value: expected a time of at least 0, got {time.value:g}")
    if time.low < 0:
        raise InputError(f"{where}.low: expected a time of at least 0, got {time.low:g}")


def _check_law(law: ScalingLaw, runs: tuple[RunRecord, ...], where: str) -> None:
    _check_exponents(law, runs, where)
    _check_counts(law, where)
    _check_covariance(law, where)
    _check_prefactor(law, where)
    if law.fitted:
        _check_fitted(law, where)


def _check_exponents(law: ScalingLaw, runs: tuple[RunRecord, ...], where: str) -> None:
    for name in law.exponents:
        if any(isinstance(run.factor(name), str) for run in runs):
            raise InputError(f"{where}.exponents: expected factors that are numbers, got {word(name)}")


def _check_covariance(law: ScalingLaw, where: str) -> None:
    """Check that there is a row for the prefactor and each exponent, and a column."""
    size = len(law.exponents) + 1
    if law.covariance.shape != (size, size):
        raise InputError(f"{where}.covariance: expected {size} rows of {size}, got {law.covariance.shape}")


def _check_prefactor(law: ScalingLaw, where: str) -> None:
    """Check that a law has a prefactor exactly where it was fitted."""
    if law.fitted == math.isnan(law.log_prefactor):
        raise InputError(
            f"{where}.log_prefactor: expected what goes with {law.status}, got {law.log_prefactor}"
        )


def _check_counts(law: ScalingLaw, where: str) -> None:
    for name in ("observed", "censored", "degrees", "left_out"):
        _check_least(law, name, 0, where)


def _check_fitted(law: ScalingLaw, where: str) -> None:
    for name, exponent in law.exponents.items():
        _check_known(exponent, f"{where}.exponents.{word(name)}")
    if not (math.isfinite(law.log_prefactor) and np.all(np.isfinite(law.covariance))):
        raise InputError(f"{where}.covariance: expected finite numbers where the law has values, got others")


def _check_contrast(contrast: Contrast, runs: tuple[RunRecord, ...], where: str) -> None:
    for i, run in enumerate(runs):
        value = run.factor(contrast.factor)
        if not isinstance(value, int | float):
            raise InputError(
                f"{where}.factor: expected a number of {word(contrast.factor)} for each run, "
                f"got {show(value)} in runs[{i}]"
            )


def _check_known(estimate: Estimate, where: str) -> None:
    if not math.isfinite(estimate.value):
        raise InputError(f"{where}.value: expected a finite number, got {estimate.value:g}")
