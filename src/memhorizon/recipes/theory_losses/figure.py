"""Losses, gap and score error along training: limit beside networks, and what collapses them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, legend_above
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory.drawing import (
    FINITE,
    LABELS,
    NOTE,
    TAU,
    curve,
    half_width,
    log_x,
    log_y,
    model_text,
)
from memhorizon.recipes.theory.rows import QUANTITIES, Quantity
from memhorizon.recipes.theory_losses.numbers import ROWS, CheckRow, FiniteRow, LimitRow, Panel, Row, Source
from memhorizon.records.table import TableRecord

Factor = Literal["t", "variance"]
GAP_SHARE = r"$L_\mathrm{gen}$ / its end"
SOURCES: Mapping[Source, str] = {"true": "tanh network", "equivalent": "Gaussian equivalent"}
NETWORK = Look(color=FINITE, linestyle="none", marker="o")
SHOWN = slice(16, None, 12)  # places of networks along a curve


def panel_rows(record: TableRecord, panel: Panel) -> list[Row]:
    """The rows of one figure of the paper, or of the check.

    Raises:
        InputError: if it is another record, or has no such rows.
    """
    rows = [row for row in rows_of(record, "losses", ROWS) if row.panel == panel]
    if not rows:
        raise InputError(f"record: expected rows of the panel {panel} in 'losses', got none")
    return rows


def curves(record: TableRecord) -> TablePicture[Row]:
    """Losses, gap and score error against training time, the limit beside tanh networks (figure 5).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return TablePicture(panel_rows(record, "fig5"), draw_curves)


def over_t(record: TableRecord) -> TablePicture[Row]:
    """Gap and score error at several diffusion times, against the timescales of the gap (figure 11).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return TablePicture(panel_rows(record, "fig11"), lambda rows: draw_over(rows, "t"))


def over_variance(record: TableRecord) -> TablePicture[Row]:
    """Gap and score error at several variances of the data, against the timescales of the gap (figure 12).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return TablePicture(panel_rows(record, "fig12"), lambda rows: draw_over(rows, "variance"))


def check(record: TableRecord) -> TablePicture[Row]:
    """How far finite networks are from the limit, against their dimension.

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return TablePicture(panel_rows(record, "check"), draw_check)


def series_looks(rows: Sequence[Row]) -> dict[str, Look]:
    """A look per psi_n."""
    return style.looks(model_text(psi_n=row.psi_n) for row in rows)


def look_of(row: Row, looks: Mapping[str, Look]) -> Look:
    """The look of the psi_n of a row."""
    return looks[model_text(psi_n=row.psi_n)]


# --- figure 5 ---


def draw_curves(rows: Sequence[Row]) -> Figure:
    """Four panels: losses, score error, gap, and gap over its end against tau/psi_n."""
    figure = style.canvas(height=5.2)
    grid = figure.subplots(2, 2)
    looks = series_looks(rows)
    finite = of_kind(rows, FiniteRow)
    for row in of_kind(rows, LimitRow):
        draw_limit(grid, row, look_of(row, looks))
    for row in finite:
        draw_networks(grid, row)
    name_axes(grid)
    name_series(figure, looks, finite)
    return figure


def draw_limit(grid: np.ndarray, row: LimitRow, look: Look) -> None:
    """The curves of one model."""
    curve(grid[0, 0], row.tau, row.L_train, look)
    curve(grid[0, 0], row.tau, row.L_test, look)
    curve(grid[0, 1], row.tau, row.E_score, look)
    curve(grid[1, 0], row.tau, row.L_gen, look)
    curve(grid[1, 1], row.tau / row.psi_n, row.L_gen / row.L_gen[-1], look)


def draw_networks(grid: np.ndarray, row: FiniteRow) -> None:
    """Finite networks at a few times."""
    draw_bars(grid[0, 0], row, "L_train", row.L_train)
    draw_bars(grid[0, 0], row, "L_test", row.L_test)
    draw_bars(grid[0, 1], row, "E_score", row.E_score)
    draw_bars(grid[1, 0], row, "L_gen", row.L_gen)


def draw_bars(axes: Axes, row: FiniteRow, name: Quantity, value: np.ndarray) -> None:
    """One quantity of finite networks at a few times, with 95 % intervals over seeds."""
    half = half_width(row.standard_error[QUANTITIES.index(name)], row.seeds)
    drawn = style.altered(NETWORK, markersize=2.4, elinewidth=0.8, zorder=4)
    axes.errorbar(row.tau[SHOWN], value[SHOWN], yerr=half[SHOWN], **drawn)


def name_axes(grid: np.ndarray) -> None:
    """Words and ends of the axes."""
    words = ("loss", LABELS["E_score"], LABELS["L_gen"], GAP_SHARE)
    for axes, word in zip(grid.ravel(), words, strict=True):
        axes.set(xlabel=TAU, ylabel=word)
        log_x(axes, 1.0, 1e6)
    log_y(grid[0, 1], 0.005, 20.0)
    grid[1, 1].set(xlabel=r"$\tau / \psi_n$", xlim=(0.1, 1e5))


def name_series(figure: Figure, looks: Mapping[str, Look], finite: Sequence[FiniteRow]) -> None:
    """The legend."""
    named = dict(looks)
    if finite:
        named[f"tanh network, d = {finite[0].dim}"] = style.altered(NETWORK, markersize=3)
    legend_above(figure, named, columnspacing=1.2)


# --- figures 11 and 12 ---


def draw_over(rows: Sequence[Row], factor: Factor) -> Figure:
    """A column per value of a factor: the score error, and gap over its end against two timescales."""
    families = grouped(of_kind(rows, LimitRow), lambda row: row.t if factor == "t" else row.variance)
    figure = style.canvas(height=6.0)
    grid = figure.subplots(3, len(families), squeeze=False)
    looks = series_looks(rows)
    for column, value in zip(grid.T, sorted(families), strict=True):
        column[0].set_title(f"t = {value:g}" if factor == "t" else f"variance {value:g}")
        draw_column(column, families[value], looks)
    for axes, word in zip(grid[:, 0], (LABELS["E_score"], GAP_SHARE, GAP_SHARE), strict=True):
        axes.set_ylabel(word)
    legend_above(figure, looks)
    return figure


def draw_column(column: np.ndarray, rows: Sequence[LimitRow], looks: Mapping[str, Look]) -> None:
    """The three panels of one value."""
    score, by_gen, by_third = column
    for row in rows:
        look = look_of(row, looks)
        share = row.L_gen / row.L_gen[-1]
        curve(score, row.tau, row.E_score, look)
        curve(by_gen, row.tau / row.tau_gen, share, look)
        if np.isfinite(row.tau_third):
            curve(by_third, row.tau / row.tau_third, share, look)
    name_column(score, by_gen, by_third)
    if not by_third.lines:
        by_third.set_ylim(by_gen.get_ylim())
        say_empty(by_third)


def name_column(score: Axes, by_gen: Axes, by_third: Axes) -> None:
    """Words and ends of the axes of one column."""
    score.set(yscale="log", xlabel=TAU)
    by_gen.set_xlabel(r"$\tau$ / timescale of generalization")
    by_third.set_xlabel(r"$\tau$ / timescale of the third group")
    log_x(score, 1.0, 1e7)
    log_x(by_gen, 1e-1, 1e6)
    log_x(by_third, 1e-4, 1e2)


def say_empty(axes: Axes) -> None:
    """Say why there is no curve."""
    axes.annotate(
        "no separate third group",
        (0.5, 0.5),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=8,
        color=NOTE,
    )


# --- simulation against the limit ---


def draw_check(rows: Sequence[Row]) -> Figure:
    """A panel per kind of network: the largest deviation of each quantity against d."""
    checks = grouped(of_kind(rows, CheckRow), lambda row: row.source)
    figure = style.canvas(height=2.9)
    grid = figure.subplots(1, len(SOURCES), sharey=True)
    for axes, (source, title) in zip(grid, SOURCES.items(), strict=True):
        axes.set(title=title, xlabel="d", yscale="log", ylim=(1e-4, 0.6))
        draw_deviations(axes, checks[source])
    grid[0].set_ylabel("largest |finite / limit − 1|")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure


def draw_deviations(axes: Axes, rows: Sequence[CheckRow]) -> None:
    """Deviations with 95 % intervals, the quantities beside each other, and a line of slope -1."""
    dims = np.array([row.dim for row in rows], dtype=float)
    value = np.array([row.deviation for row in rows])  # [dims, 4]
    half = np.array([half_width(row.deviation_error, row.seeds) for row in rows])
    low = np.minimum(half, value * 0.999)  # stays above 0 on a logarithmic axis
    looks = style.looks(QUANTITIES)
    for i, name in enumerate(QUANTITIES):
        places = dims * 1.03 ** (i - 1.5)
        bars = [low[:, i], half[:, i]]
        axes.errorbar(places, value[:, i], yerr=bars, label=LABELS[name], **looks[name])
    draw_guide(axes, dims)


def draw_guide(axes: Axes, dims: np.ndarray) -> None:
    """A line of slope -1, and the dimensions below it."""
    guide = 0.35 * dims[0] / dims
    axes.plot(dims, guide, color=style.GREY, linestyle=(0, (4, 3)), linewidth=1, label="slope −1")
    log_x(axes, dims[0] / 1.3, dims[-1] * 1.3)
    axes.set_xticks(dims, [f"{d:g}" for d in dims])
