"""Spectra of the random-features theory, and the shares of its groups of eigenvalues."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import FINITE, Table, half_width, long, model_text, table, values, where

GROUPS = {"sub_bulk": "third", "rho_1": "first", "rho_2": "second"}
EQUIVALENT, LIMIT = "#9ecae1", "#111111"


def spectra(record: Any) -> Table:
    """Density of the eigenvalues of U: the limit with its atom, beside finite networks.

    Raises:
        InputError: if it is not the record of the recipe theory_spectra.
    """
    return table(record, "spectra", _spectra)


def _spectra(rows: Sequence[Row]) -> Figure:
    panels = values(rows, "panel")
    figure = style.canvas(height=0.7 + 1.75 * len(panels))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        own = where(rows, panel=panel)
        axes.set(xscale="log", yscale="log", ylim=(3e-5, 3e3), ylabel="density per ln λ")
        spectrum = "two variances, 0.5 and 1.5" if "halves" in panel else "one variance"
        axes.set_title(f"{model_text(own[0])}, {spectrum}")
        for source in ("equivalent", "true"):
            _histogram(axes, where(own, source=source), source)
        for row in where(own, source="limit"):
            _interval(axes, row)
    grid[-1].set_xlabel("eigenvalue λ of U")
    dims = {row["source"]: row["dim"] for row in rows if "dim" in row}
    named = {
        "limit": Line2D([], [], color=LIMIT, linewidth=1.4),
        f"Gaussian equivalent, d = {dims.get('equivalent')}": Line2D([], [], color=EQUIVALENT, linewidth=5),
        f"tanh network, d = {dims.get('true')}": Line2D([], [], color=FINITE, linewidth=1.1),
    }
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=3)
    return figure


def _histogram(axes: Axes, rows: Sequence[Row], source: str) -> None:
    """Histograms of all seeds over one another: filled for the equivalent, a line for the network."""
    for row in rows:
        edges, density = np.array(row["edges"]), np.array(row["density"])
        height = density * np.sqrt(edges[1:] * edges[:-1])
        if source == "equivalent":
            axes.stairs(height, edges, fill=True, color=EQUIVALENT, alpha=1 / len(rows) + 0.2, linewidth=0)
        else:
            axes.stairs(height, edges, color=FINITE, linewidth=0.8, alpha=0.8, baseline=None)


def _interval(axes: Axes, row: Row) -> None:
    """An interval of the support with its density, or the atom, named with its mass."""
    place = np.array(row["eigenvalue"])
    if row["label"] == "atom":
        axes.plot([place[0]] * 2, [3e-5, 20], color=LIMIT, linewidth=1.4)
        name, at, top = "atom", place[0], 20.0
    else:
        height = place * np.array(row["density"])
        axes.plot(place, height, color=LIMIT, linewidth=1.3)
        name, at, top = GROUPS[row["label"]], place[height.argmax()], height.max()
    offset = {
        "xytext": (0, 4),
        "textcoords": "offset points",
        "ha": "center",
        "fontsize": 7.5,
    }
    axes.annotate(f"{name}\n{row['mass']:.2g}", (at, top), linespacing=1.05, **offset)


def third_group(record: Any) -> Table:
    """Which group of eigenvalues carries the fall of the train loss: limit, equivalent, network.

    Raises:
        InputError: if it is not the record of the recipe theory_third_group.
    """
    return table(record, "third_group", _third_group)


def _third_group(rows: Sequence[Row]) -> Figure:
    models = list(dict.fromkeys((row["psi_n"], row["psi_p"], row["t"]) for row in rows))
    figure = style.canvas(height=0.9 + 2.3 * ((len(models) + 1) // 2))
    grid = figure.subplots((len(models) + 1) // 2, 2, sharey=True, squeeze=False).ravel()
    looks = style.looks(GROUPS.values())
    for axes, (psi_n, psi_p, t) in zip(grid, models, strict=False):
        own = where(rows, psi_n=psi_n, psi_p=psi_p, t=t)
        axes.set_title(model_text(own[0]))
        _limit_shares(axes, where(own, panel="limit"), looks)
        _finite_shares(axes, where(own, panel="finite"), looks)
        axes.set(yscale="log", ylim=(3e-3, 1.5))
    for axes in grid[::2]:
        axes.set_ylabel("share of the train-loss drop")
    for axes in grid[len(models) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], **style.altered(look, linestyle="none")) for look in looks.values()]
    names = [f"{name} group" if name == "third" else f"{name} bulk" for name in looks]
    line = Line2D([], [], color=style.GREY, linestyle=(0, (4, 2)))
    figure.legend([*handles, line], [*names, "limit"], loc="outside upper center", ncols=4)
    return figure


def _limit_shares(axes: Axes, rows: Sequence[Row], looks: dict[str, dict[str, Any]]) -> None:
    """The limit as lines across the panel; intervals of one group are added up."""
    shares: dict[str, float] = {}
    for row in rows:
        for point in long(row):
            name = str(GROUPS.get(point["groups"], point["groups"]))
            shares[name] = shares.get(name, 0.0) + point["shares"]
    for name, look in looks.items():
        if name in shares:
            axes.axhline(shares[name], color=look["color"], linestyle=(0, (4, 2)), linewidth=1)


def _finite_shares(axes: Axes, rows: Sequence[Row], looks: dict[str, dict[str, Any]]) -> None:
    """Means over seeds with 95 % intervals, one place per kind of network and dimension."""
    kinds = list(dict.fromkeys((row["features"], row["equal_norms"]) for row in rows))
    places: list[str] = []
    for kind in kinds:
        for dim in values(where(rows, features=kind[0], equal_norms=kind[1]), "dim"):
            own = where(rows, features=kind[0], equal_norms=kind[1], dim=dim)
            shares = np.array([row["shares"] for row in own])  # [seeds, groups]
            half = half_width(shares.std(axis=0, ddof=1) / np.sqrt(len(own)), len(own))
            for i, name in enumerate(own[0]["groups"]):
                look = style.altered(looks[name], linestyle="none", capsize=2, markersize=4)
                axes.errorbar([len(places)], [shares[:, i].mean()], yerr=[half[i]], **look)
            places.append(f"{dim}")
    axes.set_xticks(range(len(places)), places)
    axes.set_xlabel("d of the network")
    names = {
        ("equivalent", False): "equivalent",
        ("true", False): "tanh",
        ("true", True): "tanh, equal norms",
    }
    each = len(places) // max(len(kinds), 1)
    for i, kind in enumerate(kinds):
        if i:
            axes.axvline(i * each - 0.5, color="#cccccc", linewidth=0.7)
        at = (i * each + (each - 1) / 2, 1.03)
        axes.annotate(names[kind], at, ha="center", va="bottom", fontsize=7.5, color="#555555")
    axes.set_xlim(-0.5, len(places) - 0.5)
