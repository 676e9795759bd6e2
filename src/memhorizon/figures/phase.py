"""The phase diagram of copying: which runs copy at which n and width, by multiples of their tau_gen."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.labels import axis_label
from memhorizon.figures.picture import Row
from memhorizon.figures.reading import number, sweep_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Status

COPIED = "copied"
PARTLY = "some seeds"
CLEAN = "not copied"
UNKNOWN = "censored"
COLOURS = {COPIED: "#440154", PARTLY: "#8a6aa0", CLEAN: "#e9e3c4", UNKNOWN: "#ffffff"}
HATCH = "////"  # where some runs are censored


@dataclass(frozen=True)
class Cell:
    """Runs of one n and width at one multiple of tau_gen.

    Attributes:
        multiple: of the tau_gen of each run.
        n_train: training items.
        width: of the network.
        copied: runs that have copied by then.
        clean: runs that have not.
        censored: runs of which it is not known.
    """

    multiple: float
    n_train: int
    width: float
    copied: int
    clean: int
    censored: int

    @property
    def known(self) -> int:
        """Runs of which it is known."""
        return self.copied + self.clean

    @property
    def state(self) -> str:
        """What its colour says."""
        if self.known == 0:
            return UNKNOWN
        if self.copied == self.known:
            return COPIED
        return PARTLY if self.copied else CLEAN


@dataclass(frozen=True)
class Phase:
    """Whether a network copies at multiples of its tau_gen, over n_train and width."""

    record: SweepRecord
    multiples: tuple[float, ...] = (1.0, 3.0, 8.0)

    def frame(self) -> list[Row]:
        """One row per cell and multiple: how many of its runs have copied by then, have not, are censored."""
        return [
            {
                "multiple": cell.multiple,
                "n_train": cell.n_train,
                "width": cell.width,
                COPIED: cell.copied,
                CLEAN: cell.clean,
                UNKNOWN: cell.censored,
            }
            for multiple in self.multiples
            for cell in self.cells(multiple)
        ]

    def cells(self, multiple: float) -> list[Cell]:
        """All cells at a multiple of tau_gen, ordered by n and then by width."""
        found: dict[tuple[int, float], list[RunRecord]] = {}
        for run in self.record.runs:
            found.setdefault((run.n_train, number(run, "width") or 0), []).append(run)
        return [_cell(multiple, *place, runs) for place, runs in sorted(found.items())]

    @style.drawing()
    def plot(self) -> Figure:
        """One map per multiple of tau_gen; hatched where runs ended before, or tau_gen is not known."""
        sizes = sorted({run.n_train for run in self.record.runs})
        widths = sorted({number(run, "width") or 0 for run in self.record.runs})
        figure = style.canvas(height=1.5 + 0.42 * len(sizes))
        row = figure.subplots(1, len(self.multiples), sharey=True, squeeze=False)[0]
        for axes, multiple in zip(row, self.multiples, strict=True):
            for cell in self.cells(multiple):
                _draw_cell(axes, widths.index(cell.width), sizes.index(cell.n_train), cell)
            _map_axes(axes, widths, len(sizes))
            axes.set_title(_title(multiple))
        _size_axis(row[0], sizes)
        figure.legend(_handles(), list(COLOURS), loc="outside upper center", ncols=4)
        return figure


def _size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """The numbers of training items, on the left."""
    axes.set_yticks(range(len(sizes)), [f"{size:g}" for size in sizes])
    axes.set_ylabel(axis_label("n_train"))


def _cell(multiple: float, n_train: int, width: float, runs: Sequence[RunRecord]) -> Cell:
    states = [_state(run, multiple) for run in runs]
    return Cell(multiple, n_train, width, states.count(COPIED), states.count(CLEAN), states.count(UNKNOWN))


def _state(run: RunRecord, multiple: float) -> str:
    """Copied by `multiple` times tau_gen, not yet, or not looked at that long."""
    gen = run.timescales.tau_gen
    mem = run.timescales.tau_mem
    if gen.status is Status.NOT_REACHED or not (gen.known and mem.known):
        return UNKNOWN
    moment = multiple * gen.value  # where tau_gen lies before the first look, the latest that it can be
    if mem.status is Status.NOT_REACHED or mem.value > moment:
        return CLEAN if moment <= mem.value else UNKNOWN
    return COPIED if gen.observed else UNKNOWN


def _title(multiple: float) -> str:
    factor = "" if multiple == 1 else f"{multiple:g} "
    return f"at {factor}{style.TAU_GEN}"


def _map_axes(axes: Axes, widths: Sequence[float], rows: int) -> None:
    """The axes of a map: a column per width, a row per n, no frame."""
    axes.set(xlim=(-0.5, len(widths) - 0.5), ylim=(-0.5, rows - 0.5), xlabel=axis_label("width"))
    axes.set_xticks(range(len(widths)), [f"{width:g}" for width in widths])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_cell(axes: Axes, x: int, y: int, cell: Cell) -> None:
    """One cell with its count of runs that have copied, of those that are known."""
    axes.add_patch(_box(x, y, cell))
    if cell.known:
        _write_count(axes, x, y, cell)


def _box(x: int, y: int, cell: Cell) -> Rectangle:
    return Rectangle(
        (x - 0.48, y - 0.47),
        width=0.96,
        height=0.94,
        facecolor=COLOURS[cell.state],
        edgecolor="#999999",
        hatch=HATCH if cell.censored else "",
        linewidth=0.5,
    )


def _write_count(axes: Axes, x: int, y: int, cell: Cell) -> None:
    ink = "white" if cell.state in (COPIED, PARTLY) else "#222222"
    axes.text(x, y, f"{cell.copied}/{cell.known}", ha="center", va="center", color=ink, fontsize=8)


def _handles() -> list[Patch]:
    """The legend: a patch per state."""
    return [
        Patch(
            facecolor=colour,
            hatch=HATCH if state == UNKNOWN else "",
            edgecolor="#555555",
            linewidth=0.6,
        )
        for state, colour in COLOURS.items()
    ]


def phase(record: object, *, multiples: tuple[float, ...] = (1.0, 3.0, 8.0)) -> Phase:
    """Which runs have copied at these multiples of their tau_gen, over n_train and width.

    Raises:
        InputError: if the record is no sweep, a run has no width, or a multiple is not positive.
    """
    sweep = sweep_of(record)
    if any(number(run, "width") is None for run in sweep.runs):
        raise InputError("record: expected runs of networks with a width, got some without")
    if not multiples or min(multiples) <= 0:
        raise InputError(f"multiples: expected positive numbers, got {multiples}")
    return Phase(sweep, multiples)
