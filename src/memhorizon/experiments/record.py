"""From run directories to one record: curves, both clocks, laws. It is all that figures and reports read."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from memhorizon.experiments.config import encode
from memhorizon.experiments.rundir import Row, RunDir
from memhorizon.experiments.sweep import AXES, axes_of
from memhorizon.measure.scaling import collapse_quality, fit_scaling
from memhorizon.measure.timescales import quality_level, timescales
from memhorizon.results import Curve, Fraction, InputError, ScalingLaw, Time, Timescales, plain

POWERS = ("n_train", "width", "lr", "batch_size")  # times are fitted as powers of these


@dataclass(frozen=True)
class Rules:
    """How the two clocks are read.

    Attributes:
        quality: the curve that tau_gen is read from: "holdout" (the held-out loss), "score_error", "frechet"
            or "kl".
        t: the diffusion time of that curve, where it has one.
        tolerance: the level is this share above the worst of the runs' best values.
        memorized: the memorized fraction above its null that tau_mem stands for.
    """

    quality: str = "holdout"
    t: float | None = 0.1
    tolerance: float = 0.05
    memorized: float = 0.1


def rules_of(path: Path) -> Rules | None:
    """The rules of the record in a directory or in the one above; None without one."""
    for folder in (path, path.absolute().parent):
        if (folder / "record.json").is_file():
            return Rules(**json.loads((folder / "record.json").read_text())["rules"])
    return None


def curves(run: RunDir) -> dict[str, Curve]:
    """All curves of a run by name: "memorized", "holdout@0.1", "train@0.1", "gap@0.1", "frechet", ...

    Raises:
        InputError: if nothing was measured yet.
    """
    rows = run.measures()
    if not rows:
        raise InputError(f"run: nothing is measured yet in {run.path}")
    series: dict[str, list[Row]] = {}
    for row in (row for row in rows if row["value"] is not None):
        name = row["measure"] if "t" not in row else f"{row['measure']}@{row['t']:g}"
        series.setdefault(name, []).append(row)
    return {name: _curve(name, points) for name, points in series.items()}


def _curve(name: str, rows: list[Row]) -> Curve:
    steps = [row["step"] for row in rows]
    if "count" in rows[0]:
        return Curve.of_fractions(steps, [Fraction.of(row["count"], row["total"]) for row in rows], name=name)
    errors = [math.inf if row["se"] is None else row["se"] for row in rows]  # of too few items to know
    return Curve.of_means(steps, [row["value"] for row in rows], errors, name=name)


def null_fraction(run: RunDir) -> Fraction | float:
    """The share of held-out items that count as copies under the same threshold; 0 without held-out items."""
    rows = [row for row in run.measures() if row["measure"] == "memorized"]
    if not rows or "null_total" not in rows[0]:
        return 0.0
    return Fraction.of(rows[0]["null_count"], rows[0]["null_total"])


def read_times(runs: Sequence[RunDir], rules: Rules) -> list[Timescales]:
    """Both clocks of every run, with one quality level for all of them.

    Raises:
        InputError: if a run lacks the curve that the rules name.
    """
    if not runs:
        raise InputError("runs: expected at least one, got none")
    every = [curves(run) for run in runs]
    name = rules.quality if rules.t is None else f"{rules.quality}@{rules.t:g}"
    for run, own in zip(runs, every, strict=True):
        if missing := {name, "memorized"} - set(own):
            raise InputError(f"rules: {run.path.name} has no curve {sorted(missing)}; it has {sorted(own)}")
    level = quality_level([own[name] for own in every], tolerance=rules.tolerance)
    return [
        timescales(
            own[name],
            own["memorized"],
            quality_level=level,
            memorized_level=rules.memorized,
            null=null_fraction(run),
            gap=own.get(name.replace(rules.quality, "gap", 1)),
        )
        for run, own in zip(runs, every, strict=True)
    ]


def factors(run: RunDir) -> Row:
    """What runs of a sweep differ in; null is what a network lacks, and Adam has no momentum at all."""
    config = run.config
    knobs = {name: getattr(getattr(config, part), name, None) for name, part in AXES.items()}
    if "momentum" not in axes_of(config):
        del knobs["momentum"]
    batch = min(config.data.n_train, config.train.batch_size or config.data.n_train)
    return {**knobs, "batch_size": batch, "optimizer": config.optimizer.name, "seed": config.seed}


def record(runs: Sequence[RunDir], rules: Rules | None = None, *, name: str = "", command: str = "") -> Row:
    """Everything that was measured in these runs and what follows from it, as plain values."""
    rules = rules or Rules()
    times = read_times(runs, rules)
    rows = [
        {
            "key": run.path.name,
            "config": encode(replace(run.config, measure=run.measure_config)),
            **factors(run),
            "environment": run.environment,
            "curves": {label: plain(curve) for label, curve in curves(run).items()},
            "null": plain(null_fraction(run)),
            "times": plain(own),
        }
        for run, own in zip(runs, times, strict=True)
    ]
    return {
        "kind": "sweep",
        "name": name,
        "command": command,
        "rules": asdict(rules),
        "runs": rows,
        **_laws(rows, times, [curves(run)["memorized"] for run in runs]),
    }


def _laws(rows: list[Row], times: Sequence[Timescales], memorized: Sequence[Curve]) -> Row:
    by = varied(rows)
    if not by:
        found = _contrasts(rows, times)
        return {"laws": {}, "collapse": {}, **({"contrasts": found} if found else {})}
    laws: dict[str, ScalingLaw] = {}
    own_times = {
        "tau_gen": [own.tau_gen for own in times],
        "tau_mem": [own.tau_mem for own in times],
        "passes": [
            _in_passes(own.tau_mem, row["batch_size"] / row["n_train"])
            for row, own in zip(rows, times, strict=True)
        ],
    }
    for clock, values in own_times.items():
        points = [
            {**{factor: row[factor] for factor in by}, "time": time}
            for row, time in zip(rows, values, strict=True)
        ]
        laws[clock] = fit_scaling(points, by=by)
    return {"laws": plain(laws), "collapse": _collapse(rows, by, memorized)}


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
    ratio = {end: math.exp(getattr(log, end)) for end in ("value", "low", "high")}
    late = [math.log(time.value) for above, _, time in points if above and time.status == "not reached"]
    early = [math.log(time.value) for above, _, time in points if not above and time.observed]
    found = {"ratio": plain(ratio), "observed": law.observed, "censored": law.censored, "status": law.status}
    if len(late) == len(early) == len(points) / 2:  # none above was reached: a fit has nothing to go by
        found["at_least"] = math.exp(np.mean(late) - np.mean(early))
    return found


def _collapse(rows: Sequence[Row], by: Sequence[str], memorized: Sequence[Curve]) -> Row:
    """How well the curves of f_mem fall together in the paper's units of time, where n is varied."""
    if "n_train" not in by or not set(by) <= {"n_train", "width"}:
        return {}
    units = {"steps / n_train": [float(row["n_train"]) for row in rows]}
    if "width" in by:
        units["steps * width"] = [1 / row["width"] for row in rows]
        units["steps * width / n_train"] = [row["n_train"] / row["width"] for row in rows]
    try:
        return {name: plain(collapse_quality(memorized, factor, 1.0)) for name, factor in units.items()}
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
