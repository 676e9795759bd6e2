"""What recipes do with times and with numbers of several runs: bounds kept, means with their intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from memhorizon.results import ScalingLaw, Time
from memhorizon.timescales.power_law import fit_scaling

SIDES = {"observed": 0, "not reached": 1, "before first": -1}
Row = dict[str, Any]


def plain_time(time: Time) -> Row:
    """A time as plain values; "undetermined" where its interval excludes nothing; no value without a time."""
    if not time.known:
        return {"value": None, "low": 0.0, "high": None, "status": time.status}
    high = None if time.high == math.inf else time.high
    status = "undetermined" if time.observed and time.low <= 0 and high is None else time.status
    return {"value": time.value, "low": time.low, "high": high, "status": status}


def as_time(entry: Mapping[str, Any]) -> Time:
    """Back to a time: the undetermined is an observation with an open interval."""
    if entry["value"] is None:
        return Time.unknown(entry["status"], "")
    status = "observed" if entry["status"] == "undetermined" else entry["status"]
    high = math.inf if entry["high"] is None else entry["high"]
    return Time(entry["value"], entry["low"], high, status, "")


def ratio(above: Mapping[str, Any], below: Mapping[str, Any]) -> tuple[float, int] | None:
    """Log of a ratio of times, and whether it is seen (0), at least (1) or at most (-1) that; else None."""
    if not {above["status"], below["status"]} <= set(SIDES):
        return None
    up, down = SIDES[above["status"]], -SIDES[below["status"]]
    if up * down < 0:
        return None
    return math.log(above["value"] / below["value"]), up or down


def geometric_mean(logs: Sequence[tuple[float, int] | None]) -> Row:
    """Geometric mean of times or ratios over runs with its 95 % t interval.

    Where some are bounds, all on one side, the mean of the bounds is a bound of the mean, without interval.
    Where bounds lie on both sides, or less than half is known at all, it is undetermined.
    """
    known = [pair for pair in logs if pair is not None]
    sides = {side for _, side in known if side}
    found: Row = {"value": None, "low": None, "high": None, "status": "undetermined"}
    found |= {"known": len(known), "observed": sum(side == 0 for _, side in known)}
    if not known or 2 * len(known) < len(logs) or len(sides) > 1:
        return found
    x = np.array([log for log, _ in known])
    found |= {
        "value": math.exp(x.mean()),
        "status": {1: "at least", -1: "at most"}.get(sum(sides), "observed"),
    }
    if not sides and len(x) > 1:
        half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1)) / math.sqrt(len(x))
        found |= {"low": math.exp(x.mean() - half), "high": math.exp(x.mean() + half)}
    return found


def exponent(rows: Sequence[Row], clock: str) -> Row:
    """Power of n of a clock, censored times included; null where too few were observed."""
    law = fit_scaling([{"n_train": row["n_train"], "time": as_time(row[clock])} for row in rows])
    return power(law, "n_train")


def power(law: ScalingLaw, factor: str) -> Row:
    """The exponent of a factor as plain values, with what it rests on."""
    found = {name: getattr(law.exponents[factor], name) for name in ("value", "low", "high")}
    return {**found, "observed": law.observed, "censored": law.censored, "status": law.status}


def over_seeds(values: Sequence[float]) -> Row:
    """Mean over seeds with its 95 % interval (t), over those where there is a value."""
    x = np.array([value for value in values if math.isfinite(value)])
    if len(x) == 0:
        return {"value": math.nan, "low": math.nan, "high": math.nan, "seeds": 0}
    half = stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)) if len(x) > 1 else math.nan
    return {"value": float(x.mean()), "low": float(x.mean() - half), "high": float(x.mean() + half)} | {
        "seeds": len(x)
    }
