"""What a run directory holds, read once: its configuration, curves, null, environment and items."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.written import WrittenConfig
from memhorizon.records.check import LAST_STEP
from memhorizon.records.codec import LARGEST, check_plain, decode
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import DataFacts
from memhorizon.records.upgrade import data_facts
from memhorizon.results import Curve, Fraction

LEVELS_BELOW = 5  # of objects and lists within the entries of a run


@dataclass(frozen=True)
class Reading:
    """What a run directory holds, read once."""

    key: str
    config: Config | WrittenConfig
    curves: Mapping[str, Curve]
    null: Fraction | None
    environment: Mapping[str, Plain]
    data: DataFacts
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def last_step(self) -> float:
        """The last step that was measured."""
        return max(float(curve.step[-1]) for curve in self.curves.values())


@dataclass(frozen=True)
class MeasuredRow:
    """One line of measures.jsonl: what was measured at a step, and what it rests on.

    Attributes:
        step: of the snapshot.
        measure: what was measured.
        value: None where it has no finite value.
        t: diffusion time; None where it has none.
        se: standard error; None where there are too few items to know it, or the value is a fraction.
        count: how many of `total` have the property, for a fraction.
        total: samples.
        null_count: how many of `null_total` held-out items have the property.
        null_total: held-out items.
        status: of a distance, how it came about.
        note: details of the status.
    """

    step: int
    measure: str
    value: float | None = None
    t: float | None = None
    se: float | None = None
    count: int | None = None
    total: int | None = None
    null_count: int | None = None
    null_total: int | None = None
    status: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.step <= LAST_STEP:
            raise InputError(f"step: expected a step from 1 to {LAST_STEP:g}, got {self.step}")
        if self.t is not None and not 1 / LARGEST <= self.t < math.inf:
            raise InputError(f"t: expected a positive diffusion time, got {self.t}")
        if self.se is not None and self.se < 0:
            raise InputError(f"se: expected a standard error of at least 0, got {self.se}")

    @property
    def curve(self) -> str:
        """The name of the curve that it belongs to."""
        return self.measure if self.t is None else f"{self.measure}@{self.t:g}"


def read_run(run: RunDir) -> Reading:
    """Everything of a run that a record is made from.

    Raises:
        InputError: if nothing was measured yet, or a file is damaged.
    """
    config = replace(run.about, measure=run.measure_config)
    rows = _rows(run)
    environment = run.environment
    data = _facts(run, environment)
    return Reading(key_of(run), config, _curves(run, rows), _null(rows), environment, data, _notes(rows))


def _facts(run: RunDir, environment: Mapping[str, object]) -> DataFacts:
    """What is known of the items of a run; a damaged environment is refused with them."""
    try:
        check_plain(environment, "environment", depth=LEVELS_BELOW)
        return decode(data_facts(run.data, "data"), DataFacts, "data", others=True)
    except InputError as error:
        raise InputError(f"run: {run.path} is damaged: {error}") from error


def key_of(run: RunDir) -> str:
    """The name of a run."""
    return run.path.absolute().name  # that of "." is empty


def _rows(run: RunDir) -> list[MeasuredRow]:
    """What was measured, each row such that a curve can be made of it."""
    rows = []
    for row in run.measures():
        try:
            rows.append(decode(row, MeasuredRow, "row", others=True))
            _check_evidence(row, rows[-1])
        except InputError as error:
            raise InputError(f"file: {run.path / 'measures.jsonl'} is damaged: {error}") from error
    return rows


def _check_evidence(entries: Mapping[str, object], row: MeasuredRow) -> None:
    """Refuse a row whose value rests on nothing."""
    if "t" in entries and row.t is None:
        raise InputError("row.t: expected a diffusion time, got null")
    _check_value(entries, row)
    _check_pairs(row)


def _check_value(entries: Mapping[str, object], row: MeasuredRow) -> None:
    if "value" not in entries:
        raise InputError("row: missing entries ['value']; expected a number or null")
    if row.value is not None and "se" not in entries and "count" not in entries:
        raise InputError("row: missing entries ['se']; expected a standard error, or a count and its total")


def _check_pairs(row: MeasuredRow) -> None:
    for count, total in (("count", "total"), ("null_count", "null_total")):
        if (getattr(row, count) is None) != (getattr(row, total) is None):
            raise InputError(f"row: expected both {count} and {total} or none, got one")


def _curves(run: RunDir, rows: Sequence[MeasuredRow]) -> dict[str, Curve]:
    """All curves of a run by name: "memorized", "holdout@0.1", "train@0.1", "gap@0.1", "frechet", ...

    Raises:
        InputError: if nothing was measured yet.
    """
    if not rows:
        raise InputError(f"run: nothing is measured yet in {run.path}")
    series: dict[str, list[MeasuredRow]] = {}
    for row in rows:
        if row.value is not None and math.isfinite(row.value):
            series.setdefault(row.curve, []).append(row)
    return {name: _curve(name, points) for name, points in series.items()}


def _curve(name: str, rows: Sequence[MeasuredRow]) -> Curve:
    steps = [row.step for row in rows]
    fractions = _fractions(name, rows)
    if fractions:
        return Curve.of_fractions(steps, fractions, name=name)
    errors = [math.inf if row.se is None or math.isnan(row.se) else row.se for row in rows]  # too few items
    values = [row.value for row in rows if row.value is not None]
    return Curve.of_means(steps, values, errors, name=name)


def _fractions(name: str, rows: Sequence[MeasuredRow]) -> list[Fraction]:
    """The fractions of the counts; none where there are no counts."""
    _check_counts(name, rows)
    pairs = [(row.count, row.total) for row in rows]
    return [Fraction.of(count, total) for count, total in pairs if count is not None and total is not None]


def _check_counts(name: str, rows: Sequence[MeasuredRow]) -> None:
    if len({row.count is None for row in rows}) > 1:
        raise InputError(f"curve: expected counts in all rows of {name!r} or in none, got some")


def _notes(rows: Sequence[MeasuredRow]) -> dict[str, str]:
    """What limits the numbers of a curve, as its last row has it."""
    last = {row.curve: row for row in rows}
    said = {name: ": ".join(filter(None, (row.status, row.note))) for name, row in last.items()}
    return {name: text for name, text in said.items() if last[name].note}


def _null(rows: Sequence[MeasuredRow]) -> Fraction | None:
    """The share of held-out items that count as copies by the same threshold; None without held-out items."""
    for row in rows:
        if row.measure == "memorized":
            if row.null_count is None or row.null_total is None:
                return None
            return Fraction.of(row.null_count, row.null_total)
    return None
