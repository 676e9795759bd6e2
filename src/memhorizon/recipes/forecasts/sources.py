"""Groups of committed runs that differ in n and seed alone: pilots, and the runs to forecast."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memhorizon.experiments.pilots import pilots_of_record
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.recipes.inputs import read_sweeps
from memhorizon.recipes.reruns.numbers import NAME as RERUNS
from memhorizon.recipes.reruns.numbers import RunRow
from memhorizon.records.codec import decode
from memhorizon.records.files import load_record
from memhorizon.records.sweep import SweepRecord
from memhorizon.records.table import TableRecord
from memhorizon.results import Status, Time

IMAGES = ("n_digits", "n_fashion", "width_digits")
MIXTURES = ("n_mixture_adam", "full_batch_mixture", "n_mixture_sgd", "repetition_mixture", "width_mixture")
SWEEPS = (*IMAGES, *MIXTURES)
AGAIN = {"n_mixture_adam": None, "repetition_mixture": 16.0}  # done again: the batch, None for the whole set
FAMILIES = {"n_digits": "digits", "width_digits": "digits", "n_fashion": "fashion"}


@dataclass(frozen=True)
class Group:
    """Runs that differ in n and seed alone.

    Attributes:
        sweep: the record, with "again" where they are from reruns.
        setting: what tells them from other groups of the record.
        family: "digits", "fashion" or "mixture".
        pilots: the runs.
    """

    sweep: str
    setting: str
    family: str
    pilots: tuple[Pilot, ...]


def groups_of(records: Sequence[SweepRecord]) -> Iterator[Group]:
    """The groups of sweeps, by width where that is varied."""
    for record in records:
        by_width: dict[float | None, list[Pilot]] = {}
        for pilot in pilots_of_record(record):
            by_width.setdefault(pilot.point.width, []).append(pilot)
        for width, pilots in by_width.items():
            setting = f"width {width:g}" if len(by_width) > 1 else ""
            yield Group(record.name, setting, FAMILIES.get(record.name, "mixture"), tuple(pilots))


def groups_again(folder: Path) -> Iterator[Group]:
    """The sweeps that were done again with other seeds and items."""
    record = load_record(folder / f"{RERUNS}.json")
    assert isinstance(record, TableRecord)
    rows = [decode(row, RunRow) for row in record.rows if row.get("part") == "run"]
    for sweep, batch in AGAIN.items():
        pilots = tuple(_pilot(row, batch) for row in rows if row.sweep == sweep)
        yield Group(f"{sweep} again", "", "mixture", pilots)


def _pilot(row: RunRow, batch: float | None) -> Pilot:
    n = float(row.value)
    point = Point(n, n if batch is None else min(n, batch))
    nothing = Time.unknown(Status.NOT_MEASURED, "")
    return Pilot(f"{row.sweep} {n:g} {row.seed}", point, row.tau_mem, nothing, row.seed, batch)


def every_group(folder: Path, *, tiny: bool) -> list[Group]:
    """All groups; those of the first sweep where it is tiny."""
    if tiny:
        return list(groups_of(read_sweeps(SWEEPS[:1], folder)))
    return [*groups_of(read_sweeps(SWEEPS, folder)), *groups_again(folder)]
