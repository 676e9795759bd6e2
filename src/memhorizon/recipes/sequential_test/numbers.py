"""Looks at every snapshot of a training whose share of copies moves, simulated.

Beside the e-process with a start at every look stand the one with a single start, which a long honest time
blinds, and the test of one look of a size that is fixed before (exact binomial, power 90 %), which has to
know when copies begin.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int64
from scipy import stats

from memhorizon.experiments.recipe import Found, Request
from memhorizon.monitor.sequential import alternatives, log_ratio, run_test
from memhorizon.recipes.tables import found_table, of_kind
from memhorizon.results import Fraction

NAME = "sequential_test"
Q0 = 0.01
ALPHA = 0.05
LOOKS = 40
SIZE = 64
POWER = 0.9
RUNS = 4000
BEGINS = (0, 20)  # look at which copies begin
SHARES = (0.02, 0.05, 0.1, 0.3)
AFTER = 40  # looks that are simulated after copies begin
FEWER = 500  # trainings of which delays are medians

# share of copies at each look, within the hypothesis
PATHS: dict[str, Callable[[int], float]] = {
    "at the limit": lambda k: Q0,
    "rises to the limit": lambda k: Q0 * k / (LOOKS - 1),
    "jumps to the limit half way": lambda k: Q0 * (k >= LOOKS // 2),
    "to and fro": lambda k: Q0 * (k % 2),
    "half of the limit": lambda k: Q0 / 2,
}


@dataclass(frozen=True, kw_only=True)
class LevelRow:
    """False stops along one path within the hypothesis."""

    part: Annotated[Literal["level"], "false stops along a path within the hypothesis"] = "level"
    path: Annotated[str, "share of copies along the looks"]
    size: Annotated[str, "samples of a look"]
    stops: Annotated[Fraction, "trainings that are stopped falsely"]


@dataclass(frozen=True, kw_only=True)
class DelayRow:
    """How soon copies are seen."""

    part: Annotated[Literal["delay"], "how soon copies are seen"] = "delay"
    share: Annotated[float, "of copies from the look on at which they begin"]
    begins: Annotated[int, "look at which copies begin; before it there are none"]
    looks: Annotated[float, "median of the looks after that until the stop; infinity where most never stop"]
    samples: Annotated[float, "median of their samples"]
    single_start: Annotated[float, "median of the samples with a single start of the test"]
    fixed: Annotated[int, "samples of one look of fixed size with a power of 90 %"]


Row = LevelRow | DelayRow
KINDS = (LevelRow, DelayRow)


def make(request: Request) -> Found:
    """Simulate."""
    runs = 100 if request.tiny else RUNS
    fewer = 20 if request.tiny else FEWER
    rows = [*level_rows(runs), *delay_rows(fewer)]
    settings = {"q0": Q0, "alpha": ALPHA, "size": SIZE, "looks": LOOKS, "runs": runs, "power": POWER}
    largest = max(row.stops.value for row in of_kind(rows, LevelRow))
    return found_table(NAME, rows, KINDS, settings=settings, summary={"most false stops": largest})


def level_rows(runs: int) -> Iterator[LevelRow]:
    """False stops, with looks of one size and of sizes that differ."""
    sizes = {"64": [SIZE] * LOOKS, "64, every tenth 528": [528 if k % 10 == 9 else 64 for k in range(LOOKS)]}
    for name, path in PATHS.items():
        shares = [path(k) for k in range(LOOKS)]
        for words, size in sizes.items():
            stops = sum(stop is not None for stop in stops_of(shares, size, runs, seed=1))
            yield LevelRow(path=name, size=words, stops=Fraction.of(stops, runs))


def stops_of(shares: Sequence[float], sizes: Sequence[int], runs: int, *, seed: int) -> list[int | None]:
    """The look at which each of some simulated trainings is stopped."""
    return [run_test(row, sizes, q0=Q0, alpha=ALPHA) for row in drawn(shares, sizes, runs, seed).tolist()]


def drawn(
    shares: Sequence[float], sizes: Sequence[int], runs: int, seed: int
) -> Int64[np.ndarray, "runs looks"]:
    """Samples called copies at each look."""
    return np.random.default_rng(seed).binomial(sizes, shares, size=(runs, len(sizes)))


def delay_rows(runs: int) -> Iterator[DelayRow]:
    """Delays for each share and each look at which copies begin."""
    for share in SHARES:
        for begins in BEGINS:
            shares = [0.0] * begins + [share] * AFTER
            sizes = [SIZE] * len(shares)
            delay = median_delay(stops_of(shares, sizes, runs, seed=2), begins)
            single = [single_start(row, sizes) for row in drawn(shares, sizes, runs, 2).tolist()]
            yield DelayRow(
                share=share,
                begins=begins,
                looks=delay,
                samples=delay * SIZE,
                single_start=median_delay(single, begins) * SIZE,
                fixed=fixed_size(share),
            )


def median_delay(stops: Sequence[int | None], begins: int) -> float:
    """The median of the looks after copies begin until the stop; infinity for those that never stop."""
    return float(np.median([math.inf if stop is None else stop + 1 - begins for stop in stops]))


def single_start(copies: Sequence[int], sizes: Sequence[int]) -> int | None:
    """The same test with one product from the first look on."""
    products = np.zeros(len(alternatives(Q0)))
    for look, (count, size) in enumerate(zip(copies, sizes, strict=True)):
        products = products + log_ratio(count, size, Q0)
        mixed = float(np.logaddexp.reduce(products)) - math.log(len(products))
        if mixed >= -math.log(ALPHA):
            return look
    return None


def fixed_size(share: float) -> int:
    """The smallest look of fixed size whose exact binomial test of q0 has a power of 90 %.

    >>> fixed_size(0.3)
    12
    """
    size = 1
    while True:
        # the smallest count that is as rare as alpha where the share is q0
        count = int(stats.binom.isf(ALPHA, size, Q0)) + 1
        if stats.binom.sf(count - 1, size, share) >= POWER:
            return size
        size += 1
