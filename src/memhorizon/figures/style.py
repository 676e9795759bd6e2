"""What all pictures share: the theme, colours that survive grey print, axes, saving."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypedDict, cast

import matplotlib
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import LineStyleType, MarkerType
from PIL import Image

from memhorizon.errors import InputError
from memhorizon.files.plain import write_atomically

WIDTH = 7.2  # inches, the text width of a two-column paper
GREY = "#777777"
DARK = "#444444"
TAU_GEN = r"$\tau_\mathrm{gen}$"
TAU_MEM = r"$\tau_\mathrm{mem}$"
FRAME = "#d1330f"  # around copies
LINES: tuple[LineStyleType, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (5, 1.4, 1, 1.4)),
    (0, (1, 1.2)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
MARKERS: tuple[MarkerType, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")
# multiples of powers of ten at which a logarithmic axis may have numbers, the densest first
STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
TYPE = 9.0  # size of the type, in points
CHARACTER = 0.64  # width of a digit, in sizes of the type


class Look(TypedDict):
    """Colour, line and marker of a series."""

    color: str
    linestyle: LineStyleType
    marker: MarkerType


def theme() -> AbstractContextManager[None]:
    """The settings of matplotlib that all figures are drawn and saved with."""
    return matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
            "font.size": TYPE,
            "axes.titlesize": 9.0,
            "axes.titlelocation": "left",
            "axes.linewidth": 0.7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#444444",
            "axes.labelcolor": "#222222",
            "xtick.color": "#444444",
            "ytick.color": "#444444",
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "lines.linewidth": 1.4,
            "lines.markersize": 4.0,
            "svg.fonttype": "path",
            "svg.hashsalt": "memhorizon",
            "figure.facecolor": "white",
        }
    )


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the theme of all figures.

    Raises:
        InputError: if a number is too large or too small to be drawn.
    """
    try:
        with theme():
            yield
    except ArithmeticError as error:
        raise InputError(f"record: expected numbers that can be drawn, got others ({error})") from error


def label(text: str) -> str:
    """A text of a record as it is written there: a dollar sign begins no mathematics."""
    return text.replace("$", r"\$")


def without(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#555555")
    axes.yaxis.set_major_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def colours(count: int) -> list[str]:
    """Colours for `count` ordered settings: from dark to light, told apart by the colour-blind and in grey.

    >>> colours(2)
    ['#440154', '#44bf70']
    """
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.7, max(count, 1)))
    return [matplotlib.colors.to_hex(shade) for shade in shades]


def looks(series: Iterable[str]) -> dict[str, Look]:
    """Colour, line style and marker of each series of a figure."""
    names = list(dict.fromkeys(series))
    shades = colours(len(names))
    return {
        name: Look(color=shades[i], linestyle=LINES[i % len(LINES)], marker=MARKERS[i % len(MARKERS)])
        for i, name in enumerate(names)
    }


def altered(look: Look, **changes: object) -> Look:
    """The same look but for some of its entries; further ones of matplotlib may be added."""
    return cast(Look, {**look, **changes})


def canvas(width: float = WIDTH, height: float = 3.0) -> Figure:
    """An empty figure, in inches, outside of pyplot."""
    return Figure(figsize=(width, height), layout="constrained")


def plain_number(value: float) -> str:
    """Write a number for a tick or a sentence: 1,200 rather than 1.2e3.

    >>> plain_number(1200.4), plain_number(0.25), plain_number(3e6)
    ('1,200', '0.25', '3,000,000')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def signed(value: float) -> str:
    """Write a number with two decimals, a true minus sign and no minus before nothing.

    >>> signed(-0.25), signed(-0.001)
    ('−0.25', '0.00')
    """
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


class LogTicks(Locator):
    """Round numbers on a logarithmic axis, as many as fit beside each other, and at least two."""

    def __call__(self) -> Sequence[float]:
        """The ticks of the part of the axis that is shown."""
        axis = self.axis
        assert isinstance(axis, Axis)
        low, high = sorted(axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """The densest round numbers between these ends that fit; without any, evenly spaced ones or one."""
        for ticks in _candidates(vmin, vmax):
            if len(ticks) >= 2 and self._fit(ticks):
                return ticks
        even = MaxNLocator(2).tick_values(vmin, vmax)
        shown = [float(tick) for tick in even if vmin <= tick <= vmax]
        return shown if self._fit(shown) else shown[:1]

    def _fit(self, ticks: Sequence[float]) -> bool:
        """Whether the numbers fit beside each other, with a gap of a character and a half."""
        axis = self.axis
        assert isinstance(axis, Axis)
        if not isinstance(axis, XAxis):
            return len(ticks) <= axis.get_tick_space()
        # places and widths in characters
        room = _width_in_points(axis.axes) / (CHARACTER * TYPE)
        low, high = np.log(sorted(axis.get_view_interval()))
        places = room * (np.log(ticks) - low) / (high - low)
        widths = np.array([len(plain_number(tick)) for tick in ticks])
        return bool(np.all(np.diff(places) >= (widths[1:] + widths[:-1]) / 2 + 1.5))


def _width_in_points(axes: Axes) -> float:
    return axes.get_window_extent().width * 72 / axes.figure.dpi


def _candidates(low: float, high: float) -> Iterator[list[float]]:
    """Round numbers between two ends: several in a decade, one, one in several, and the sparsest of many."""
    for steps in STEPS:
        yield round_numbers(low, high, steps)
    decades = round_numbers(low, high, (1.0,))
    for stride in range(2, len(decades)):
        yield decades[::stride]
    for steps in STEPS:
        ticks = round_numbers(low, high, steps)
        yield ticks[:: max(len(ticks) - 1, 1)]


def round_numbers(low: float, high: float, steps: Sequence[float]) -> list[float]:
    """The multiples of powers of ten between two positive ends.

    >>> round_numbers(0.5, 30.0, (1.0, 3.0))
    [1.0, 3.0, 10.0, 30.0]
    """
    if not 0 < low <= high < np.inf:
        return []
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
    return [tick for tick in ticks if low <= tick * (1 + 1e-9) and tick * (1 - 1e-9) <= high]


def log_scale(axis: Axis) -> None:
    """Make an axis logarithmic, with numbers that people read."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogTicks())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=60))
    axis.set_minor_formatter(NullFormatter())


def log_span(axis: Axis, values: Iterable[float | None]) -> None:
    """Make an axis logarithmic where one of the values is known."""
    if any(values):
        log_scale(axis)


def value_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make the vertical axis logarithmic where positive values span more than a factor of 5."""
    seen = np.asarray(values, dtype=float)
    seen = seen[np.isfinite(seen)]
    if len(seen) and seen.min() > 0 and seen.max() > 5 * seen.min():
        log_scale(axes.yaxis)


def categories(axis: Axis, names: Sequence[str]) -> None:
    """Name the places 0, 1, 2, ... of an axis, with no ticks between them."""
    axis.set_ticks(range(len(names)), labels=list(names))
    axis.set_minor_locator(NullLocator())


def band(
    axes: Axes, step: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, *, alpha: float = 0.16
) -> None:
    """Shade an interval along a curve; without edges, so that it survives grey print as a tint."""
    finite = np.isfinite(low) & np.isfinite(high)
    axes.fill_between(step, low, high, where=finite, color=colour, alpha=alpha, linewidth=0)


def named(axes: Axes, **place: object) -> None:
    """A legend of what has a name in a panel; none where nothing has."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**place)


def svg(figure: Figure) -> str:
    """Write a figure as SVG text: no date, no random names, so the same numbers give the same bytes."""
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with theme():
        figure.savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def save(figure: object, path: Path | str, *, dpi: int = 110) -> None:
    """Write a figure to `path`, whole or not at all; the ending says how: .svg, .pdf or .png.

    Args:
        figure: of matplotlib, as `.plot()` of a picture draws it.
        path: of the file.
        dpi: dots per inch of a PNG.

    Raises:
        InputError: if it is no figure, or the ending is none of these.
    """
    if not isinstance(figure, Figure):
        raise InputError(f"figure: expected one of matplotlib (picture.plot()), got {type(figure).__name__}")
    path = Path(path)
    if path.suffix == ".svg":
        content = svg(figure).encode()
    elif path.suffix == ".pdf":
        content = _pdf(figure)
    elif path.suffix == ".png":
        content = _png(figure, dpi)
    else:
        raise InputError(f"path: expected a name that ends in .svg, .pdf or .png, got {str(path)!r}")
    write_atomically(path, content)


def _pdf(figure: Figure) -> bytes:
    """A figure as PDF, without a date: the same numbers give the same bytes."""
    buffer = io.BytesIO()
    with theme():
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


def _png(figure: Figure, dpi: int) -> bytes:
    """A figure in 256 colours: a third of the bytes, and no difference to the eye."""
    full = io.BytesIO()
    with theme():
        figure.savefig(full, format="png", dpi=dpi)
    small = io.BytesIO()
    image = Image.open(full).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()
