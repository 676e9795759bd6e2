"""When pilots cannot tell: the reason, as a status and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from memhorizon.forecasting.design import Design
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.priors import FIXED, FULL, ONLY
from memhorizon.forecasting.times import usable
from memhorizon.results import Status, Time

OF_SIZE = (ONLY, FULL, FIXED)
APART = 3.0  # two times of one setting that lie further apart, as a factor, are of no one law
FALLS = 1.5  # of two sets: the larger one that copies so much earlier, as a factor, contradicts any law
CHANCE = (
    0.01  # with which such a pair differs as much by the scatter alone; the same for the most apart of many
)
SHOWN = 3  # differences that a note names


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer.

    Attributes:
        status: the reason.
        note: in words.
    """

    status: Status
    note: str


def mixed(pilots: Sequence[Pilot]) -> Refusal | None:
    """Refuse pilots that differ in what is no factor of a law."""
    differing = sorted(
        {name for pilot in pilots for name in pilot.setting if _differs(name, pilots)},
    )
    if not differing:
        return None
    named = [f"{name}: {', '.join(_values(name, pilots))}" for name in differing[:SHOWN]]
    return Refusal(Status.MIXED, f"the pilots differ in {'; '.join(named)}")


def _differs(name: str, pilots: Sequence[Pilot]) -> bool:
    return len(_values(name, pilots)) > 1


def _values(name: str, pilots: Sequence[Pilot]) -> list[str]:
    return list(dict.fromkeys(str(pilot.setting.get(name)) for pilot in pilots))


def unmeasured(pilots: Sequence[Pilot], timescale: str) -> Refusal | None:
    """Refuse pilots without a time, or with bounds alone."""
    times = [pilot.time(timescale) for pilot in pilots]
    known = [time for time in times if usable(time)]
    dropped = [time for time in times if not usable(time)]
    reasons = ", ".join(sorted({_useless(time) for time in dropped}))
    if not known:
        return Refusal(Status.NOT_MEASURED, f"no pilot has a {timescale}: {reasons}")
    if not any(time.observed for time in known):
        without = f", {len(dropped)} left out ({reasons})" if dropped else ""
        return Refusal(Status.ALL_CENSORED, f"{_sides(known, len(times), timescale)}{without}")
    return None


def _useless(time: Time) -> str:
    """Why a time says nothing."""
    return f"{time}: it excludes nothing" if time.known else str(time.status)


def _sides(bounds: Sequence[Time], count: int, timescale: str) -> str:
    """On which sides the bounds lie, among so many pilots."""
    early = sum(time.status is Status.BEFORE_FIRST for time in bounds)
    late = len(bounds) - early
    if early:
        rest = f", {late} not by their end" if late else ""
        return f"{early} of {count} pilots had reached {timescale} before their first look{rest}"
    if late == count:
        return f"none of {count} pilots reached {timescale}"
    return f"{late} of {count} pilots had not reached {timescale} by their end"


def contradictory(pilots: Sequence[Pilot], timescale: str) -> Refusal | None:
    """Refuse times of one setting that lie far apart, and sets that are copied long after a larger one."""
    settings: dict[Point, list[Pilot]] = {}
    for pilot in pilots:
        settings.setdefault(pilot.point, []).append(pilot)
    apart = _among(sum(_pairs(len(same)) for same in settings.values()), APART)
    for same in settings.values():
        if note := _far_apart(same, timescale, apart):
            return Refusal(Status.CONTRADICTORY, note)
    note = _falling(settings, timescale) if timescale == "tau_mem" else ""
    return Refusal(Status.CONTRADICTORY, note) if note else None


def _far_apart(same: Sequence[Pilot], timescale: str, apart: float) -> str:
    """Which times of one setting cannot be of one law; empty where all can."""
    latest = max(same, key=lambda pilot: _ends(pilot.time(timescale))[0])
    earliest = min(same, key=lambda pilot: _ends(pilot.time(timescale))[1])
    low = _ends(latest.time(timescale))[0]
    high = _ends(earliest.time(timescale))[1]
    if low <= apart * high:
        return ""
    times = f"{latest.key} ({latest.time(timescale)}) and {earliest.key} ({earliest.time(timescale)})"
    return f"times of one setting lie {low / high:.1f} times apart: {times}"


def _pairs(count: int) -> int:
    """How many pairs there are among so many."""
    return count * (count - 1) // 2


def _among(pairs: int, factor: float) -> float:
    """How far apart the furthest of many pairs may lie where one pair alone may differ by a factor.

    With P pairs, P times less of the tail is left to each (Bonferroni), and log factors grow as its quantile:
    f(P) = f(1) ** (z(CHANCE / 2P) / z(CHANCE / 2)).
    """
    tail = CHANCE / 2
    return factor ** float(ndtri(tail / max(1, pairs)) / ndtri(tail))


def _ends(time: Time) -> tuple[float, float]:
    """The interval within which a time lies as far as it is known."""
    if time.status is Status.NOT_REACHED:
        return time.low, np.inf
    if time.status is Status.BEFORE_FIRST:
        return 0.0, time.high
    return time.low, time.high


def _falling(settings: Mapping[Point, Sequence[Pilot]], timescale: str) -> str:
    """A set that is copied long after a larger one of the same width and rate; empty where there is none."""
    rows = [(point, *_together(same, timescale)) for point, same in settings.items()]
    falls = _among(_pairs(len(rows)), FALLS)
    for small, after, _ in rows:
        for large, _, before in rows:
            alike = (small.width, small.lr) == (large.width, large.lr)
            if (
                alike
                and small.n_train < large.n_train
                and _as_many_passes(small, large)
                and after > falls * before
            ):
                times = f"after {after:,.0f} steps at n = {small.n_train:,.0f}"
                return (
                    f"larger sets are copied earlier: {times}, before {before:,.0f} at {large.n_train:,.0f}"
                )
    return ""


def _as_many_passes(small: Point, large: Point) -> bool:
    """Whether no smaller batch explains that a smaller set takes more steps: half of it needs twice these."""
    if small.batch_size is None or large.batch_size is None:
        return True
    are_full = small.batch_size == small.n_train and large.batch_size == large.n_train
    return are_full or large.batch_size <= small.batch_size


def _together(same: Sequence[Pilot], timescale: str) -> tuple[float, float]:
    """The earliest and the latest that all runs of a setting together allow."""
    ends = [_ends(pilot.time(timescale)) for pilot in same]
    return min(low for low, _ in ends), max(high for _, high in ends)


def assumed(found: Design, observed: Sequence[bool], *, accept_prior: bool) -> Refusal | None:
    """Refuse what only the prior would tell, unless it is accepted."""
    seen = found.pilots[np.array(observed)]
    flat = [name for name, column in zip(found.names, seen.T, strict=True) if np.ptp(column) < 1e-9]
    sizes = [name for name in found.names if name in OF_SIZE]
    without_size = bool(sizes) and all(name in flat for name in sizes)
    lacking = [name for name in flat if name not in OF_SIZE]
    if without_size:
        lacking.append("n_train")
    if lacking and not accept_prior:
        note = (
            f"the pilots that were observed have one value of {', '.join(lacking)}, and the run has another"
        )
        return Refusal(Status.ONE_VALUE, note)
    return (
        Refusal(Status.ASSUMED, f"not measured, but assumed: the exponent of {', '.join(flat)}")
        if flat
        else None
    )
