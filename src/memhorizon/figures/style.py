"""What all pictures share: the theme, colours that survive grey print, axes of steps, intervals, saving."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import matplotlib
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from PIL import Image

from memhorizon.errors import InputError
from memhorizon.experiments.run_directory import write_atomically
from memhorizon.figures.records import reading
from memhorizon.results import Time

THEME: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 9.0,
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
WIDTH = 7.2  # inches, the text width of a two-column paper
GREY = "#777777"
TAU_GEN, TAU_MEM = r"$\tau_\mathrm{gen}$", r"$\tau_\mathrm{mem}$"
FRAME = "#d1330f"  # around copies
LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (5, 1.4, 1, 1.4)),
    (0, (1, 1.2)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@runtime_checkable
class Picture(Protocol):
    """A figure: its numbers, and its drawing."""

    def frame(self) -> list[dict[str, Any]]:
        """Return the numbers, one row per point."""
        ...

    def plot(self) -> Figure:
        """Draw it."""
        ...


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the theme of all figures; an entry of the record that cannot be drawn is an InputError."""
    with reading(), matplotlib.rc_context(THEME):
        yield


def label(text: str) -> str:
    """A text of a record as it stands: a dollar sign begins no mathematics."""
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


def looks(series: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, line style and marker of each series of a figure."""
    names = list(dict.fromkeys(series))
    shades = colours(len(names))
    return {
        name: {"color": shades[i], "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(names)
    }


def altered(look: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The same look but for some of its entries."""
    return {**look, **changes}


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


def log_axis(axis: Any, low: float, high: float, *, wide: bool = True) -> None:
    """Make an axis logarithmic, with numbers that people read; fewer of them where it is not wide."""
    decades = np.log10(high / low) * (1 if wide else 2)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=60))
    axis.set_minor_formatter(NullFormatter())


def log_span(axis: Any, values: Iterable[float | None], *, wide: bool = True) -> None:
    """Make an axis logarithmic for those of the values that are known."""
    known = [value for value in values if value]
    if known:
        log_axis(axis, min(known), max(known), wide=wide)


def value_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make the vertical axis logarithmic where positive values span more than a factor of 5."""
    seen = np.asarray(values, dtype=float)
    seen = seen[np.isfinite(seen)]
    if len(seen) and seen.min() > 0 and seen.max() > 5 * seen.min():
        log_axis(axes.yaxis, seen.min(), seen.max())


def band(axes: Axes, step: Any, low: Any, high: Any, colour: str, *, alpha: float = 0.16) -> None:
    """Shade an interval along a curve; without edges, so that it survives grey print as a tint."""
    finite = np.isfinite(low) & np.isfinite(high)
    axes.fill_between(step, low, high, where=finite, color=colour, alpha=alpha, linewidth=0)


def ends(time: Time) -> tuple[float | None, float | None]:
    """Both ends of the interval of a time; None where nothing bounds it."""
    if time.status == "not reached":
        return time.value, None
    if time.status == "before first":
        return None, time.value
    return (time.low if time.low > 0 else None), (time.high if np.isfinite(time.high) else None)


def clock(
    axes: Axes, at: float, time: Time, first: float, last: float, look: Mapping[str, Any], *, filled: bool
) -> None:
    """Draw a time with its interval at height `at`; ends that nothing bounds, and censored times, are arrows.

    What is no time (not measured, still improving) draws nothing.

    Args:
        axes: where; its horizontal axis is the step.
        at: the height.
        time: what to draw.
        first: the first step looked at, where an interval open to the left ends.
        last: the last step looked at.
        look: colour and marker.
        filled: whether the marker is filled (tau_mem) or open (tau_gen).
    """
    if not time.known:
        return
    (low, high), colour = ends(time), look["color"]
    shown = [first if low is None else max(low, first), last if high is None else min(high, last)]
    axes.plot(shown, [at, at], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    for end, start, reach in ((low, shown[0], 0.72), (high, shown[1], 1.39)):
        if end is None:
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (start * reach, at), (start, at), arrowprops=arrow, zorder=3)
    face = colour if filled else "white"
    marker = look["marker"] if time.observed else "|"
    axes.plot([time.value], [at], marker=marker, color=colour, markerfacecolor=face, markersize=5, zorder=4)


def named(axes: Axes, **place: Any) -> None:
    """A legend of what has a name in a panel; none where nothing has."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**place)


def few_ticks(axis: Any, count: int = 5) -> None:
    """At most `count` round ticks and none between them."""
    axis.set_major_locator(MaxNLocator(count))
    axis.set_minor_locator(NullLocator())


def svg(figure: Figure) -> str:
    """Write a figure as SVG text: no date, no random names, so the same numbers give the same bytes."""
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with matplotlib.rc_context(THEME):
        figure.savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def save(figure: Figure, path: Path | str, *, dpi: int = 110) -> None:
    """Write a figure to `path`, whole or not at all; the ending says how, .svg, .pdf or .png.

    Raises:
        InputError: if the ending is none of them.
    """
    path = Path(path)
    if path.suffix == ".svg":
        content = svg(figure).encode()
    elif path.suffix == ".pdf":
        content = _pdf(figure)
    elif path.suffix == ".png":
        buffer = io.BytesIO()
        with matplotlib.rc_context(THEME):
            figure.savefig(buffer, format="png", dpi=dpi)
        content = _smaller(buffer)
    else:
        raise InputError(f"path: expected a name that ends in .svg, .pdf or .png, got {str(path)!r}")
    write_atomically(path, content)


def _pdf(figure: Figure) -> bytes:
    """A figure as PDF, without a date: the same numbers give the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME):
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


def _smaller(png: io.BytesIO) -> bytes:
    """The same picture in 256 colours: a third of the bytes, and no difference to the eye."""
    content = io.BytesIO()
    Image.open(png).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(content, "png", optimize=True)
    return content.getvalue()
