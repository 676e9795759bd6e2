"""Which group of eigenvalues carries the fall of the train loss: limit, equivalent, network."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, legend_above, without_line
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory.drawing import DASHED, NOTE, half_width, row_text
from memhorizon.recipes.theory_third_group.numbers import GROUPS, ROWS, FiniteRow, LimitRow, Row
from memhorizon.records.table import TableRecord

OF_LIMIT = {"sub_bulk": "third", "rho_1": "first", "rho_2": "second"}  # what the limit calls the groups
NAMES = {"third": "third group", "first": "first bulk", "second": "second bulk"}
NETWORKS = {
    ("equivalent", False): "equivalent",
    ("true", False): "tanh",
    ("true", True): "tanh, equal norms",
}


def shares(record: TableRecord) -> TablePicture[Row]:
    """Shares of the groups in the fall of the train loss, a panel per model.

    Raises:
        InputError: if it is not the record of the recipe theory_third_group.
    """
    return TablePicture(rows_of(record, "third_group", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A panel per model."""
    models = grouped(rows, row_text)
    lines = (len(models) + 1) // 2
    figure = style.canvas(height=0.9 + 2.3 * lines)
    grid = figure.subplots(lines, 2, sharey=True, squeeze=False).ravel()
    looks = style.looks(GROUPS)
    for axes, (title, model) in zip(grid, models.items(), strict=False):
        axes.set_title(title)
        draw_limit(axes, of_kind(model, LimitRow), looks)
        draw_networks(axes, of_kind(model, FiniteRow), looks)
        axes.set(yscale="log", ylim=(3e-3, 1.5))
    for axes in grid[::2]:
        axes.set_ylabel("share of the train-loss drop")
    for axes in grid[len(models) :]:
        axes.set_visible(False)
    name_series(figure, looks)
    return figure


def name_series(figure: Figure, looks: Mapping[str, Look]) -> None:
    """The legend."""
    groups = {NAMES[name]: look for name, look in without_line(looks).items()}
    legend_above(figure, {**groups, "limit": Look(color=style.GREY, linestyle=DASHED, marker="")})


def limit_shares(rows: Sequence[LimitRow]) -> dict[str, float]:
    """Shares of the limit by group; intervals of one group are added up."""
    found: dict[str, float] = defaultdict(float)
    for row in rows:
        for label, share in zip(row.groups, row.shares.tolist(), strict=True):
            found[OF_LIMIT.get(label, label)] += share
    return found


def draw_limit(axes: Axes, rows: Sequence[LimitRow], looks: Mapping[str, Look]) -> None:
    """The limit as lines across the panel."""
    found = limit_shares(rows)
    for name, look in looks.items():
        if name in found:
            axes.axhline(found[name], color=look["color"], linestyle=DASHED, linewidth=1)


def draw_networks(axes: Axes, rows: Sequence[FiniteRow], looks: Mapping[str, Look]) -> None:
    """Means over seeds with 95 % intervals, one place per kind of network and dimension."""
    kinds = grouped(rows, kind_of)
    places = [place for same in kinds.values() for place in grouped(same, lambda row: row.dim).values()]
    for at, place in enumerate(places):
        draw_place(axes, at, place, looks)
    axes.set_xticks(range(len(places)), [str(place[0].dim) for place in places])
    axes.set_xlabel("d of the network")
    axes.set_xlim(-0.5, len(places) - 0.5)
    name_kinds(axes, list(kinds), len(places))


def kind_of(row: FiniteRow) -> str:
    """The kind of a network in words."""
    return NETWORKS[row.features, row.equal_norms]


def draw_place(axes: Axes, at: int, rows: Sequence[FiniteRow], looks: Mapping[str, Look]) -> None:
    """The networks of one kind and dimension: means over seeds with intervals."""
    found = np.array([row.shares for row in rows])  # [seeds, groups]
    mean = found.mean(axis=0)
    half = half_width(found.std(axis=0, ddof=1) / np.sqrt(len(rows)), len(rows))
    for i, name in enumerate(rows[0].groups):
        look = style.altered(looks[name], linestyle="none", capsize=2, markersize=4)
        axes.errorbar([at], [mean[i]], yerr=[half[i]], **look)


def name_kinds(axes: Axes, names: Sequence[str], places: int) -> None:
    """The kinds of networks above the panel, with lines between them."""
    each = places // max(len(names), 1)
    for i, name in enumerate(names):
        if i:
            axes.axvline(i * each - 0.5, color="#cccccc", linewidth=0.7)
        middle = i * each + (each - 1) / 2
        axes.annotate(name, (middle, 1.03), ha="center", va="bottom", fontsize=7.5, color=NOTE)
