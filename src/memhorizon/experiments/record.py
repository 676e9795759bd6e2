"""From run directories to one record: curves, both clocks, laws. It is all that figures and reports read."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from typing import Any

import numpy as np

from memhorizon.errors import InputError
from memhorizon.experiments.comparable import (
    KNOBS,
    Reading,
    apart,
    batch_of,
    differs,
    once,
    same_data,
    setting,
)
from memhorizon.experiments.config import Config, encode
from memhorizon.experiments.rules import rules_of
from memhorizon.experiments.run_directory import Row, RunDir
from memhorizon.experiments.sweep import AXES, axes_of
from memhorizon.records.check import check_facts, check_row
from memhorizon.results import Curve, Fraction, ScalingLaw, Status, Time, Timescales, plain
from memhorizon.timescales.power_law import collapse_quality, fit_scaling, unfitted
from memhorizon.timescales.rules import AT_A_TIME, DEFAULT_T, Rules
from memhorizon.timescales.times import quality_level, still_improving, timescales

__all__ = [
    "Rules",
    "curves",
    "factors",
    "null_fraction",
    "plain",
    "read_times",
    "record",
    "rules_of",
    "varied",
]

POWERS = ("n_train", "width", "lr", "batch_size")  # times are fitted as powers of these
TRIVIAL_NOISE_LOSS = 1.0  # E|noise|^2 / d: a network that predicts nothing where it is to predict the noise


def curves(run: RunDir) -> dict[str, Curve]:
    """All curves of a run by name: "memorized", "holdout@0.1", "train@0.1", "gap@0.1", "frechet", ...

    Raises:
        InputError: if nothing was measured yet, or a row is damaged.
    """
    rows = _rows(run)
    if not rows:
        raise InputError(f"run: nothing is measured yet in {run.path}")
    series: dict[str, list[Row]] = {}
    for row in (row for row in rows if row["value"] is not None):
        name = row["measure"] if "t" not in row else f"{row['measure']}@{row['t']:g}"
        series.setdefault(name, []).append(row)
    return {name: _curve(name, points) for name, points in series.items()}


def _rows(run: RunDir) -> list[Row]:
    """What was measured, each row such that a curve can be made of it."""
    rows = run.measures()
    for row in rows:
        try:
            check_row(row)
        except InputError as error:
            raise InputError(f"file: {run.path / 'measures.jsonl'} is damaged: {error}") from error
    return rows


def _curve(name: str, rows: list[Row]) -> Curve:
    steps = [row["step"] for row in rows]
    if len({"count" in row for row in rows}) > 1:
        raise InputError(f"curve: expected counts in all rows of {name!r} or in none, got some")
    if "count" in rows[0]:
        return Curve.of_fractions(steps, [Fraction.of(row["count"], row["total"]) for row in rows], name=name)
    errors = [math.inf if row["se"] is None else row["se"] for row in rows]  # of too few items to know
    return Curve.of_means(steps, [row["value"] for row in rows], errors, name=name)


def null_fraction(run: RunDir) -> Fraction | float:
    """The share of held-out items that count as copies under the same threshold; 0 without held-out items."""
    rows = [row for row in _rows(run) if row["measure"] == "memorized"]
    if not rows or "null_total" not in rows[0]:
        return 0.0
    return Fraction.of(rows[0]["null_count"], rows[0]["null_total"])


def read_run(run: RunDir) -> Reading:
    """Everything of a run that a record is made from.

    Raises:
        InputError: if nothing was measured yet, or a file is damaged.
    """
    config = replace(run.config, measure=run.measure_config)
    environment = run.environment
    data = run.data
    try:
        check_facts(environment, data)
    except InputError as error:
        raise InputError(f"run: {run.path} is damaged: {error}") from error
    return Reading(_key(run), config, curves(run), null_fraction(run), environment, data)


def _key(run: RunDir) -> str:
    return run.path.absolute().name  # that of "." is empty


def read_times(runs: Sequence[RunDir], rules: Rules | None = None) -> list[Timescales]:
    """Both clocks of every run, with one quality level for all of them.

    Raises:
        InputError: if there is no run, one cannot be read, or none has the curve that the rules name.
    """
    if not runs:
        raise InputError("runs: expected at least one, got none")
    readings = [read_run(run) for run in runs]
    _check_rules(readings, rules)
    return _times(readings, _rules_for(readings, rules))


def _check_rules(readings: Sequence[Reading], rules: Rules | None) -> None:
    """Refuse rules that name a curve which was measured nowhere; the default ones take what is there."""
    default = rules is None or (rules.quality, rules.t) == (Rules.quality, DEFAULT_T)
    known = sorted({name for reading in readings for name in reading.curves})
    if not default and rules is not None and rules.curve not in known:
        raise InputError(f"rules: {readings[0].key} has no curve {rules.curve!r}; there are {known}")


def _rules_for(readings: Sequence[Reading], rules: Rules | None) -> Rules:
    """The rules as they can be used: the measured diffusion time nearest to the default one."""
    rules = rules or Rules()
    if rules.quality not in AT_A_TIME:
        return replace(rules, t=None)
    names = [name for reading in readings for name in reading.curves if name.startswith(rules.quality + "@")]
    if rules.t != DEFAULT_T or rules.curve in names or not names:
        return rules
    most = max(names.count(name) for name in names)  # by as many runs as can be compared
    times = {float(name.split("@")[1]) for name in names if names.count(name) == most}
    return replace(rules, t=min(times, key=lambda t: (abs(t - DEFAULT_T), t)))


def _times(readings: Sequence[Reading], rules: Rules) -> list[Timescales]:
    quality = [reading.curves.get(rules.curve) for reading in readings]
    measured = [
        (own, reading.config) for own, reading in zip(quality, readings, strict=True) if own is not None
    ]
    level, status = _level([own for own, _ in measured], rules, _trivial([c for _, c in measured], rules))
    found = []
    for reading, own in zip(readings, quality, strict=True):
        try:
            clocks = timescales(
                own,
                reading.curves.get("memorized"),
                quality_level=level,
                memorized_level=rules.memorized,
                null=reading.null,
                gap=reading.curves.get(rules.curve.replace(rules.quality, "gap", 1)),
                status=status,
            )
        except InputError as error:  # a curve that no time can be read from must not hide the other runs
            unknown = Time.unknown("not measured", str(error))
            clocks = Timescales(unknown, unknown)
        found.append(clocks)
    return found


def _trivial(configs: Sequence[Config], rules: Rules) -> float | None:
    """The quality of a network that predicts nothing, where it is known: of the loss of the noise."""
    of_noise = rules.quality == "holdout" and all(config.train.prediction == "noise" for config in configs)
    return TRIVIAL_NOISE_LOSS if of_noise else None


def _level(quality: Sequence[Curve], rules: Rules, trivial: float | None) -> tuple[float | None, Status]:
    """One level for all runs, or why there is none.

    Runs whose best value is not known, for they were still improving, and runs that never did better than a
    network that predicts nothing say nothing of the level, as long as there are others.
    """
    share = 1 + rules.tolerance
    positive = [own for own in quality if own.value.min() > 0]  # or a relative tolerance means nothing
    if not positive:
        return None, "not measured"
    learned = [own for own in positive if trivial is None or share * own.value.min() < trivial]
    if not learned:
        return None, "trivial level"
    settled = [own for own in learned if not _improving(own, rules)]
    if not settled:
        return None, "still improving"
    return quality_level(settled, tolerance=rules.tolerance), "observed"


def _improving(quality: Curve, rules: Rules) -> bool:
    finite = bool(np.all(np.isfinite(quality.low) & np.isfinite(quality.high)))
    return finite and still_improving(quality, tolerance=rules.tolerance)


def factors(config: Config) -> Row:
    """What runs of a sweep differ in; null is what a network lacks, and Adam has no momentum at all."""
    knobs = {name: getattr(getattr(config, part), name, None) for name, part in AXES.items()}
    if "momentum" not in axes_of(config):
        del knobs["momentum"]
    if knobs["width"] is None:
        knobs["width"] = getattr(config.model, "n_features", None)
    return {
        **knobs,
        "batch_size": batch_of(config),
        "optimizer": config.optimizer.name,
        "seed": config.seed,
    }


def record(runs: Sequence[RunDir], rules: Rules | None = None, *, name: str = "", command: str = "") -> Row:
    """Everything that was measured in these runs and what follows from it, as plain values.

    Runs that cannot be read, and those that are a run of the list once more, are left out and listed under
    "left_out" with the reason. Runs that do not compare with the largest group of those that do are records
    of their own, under "others".

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
    readings, damaged = _readable(runs)
    readings, repeated = once(readings)
    readings, replaced = same_data(readings)
    _check_rules(readings, rules)
    groups = _groups(readings)
    first, *others = [
        {"kind": "sweep", "name": name, "command": command, **_record(group, rules)} for group in groups
    ]
    if left_out := [*damaged, *repeated, *replaced]:
        first["left_out"] = left_out
    if others:
        here = _about(groups[0][0])
        first["others"] = [
            {**other, "differs": plain(differs(_about(group[0]), here))}
            for other, group in zip(others, groups[1:], strict=True)
        ]
    return first


def _readable(runs: Sequence[RunDir]) -> tuple[list[Reading], list[Row]]:
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
            left_out.append({"key": _key(run), "reason": str(error)})
    if not readings:
        raise InputError(left_out[0]["reason"])
    return readings, left_out


def _groups(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Runs that compare, the largest group first; where powers are varied, one value of each knob in each."""
    groups = []
    for group in apart(readings, lambda reading: setting(reading.config)):
        rows = [_row(reading) for reading in group]
        groups += apart(group, _knobs) if varied(rows) else [group]
    return sorted(groups, key=len, reverse=True)


def _knobs(reading: Reading) -> Row:
    own = factors(reading.config)
    return {name: own.get(name) for name in KNOBS}


def _about(reading: Reading) -> Row:
    return setting(reading.config) | _knobs(reading)


def _row(reading: Reading) -> Row:
    return {"key": reading.key, "config": encode(reading.config), **factors(reading.config)}


def _record(readings: Sequence[Reading], rules: Rules | None) -> Row:
    """The record of runs that compare."""
    rules = _rules_for(readings, rules)
    times = _times(readings, rules)
    rows = [
        {
            **_row(reading),
            "environment": reading.environment,
            "data": reading.data,
            "curves": {label: plain(curve) for label, curve in reading.curves.items()},
            "null": plain(reading.null),
            "times": plain(own),
        }
        for reading, own in zip(readings, times, strict=True)
    ]
    memorized = [reading.curves.get("memorized") for reading in readings]
    return {"rules": asdict(rules), "runs": rows, **_laws(rows, times, memorized)}


def _laws(rows: list[Row], times: Sequence[Timescales], memorized: Sequence[Curve | None]) -> Row:
    by = varied(rows)
    if not by:
        found = _contrasts(rows, times)
        return {"laws": {}, "collapse": {}, **({"contrasts": found} if found else {})}
    own_times = {
        "tau_gen": [own.tau_gen for own in times],
        "tau_mem": [own.tau_mem for own in times],
        "passes": [
            _in_passes(own.tau_mem, row["batch_size"] / row["n_train"])
            for row, own in zip(rows, times, strict=True)
        ],
    }
    laws = {clock: _law(rows, values, by) for clock, values in own_times.items()}
    return {"laws": plain(laws), "collapse": _collapse(rows, by, memorized)}


def _law(rows: Sequence[Row], times: Sequence[Time], by: Sequence[str]) -> ScalingLaw:
    """The law of one clock; without numbers where the runs do not tell the factors apart."""
    points = [
        {**{factor: row[factor] for factor in by}, "time": time}
        for row, time in zip(rows, times, strict=True)
    ]
    try:
        return fit_scaling(points, by=by)
    except InputError as error:
        return unfitted(by, times, f"not fitted: {error}")


def _contrasts(rows: Sequence[Row], times: Sequence[Timescales]) -> list[Row]:
    """Both clocks at each value of the one knob that is varied, over those at its smallest, seed by seed.

    A ratio is e to the coefficient of that value, beside one of each seed, in a fit of log time that takes
    censored times in; without these its interval is the t interval of the paired differences, where all
    times are equally well known.
    """
    taken: dict[str, set[Any]] = {name: {row.get(name) for row in rows} for name in AXES}
    knobs = [name for name, values in taken.items() if len(values) > 1 and None not in values]
    if len(knobs) != 1:
        return []
    values, found = sorted(taken[knobs[0]]), []
    for clock, value in product(("tau_gen", "tau_mem"), values[1:]):
        pairs = [
            (row, getattr(own, clock))
            for row, own in zip(rows, times, strict=True)
            if row[knobs[0]] in (values[0], value)
        ]
        about = {"factor": knobs[0], "reference": values[0], "value": value, "clock": clock}
        found.append(about | _ratio([(row[knobs[0]] == value, row["seed"], time) for row, time in pairs]))
    return found


def _ratio(points: Sequence[tuple[bool, int, Time]]) -> Row:
    """The ratio of times between two settings; of each time is given whether it is above, and its seed."""
    seeds = sorted({seed for _, seed, _ in points})[1:]
    rows = [
        {"ratio": math.e if above else 1.0, "time": time}
        | {f"seed {seed}": math.e if own == seed else 1.0 for seed in seeds}
        for above, own, time in points
    ]
    try:
        law = fit_scaling(rows, by=("ratio", *(f"seed {seed}" for seed in seeds)))
    except InputError as error:  # no two runs of one seed
        return {"ratio": None, "observed": 0, "censored": 0, "status": str(error)}
    log = law.exponents["ratio"]
    with np.errstate(over="ignore"):  # infinity is the answer beyond the largest number
        ratio = {end: float(np.exp(getattr(log, end))) for end in ("value", "low", "high")}
    late = [math.log(time.value) for above, _, time in points if above and time.status == "not reached"]
    early = [math.log(time.value) for above, _, time in points if not above and time.observed]
    found = {"ratio": plain(ratio), "observed": law.observed, "censored": law.censored, "status": law.status}
    if law.left_out:
        found["left_out"] = law.left_out
    if len(late) == len(early) == len(points) / 2:  # none above was reached: a fit has nothing to go by
        found["at_least"] = math.exp(np.mean(late) - np.mean(early))
    return found


def _collapse(rows: Sequence[Row], by: Sequence[str], memorized: Sequence[Curve | None]) -> Row:
    """How well the curves of f_mem fall together in the paper's units of time, where n is varied."""
    if "n_train" not in by or not set(by) <= {"n_train", "width"}:
        return {}
    rows = [row for row, curve in zip(rows, memorized, strict=True) if curve is not None]
    measured = [curve for curve in memorized if curve is not None]
    units = {"steps / n_train": [float(row["n_train"]) for row in rows]}
    if "width" in by:
        units["steps * width"] = [1 / row["width"] for row in rows]
        units["steps * width / n_train"] = [row["n_train"] / row["width"] for row in rows]
    try:
        return {name: plain(collapse_quality(measured, factor, 1.0)) for name, factor in units.items()}
    except InputError as error:  # curves without a common range: said, not hidden
        return {"status": str(error)}


def varied(rows: Sequence[Row]) -> list[str]:
    """Which of the factors in powers of which times are fitted take more than one value.

    A batch that changes because there are fewer items than it could hold is not a factor of its own.
    """
    by = [factor for factor in POWERS if len({row.get(factor) for row in rows} - {None}) > 1]
    return [factor for factor in by if factor != "batch_size" or "n_train" not in by]


def _in_passes(time: Time, share: float) -> Time:
    """The same time counted in passes over the training set; a step sees this share of it.

    If copying were a matter of repetition its exponent of n would be 0.
    """
    return replace(time, value=time.value * share, low=time.low * share, high=time.high * share)
