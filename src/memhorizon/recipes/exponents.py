"""How the exponent of tau_mem in n depends on how it is read: on the level of f_mem and the range of n."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memhorizon.figures.records import curve_of
from memhorizon.recipes.inputs import RESULTS, read_sweeps
from memhorizon.recipes.theory_record import write_record
from memhorizon.results import Fraction
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import memorization_time

SWEEPS = (
    "n_digits",
    "n_fashion",
    "n_mixture_adam",
    "full_batch_mixture",
    "n_mixture_sgd",
    "repetition_mixture",
)
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)
Row = dict[str, Any]

COLUMNS = {
    "sweep": "the record that was read",
    "level": "tau_mem: first time at which f_mem exceeds its null by this much",
    "recorded": "whether the sweep's own record reads tau_mem at this level and from all n",
    "range": "all: every n; up: without the smallest; down: without the largest",
    "n_train": "the n that the law rests on",
    "null": "largest null of the runs",
    "exponent": "tau_mem ~ n^exponent with 95 % interval, censored times included; null where not fitted",
    "observed": "number of times that were observed",
    "censored": "number of times that entered as bounds",
    "status": "fitted, or why the numbers should not be trusted",
}


def null_of(run: Mapping[str, Any]) -> Fraction | float:
    """The null of a run with its counts."""
    null = run["null"]
    return Fraction(**null) if isinstance(null, Mapping) else float(null)


def ranges_of(sizes: Sequence[int]) -> dict[str, list[int]]:
    """All n, those without the smallest, those without the largest."""
    return {"all": list(sizes), "up": list(sizes[1:]), "down": list(sizes[:-1])}


def row_of(record: Mapping[str, Any], level: float, span: str, sizes: Sequence[int]) -> Row:
    """The law of tau_mem at one level from some of the n."""
    runs = [run for run in record["runs"] if run["n_train"] in sizes]
    times = [memorization_time(curve_of(r, "memorized"), level=level, null=null_of(r)) for r in runs]
    law = fit_scaling([{"n_train": r["n_train"], "time": t} for r, t in zip(runs, times, strict=True)])
    power = law.exponents["n_train"]
    nulls = [null.value if isinstance(null, Fraction) else null for null in map(null_of, runs)]
    return {
        "sweep": record["name"],
        "level": level,
        "recorded": span == "all" and level == record["rules"]["memorized"],
        "range": span,
        "n_train": sizes,
        "null": max(nulls),
        "exponent": {name: getattr(power, name) for name in ("value", "low", "high")},
        "observed": law.observed,
        "censored": law.censored,
        "status": law.status,
    }


def rows_of(record: Mapping[str, Any]) -> Iterator[Row]:
    """Every level from all n, and the recorded level from fewer."""
    sizes = sorted({run["n_train"] for run in record["runs"]})
    for level in LEVELS:
        yield row_of(record, level, "all", sizes)
    for span, some in list(ranges_of(sizes).items())[1:]:
        yield row_of(record, record["rules"]["memorized"], span, some)


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The smallest and the largest exponent of each sweep, over levels and over ranges."""
    found: Row = {}
    for sweep in dict.fromkeys(row["sweep"] for row in rows):
        own = [row for row in rows if row["sweep"] == sweep and row["status"] == "fitted"]
        by = {
            "levels": [r for r in own if r["range"] == "all"],
            "ranges": [r for r in own if r["range"] != "all"],
        }
        values = {name: [row["exponent"]["value"] for row in some] for name, some in by.items()}
        found[sweep] = {name: [min(some), max(some)] for name, some in values.items() if some}
    return found


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/exponents.json from the sweeps in `results`. Seconds; nothing is trained."""
    records, inputs = read_sweeps(SWEEPS[: 1 if tiny else None], results)
    return write_record(
        out,
        "exponents",
        lambda: (row for record in records.values() for row in rows_of(record)),
        columns=COLUMNS,
        settings={"inputs": inputs, "levels": LEVELS},
        summary=summarise,
        tiny=tiny,
        recipe="exponents",
    )
