"""The exponent of tau_mem in n by the level of f_mem and by the range of n, from committed sweeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import Interval, power_of
from memhorizon.recipes.tables import found_table, grouped
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Fraction, Status, Time
from memhorizon.timescales.times import memorization_time

NAME = "exponents"
SWEEPS = (
    "n_digits",
    "n_fashion",
    "n_mixture_adam",
    "full_batch_mixture",
    "n_mixture_sgd",
    "repetition_mixture",
)
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)
Range = Literal["all", "up", "down"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """The law of tau_mem at one level from some of the n."""

    sweep: Annotated[str, "the record that was read"]
    level: Annotated[float, "tau_mem: first time at which f_mem exceeds its null by this much"]
    recorded: Annotated[bool, "whether the sweep's record reads tau_mem at this level and from all n"]
    range: Annotated[Range, "all: every n; up: without the smallest; down: without the largest"]
    n_train: Annotated[tuple[int, ...], "the n that the law rests on"]
    null: Annotated[float, "largest null of the runs"]
    exponent: Annotated[Interval, "tau_mem ~ n^exponent with 95 % interval, censored times included"]
    observed: Annotated[int, "number of times that were observed"]
    censored: Annotated[int, "number of times that entered as bounds"]
    status: Annotated[Status, "of the fit"]
    note: Annotated[str, "details of the status"] = ""


KINDS = (Row,)


def make(request: Request) -> Found:
    """The rows of all sweeps; of one where it is tiny."""
    records = read_inputs(SWEEPS, request)
    rows = [row for record in records for row in rows_of(record)]
    settings = {"inputs": origin_of(records, request.records), "levels": LEVELS}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summarise(rows))


def rows_of(record: SweepRecord) -> Iterator[Row]:
    """Every level from all n, and the recorded level from fewer."""
    sizes = tuple(sorted({run.n_train for run in record.runs}))
    for level in LEVELS:
        yield row_of(record, level, "all", sizes)
    yield row_of(record, record.rules.memorized, "up", sizes[1:])
    yield row_of(record, record.rules.memorized, "down", sizes[:-1])


def row_of(record: SweepRecord, level: float, span: Range, sizes: tuple[int, ...]) -> Row:
    """The law of tau_mem at one level from some of the n."""
    runs = [run for run in record.runs if run.n_train in sizes]
    power = power_of([run.n_train for run in runs], [time_at(run, level) for run in runs])
    return Row(
        sweep=record.name,
        level=level,
        recorded=span == "all" and level == record.rules.memorized,
        range=span,
        n_train=sizes,
        null=max(null_of(run).value for run in runs),
        exponent=Interval(power.value, power.low, power.high),
        observed=power.observed,
        censored=power.censored,
        status=power.status,
        note=power.note,
    )


def time_at(run: RunRecord, level: float) -> Time:
    """When f_mem exceeds its null by a level."""
    return memorization_time(run.curves["memorized"], level=level, null=null_of(run))


def null_of(run: RunRecord) -> Fraction:
    """The share of held-out items that count as copies, which runs of these sweeps have."""
    assert run.null is not None
    return run.null


def summarise(rows: Sequence[Row]) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """The smallest and the largest exponent of each sweep, over levels and over ranges."""
    return {sweep: extremes(own) for sweep, own in grouped(rows, lambda row: row.sweep).items()}


def sweeps_of(rows: Sequence[Row]) -> list[str]:
    """The sweeps, each once."""
    return list(dict.fromkeys(row.sweep for row in rows))


def extremes(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """The smallest and the largest fitted exponent of one sweep, over levels and over ranges."""
    fitted = [row for row in rows if row.status is Status.FITTED]
    over = {
        "levels": [row.exponent.value for row in fitted if row.range == "all"],
        "ranges": [row.exponent.value for row in fitted if row.range != "all"],
    }
    return {name: (min(values), max(values)) for name, values in over.items() if values}
