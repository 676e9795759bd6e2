"""From run directories to one record: curves, both timescales, laws. Figures and reports read only this."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.experiments.comparable import apart, batch_of, differs, once, same_data, setting
from memhorizon.experiments.config import Config, config_of
from memhorizon.experiments.hyperparameters import CONTRASTS, HYPERPARAMETERS, POWERS, axes_of
from memhorizon.experiments.reading import Reading, curves, key_of, null_fraction, read_run
from memhorizon.experiments.rules import rules_of
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.written import WrittenConfig, is_written, written_of
from memhorizon.records.codec import encode, encode_object
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import Contrast, LeftOut, RunRecord, SweepRecord
from memhorizon.results import Curve, Estimate, ScalingLaw, Status, Time, Timescales
from memhorizon.timescales.collapse import collapse_quality
from memhorizon.timescales.contrasts import SeededTime, time_ratio
from memhorizon.timescales.levels import level_deviation, quality_level, resolved_best, still_improving
from memhorizon.timescales.power_law import fit_scaling, unfitted
from memhorizon.timescales.rules import AT_A_TIME, DEFAULT_T, OF_SAMPLES, Rules
from memhorizon.timescales.times import timescales

__all__ = ["curves", "factors", "null_fraction", "read_again", "read_times", "record", "rules_of", "varied"]

TRIVIAL_NOISE_LOSS = 1.0  # E|noise|^2 / d: a network that predicts nothing where it is to predict the noise

Factors = dict[str, float | int | str | None]


def record(
    runs: Sequence[RunDir], rules: Rules | None = None, *, name: str = "", command: str = ""
) -> SweepRecord:
    """Everything that was measured in these runs and what follows from it.

    Runs that cannot be read, and those that are a run of the list once more, are left out and listed under
    `left_out` with the reason. Runs that do not compare with the largest group of those that do are further
    records, under `others`.

    Args:
        runs: run directories.
        rules: how times are read; the default ones take the measured diffusion time nearest to 0.1.
        name: of the record.
        command: that made it.

    Raises:
        InputError: if there is no run or none can be read, or no run has the curve that the rules name.
    """
    if not runs:
        raise InputError("runs: expected at least one, got none")
    if rules is not None:
        check_kind("rules", rules, Rules)
    readings, damaged = _readable(runs)
    readings, repeated = once(readings)
    readings, replaced = same_data(readings)
    _check_rules(readings, rules)
    largest, *smaller = _groups(readings)
    return replace(
        _record(largest, rules, name, command),
        left_out=(*damaged, *repeated, *replaced),
        others=tuple(
            replace(_record(group, rules, name, command), differs=_apart(group, largest)) for group in smaller
        ),
    )


def _apart(group: Sequence[Reading], largest: Sequence[Reading]) -> dict[str, Plain]:
    """The settings of a group that are not those of the largest one."""
    return _plain_settings(differs(_about(group[0]), _about(largest[0])))


def _plain_settings(settings: Mapping[str, Plain]) -> dict[str, Plain]:
    return {name: encode(entry) for name, entry in settings.items()}


def read_times(runs: Sequence[RunDir], rules: Rules | None = None) -> list[Timescales]:
    """Both timescales of every run, with one quality level for all of them.

    Raises:
        InputError: if there is no run, one cannot be read, or none has the curve that the rules name.
    """
    if not runs:
        raise InputError("runs: expected at least one, got none")
    readings = [read_run(run) for run in runs]
    _check_rules(readings, rules)
    return _times(readings, _rules_for(readings, rules))


def read_again(made: SweepRecord, rules: Rules) -> SweepRecord:
    """The same runs read by other rules: times, laws and contrasts follow from the curves of the record.

    Args:
        made: the record of a sweep.
        rules: how times are read now.

    Raises:
        InputError: if no run has the curve that the rules name, or a configuration is none of this version.
    """
    check_kind("made", made, SweepRecord)
    check_kind("rules", rules, Rules)
    readings = [_reading(run) for run in made.runs]
    _check_rules(readings, rules)
    again = _record(readings, rules, made.name, made.command)
    kept = {name: getattr(made, name) for name in ("claim", "size", "seconds", "made", "left_out", "differs")}
    return replace(again, others=tuple(read_again(other, rules) for other in made.others), **kept)


def _reading(run: RunRecord) -> Reading:
    """A run of a record as what its directory held."""
    known = written_of(run.config) if is_written(run.config) else config_of(run.config)
    return Reading(run.key, known, run.curves, run.null, run.environment, run.data, run.notes)


def factors(config: Config | WrittenConfig) -> Factors:
    """What runs of a sweep differ in; None is what a network lacks, and Adam has no momentum at all."""
    if isinstance(config, WrittenConfig):
        return dict(config.factors)
    known = {name: entry.value_in(config) for name, entry in HYPERPARAMETERS.items()}
    del known["n_train"]
    if "momentum" not in axes_of(config):
        del known["momentum"]
    return {**known, "batch_size": batch_of(config), "optimizer": config.optimizer.name}


def varied(runs: Sequence[RunRecord]) -> list[str]:
    """Which of the factors in powers of which times are fitted take more than one value.

    A batch that changes because there are fewer items than it could hold is not a factor by itself.
    """
    by = [factor for factor in POWERS if len({run.factor(factor) for run in runs} - {None}) > 1]
    return [factor for factor in by if factor != "batch_size" or "n_train" not in by]


# --- which runs ---


def _readable(runs: Sequence[RunDir]) -> tuple[list[Reading], list[LeftOut]]:
    """What can be read, and the others with the reason.

    Raises:
        InputError: if nothing can be read.
    """
    readings = []
    left_out = []
    for run in runs:
        try:
            readings.append(read_run(run))
        except (InputError, OSError) as error:
            left_out.append(LeftOut(key_of(run), str(error)))
    if not readings:
        raise InputError(left_out[0].reason)
    return readings, left_out


def _groups(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Runs that compare, the largest group first.

    Where powers are varied, all runs of a group have the same value of each hyperparameter that is none.
    """
    untimed = Timescales(_NO_TIME, _NO_TIME)
    groups = []
    for group in apart(readings, lambda reading: setting(reading.config)):
        runs = [_run(reading, untimed) for reading in group]
        groups += apart(group, _contrasted) if varied(runs) else [group]
    return sorted(groups, key=len, reverse=True)


_NO_TIME = Time.unknown(Status.NOT_MEASURED, "")


def _contrasted(reading: Reading) -> dict[str, Plain]:
    known = factors(reading.config)
    return {name: known.get(name) for name in CONTRASTS}


def _about(reading: Reading) -> dict[str, Plain]:
    return setting(reading.config) | _contrasted(reading)


# --- rules and times ---


def _check_rules(readings: Sequence[Reading], rules: Rules | None) -> None:
    """Refuse rules that name a curve which was measured nowhere; the default ones take what is there."""
    default = rules is None or (rules.quality, rules.t) == (Rules.quality, DEFAULT_T)
    known = sorted({name for reading in readings for name in reading.curves})
    if not default and rules is not None and rules.curve not in known:
        raise InputError(f"rules: {readings[0].key} has no curve {rules.curve!r}; there are {known}")


def _rules_for(readings: Sequence[Reading], rules: Rules | None) -> Rules:
    """The rules as they can be used: the measured diffusion time nearest to the default one.

    Where none are given, times are read from the quality of samples if all runs have measured it, else from
    the held-out loss.
    """
    rules = rules or default_rules(readings)
    if rules.quality not in AT_A_TIME:
        return replace(rules, t=None)
    names = [name for reading in readings for name in reading.curves if name.startswith(rules.quality + "@")]
    if rules.t != DEFAULT_T or rules.curve in names or not names:
        return rules
    most = max(names.count(name) for name in names)  # by as many runs as can be compared
    times = {float(name.split("@")[1]) for name in names if names.count(name) == most}
    return replace(rules, t=min(times, key=lambda t: (abs(t - DEFAULT_T), t)))


def default_rules(readings: Sequence[Reading]) -> Rules:
    """By the quality of samples in the features that see most, where all runs have it; else by the loss."""
    for quality in OF_SAMPLES:
        curves = [reading.curves.get(quality) for reading in readings]
        if all(curve is not None and _has_errors(curve) for curve in curves):
            return Rules.of_samples(quality)
    return Rules()


def _has_errors(curve: Curve) -> bool:
    return bool(np.all(np.isfinite(curve.low) & np.isfinite(curve.high)))


@dataclass(frozen=True)
class _Level:
    """The level of the quality at which tau_gen is read: one for all runs, or why there is none."""

    value: float | None
    status: Status
    sd: float = 0.0


def _times(readings: Sequence[Reading], rules: Rules) -> list[Timescales]:
    measured = [reading for reading in readings if rules.curve in reading.curves]
    quality = [reading.curves[rules.curve] for reading in measured]
    trivial = _trivial([reading.config for reading in measured], rules)
    level = _level(quality, rules, trivial)
    return [_times_of(reading, rules, level) for reading in readings]


def _times_of(reading: Reading, rules: Rules, level: _Level) -> Timescales:
    gap = rules.curve.replace(rules.quality, "gap", 1)
    try:
        found = timescales(
            reading.curves.get(rules.curve),
            reading.curves.get("memorized"),
            quality_level=level.value,
            quality_level_sd=level.sd,
            steep=rules.relative_to == "best",
            memorized_level=rules.memorized,
            null=reading.null or 0.0,
            gap=reading.curves.get(gap),
            status=level.status,
        )
    except InputError as error:  # a curve that no time can be read from must not hide the other runs
        unknown = Time.unknown(Status.NOT_MEASURED, str(error))
        return Timescales(unknown, unknown)
    return replace(found, tau_gen=_explained(found.tau_gen, rules.curve, reading, level))


def _explained(tau_gen: Time, curve: str, reading: Reading, level: _Level) -> Time:
    """The time with what is known of why it was not measured."""
    if tau_gen.status is not Status.NOT_MEASURED:
        return tau_gen
    if curve not in reading.curves:
        return replace(tau_gen, rule=f"{curve} was not measured in this run")
    note = reading.notes.get(curve)
    if level.value is None and level.status is Status.NOT_MEASURED:
        note = (
            f"its best value is not above 0 in any run, so no level is relative to it; {note or ''}".rstrip(
                "; "
            )
        )
    return replace(tau_gen, rule=f"{tau_gen.rule} ({curve}: {note})") if note else tau_gen


def _trivial(configs: Sequence[Config | WrittenConfig], rules: Rules) -> float | None:
    """The quality of a network that predicts nothing, where it is known: of the loss of the noise."""
    predicts_noise = [isinstance(config, Config) and config.train.prediction == "noise" for config in configs]
    return TRIVIAL_NOISE_LOSS if rules.quality == "holdout" and all(predicts_noise) else None


def _level(quality: Sequence[Curve], rules: Rules, trivial: float | None) -> _Level:
    """One level for all runs, or why there is none.

    Runs whose best value is not known, for they were still improving, and runs that never did better than a
    network that predicts nothing say nothing of the level, as long as there are others.
    """
    share = 1 + rules.tolerance
    positive = [curve for curve in quality if _can_be_relative(curve, rules)]
    if not positive:
        return _Level(None, Status.NOT_MEASURED)
    learned = [curve for curve in positive if trivial is None or share * curve.value.min() < trivial]
    if not learned:
        return _Level(None, Status.TRIVIAL_LEVEL)
    settled = [curve for curve in learned if not _improving(curve, rules)]
    if not settled:
        return _Level(None, Status.STILL_IMPROVING)
    level = quality_level(settled, tolerance=rules.tolerance, relative_to=rules.relative_to)
    sd = level_deviation(settled, tolerance=rules.tolerance, relative_to=rules.relative_to)
    return _Level(level, Status.OBSERVED, sd)


def _can_be_relative(curve: Curve, rules: Rules) -> bool:
    """Whether a level relative to the best value of a curve means something."""
    if rules.relative_to == "worst":
        return bool(curve.value.min() > 0)
    return _has_errors(curve) and resolved_best(curve) > 0


def _improving(quality: Curve, rules: Rules) -> bool:
    return _has_errors(quality) and still_improving(quality, tolerance=rules.tolerance)


# --- the record of runs that compare ---


def _record(readings: Sequence[Reading], rules: Rules | None, name: str, command: str) -> SweepRecord:
    rules = _rules_for(readings, rules)
    times = _times(readings, rules)
    runs = tuple(_run(reading, own) for reading, own in zip(readings, times, strict=True))
    made = SweepRecord(name, command, rules, runs)
    by = varied(runs)
    if not by:
        return replace(made, contrasts=tuple(_contrasts(runs)))
    collapse, note = _collapse(runs, by)
    return replace(made, laws=laws_by(runs, by), collapse=collapse, collapse_note=note)


def _run(reading: Reading, times: Timescales) -> RunRecord:
    return RunRecord(
        key=reading.key,
        n_train=_n_train(reading.config),
        seed=reading.config.seed,
        factors=factors(reading.config),
        config=encode_object(reading.config),
        environment=reading.environment,
        data=reading.data,
        curves=reading.curves,
        null=reading.null,
        timescales=times,
        n_updates=_n_updates(reading.config),
        notes=reading.notes,
    )


def _n_train(config: Config | WrittenConfig) -> int:
    return config.n_train if isinstance(config, WrittenConfig) else config.data.n_train


def _n_updates(config: Config | WrittenConfig) -> int:
    return config.n_updates if isinstance(config, WrittenConfig) else config.train.n_updates


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


def _contrasts(runs: Sequence[RunRecord]) -> list[Contrast]:
    """Both timescales at each value of the one hyperparameter that is varied, over those at its smallest."""
    taken = {name: {run.factor(name) for run in runs} for name in HYPERPARAMETERS}
    several = [name for name, values in taken.items() if len(values) > 1 and None not in values]
    if len(several) != 1:
        return []
    factor = several[0]
    reference, *rest = sorted({_number(run, factor) for run in runs})
    return [
        _contrast(runs, factor, reference, value, timescale)
        for timescale in ("tau_gen", "tau_mem")
        for value in rest
    ]


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


def _collapse(runs: Sequence[RunRecord], by: Sequence[str]) -> tuple[dict[str, Estimate], str]:
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
