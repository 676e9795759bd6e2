"""What a recipe found that is no sweep: rows in long form, with the meaning of each column."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.records.plain import Plain


@dataclass(frozen=True, repr=False)
class TableRecord:
    """Rows of named columns.

    Attributes:
        name: of the record.
        command: that made it.
        columns: the meaning of each entry of a row, with its unit.
        settings: what was run, seeds included.
        summary: figures drawn from the rows.
        rows: as plain values; `records.codec.decode(row, RowType)` makes them typed again.
        environment: versions, system and machine that made it.
        tiny: whether it only shows that the recipe works.
        claim: what the recipe was to show.
        seconds: time that it took; None where unknown.
        cpu_seconds: time of the processor; None where unknown.
        made: date and time (UTC), where known.
    """

    name: str
    command: str
    columns: Mapping[str, str]
    settings: Mapping[str, Plain]
    summary: Mapping[str, Plain]
    rows: tuple[Mapping[str, Plain], ...]
    environment: Mapping[str, Plain] = field(default_factory=dict)
    tiny: bool = False
    claim: str = ""
    seconds: float | None = None
    cpu_seconds: float | None = None
    made: str = ""

    def __repr__(self) -> str:
        """Name, number of rows and columns."""
        return (
            f"TableRecord({self.name!r}, {len(self.rows)} rows of {', '.join(self.columns) or 'no columns'})"
        )
