"""What a figure is: its numbers, and its drawing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from matplotlib.figure import Figure

from memhorizon.results import Curve, Estimate, Time

Cell: TypeAlias = float | int | str | bool | None
Row: TypeAlias = dict[str, Cell]


@runtime_checkable
class Picture(Protocol):
    """A figure: its numbers, and its drawing."""

    def frame(self) -> Sequence[Mapping[str, object]]:
        """Return the numbers, one row per point."""
        ...

    def plot(self) -> Figure:
        """Draw it."""
        ...


def interval_cells(answer: Time | Estimate) -> Row:
    """The columns value, low and high of an answer."""
    return {"value": answer.value, "low": answer.low, "high": answer.high}


def curve_rows(curve: Curve, quantity: str) -> list[Row]:
    """One row per point of a curve."""
    return [
        {"quantity": quantity, "step": step, "value": value, "low": low, "high": high}
        for step, value, low, high in points_of(curve)
    ]


def points_of(curve: Curve) -> Iterator[tuple[float, float, float, float]]:
    """Step, value, low and high of each point of a curve."""
    return zip(
        curve.step.tolist(), curve.value.tolist(), curve.low.tolist(), curve.high.tolist(), strict=True
    )
