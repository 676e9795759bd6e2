"""tau_gen of committed sweeps on images, read again from the quality of samples, beside tau_mem."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from memhorizon.experiments.recipe import Found, Request
from memhorizon.experiments.record import read_again
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import Interval, bare, mean_ratio, power_of
from memhorizon.recipes.tables import found_table, grouped
from memhorizon.records.reading import level_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Status, Time
from memhorizon.timescales.pooling import Pooled
from memhorizon.timescales.rules import OF_SAMPLES, Rules

NAME = "windows"
SWEEPS = (
    "n_digits",
    "window_digits",
    "n_fashion",
    "window_fashion",
    "width_digits",
    "width_window_digits",
    "dropout_digits",
)
LOSS = Rules(quality="holdout", t=0.3, tolerance=0.05, memorized=0.1)  # its first descent


@dataclass(frozen=True, kw_only=True)
class Row:
    """The runs of one setting, read from one quality."""

    sweep: Annotated[str, "the record that was read"]
    quality: Annotated[str, "the curve that tau_gen is read from"]
    level: Annotated[float, "of that curve; by the rules of the record, or twice the best value of any run"]
    n_train: Annotated[int, "number of training items"]
    width: Annotated[float, "of the network"]
    dropout: Annotated[float, "of the network"]
    tau_loss: Annotated[tuple[Time, ...], "first descent of the held-out loss, to 5 % above the worst"]
    tau_gen: Annotated[tuple[Time, ...], "of each seed: samples are first as good as the level"]
    tau_mem: Annotated[tuple[Time, ...], "of each seed: f_mem is 0.1 above its null"]
    good: Annotated[int, "seeds whose samples were ever as good as the level"]
    open: Annotated[int, "seeds whose samples were good before copying had begun"]
    window: Annotated[Pooled, "tau_mem / tau_gen, geometric mean over the seeds with both"]


KINDS = (Row,)


def make(request: Request) -> Found:
    """The rows of all sweeps; of one where it is tiny."""
    records = read_inputs(SWEEPS, request)
    rows = [row for record in records for row in rows_of(record)]
    settings = {"inputs": origin_of(records, request.records)}
    summary = {"tau_gen": exponents(rows, _tau_gen), "window": exponents(rows, _ratios)}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summary)


def rows_of(record: SweepRecord) -> Iterator[Row]:
    """Each setting of a sweep, from each quality of samples that all of its runs have."""
    by_loss = {run.key: run.timescales.tau_gen for run in read_again(record, LOSS, laws=False).runs}
    for quality in OF_SAMPLES:
        if all(quality in run.curves for run in record.runs):
            again = read_again(record, rules_of(record, quality), laws=False)
            for runs in grouped(again.runs, _setting).values():
                yield _row(again, quality, runs, [by_loss[run.key] for run in runs])


def rules_of(record: SweepRecord, quality: str) -> Rules:
    """Those of the record where they are of samples, else twice the best value of any run."""
    rules = record.rules
    return replace(rules, quality=quality) if rules.is_of_samples else Rules.of_samples(quality)


def _setting(run: RunRecord) -> tuple[int, object, object]:
    return run.n_train, run.factor("width"), run.factor("dropout")


def _row(record: SweepRecord, quality: str, runs: Sequence[RunRecord], by_loss: Sequence[Time]) -> Row:
    tau_gen = [run.timescales.tau_gen for run in runs]
    tau_mem = [run.timescales.tau_mem for run in runs]
    pairs = [(mem, gen) for mem, gen in zip(tau_mem, tau_gen, strict=True) if gen.observed and mem.known]
    return Row(
        sweep=record.name,
        quality=quality,
        level=_four_digits(level_of(record) or 0.0),
        n_train=runs[0].n_train,
        width=_number(runs[0], "width"),
        dropout=_number(runs[0], "dropout"),
        tau_loss=tuple(map(bare, by_loss)),
        tau_gen=tuple(map(bare, tau_gen)),
        tau_mem=tuple(map(bare, tau_mem)),
        good=sum(time.observed for time in tau_gen),
        open=sum(gen.value < mem.value for mem, gen in pairs),
        window=mean_ratio([mem for mem, _ in pairs], [gen for _, gen in pairs]),
    )


def _four_digits(level: float) -> float:
    """The level as the rule of each time states it."""
    return float(f"{level:.4g}")


def _number(run: RunRecord, factor: str) -> float:
    """What a run has of a hyperparameter; 0 where its network has none."""
    value = run.factor(factor)
    return float(value) if isinstance(value, int | float) else 0.0


def exponents(rows: Sequence[Row], times_in: Callable[[Row], Sequence[Time]]) -> dict[str, Interval]:
    """The exponent of n in some times of each sweep over n, by quality."""
    found = {}
    for (sweep, quality), own in grouped(rows, lambda row: (row.sweep, row.quality)).items():
        sizes = {row.n_train for row in own}
        if len(sizes) >= 4 and len(own) == len(sizes):  # one setting at each n
            pairs = [(float(row.n_train), time) for row in own for time in times_in(row)]
            power = power_of([n for n, _ in pairs], [time for _, time in pairs])
            found[f"{sweep}, {quality}"] = Interval(power.value, power.low, power.high)
    return found


def _tau_gen(row: Row) -> Sequence[Time]:
    return row.tau_gen


def _ratios(row: Row) -> list[Time]:
    """tau_mem / tau_gen of each seed that has good samples; a bound where copying was not reached."""
    found = []
    for mem, gen in zip(row.tau_mem, row.tau_gen, strict=True):
        if gen.observed and mem.known:
            ratio = mem.value / gen.value
            high = ratio if mem.observed else math.inf
            low = 0.0 if mem.status is Status.BEFORE_FIRST else ratio
            found.append(Time(ratio, low, max(high, ratio), mem.status))
    return found
