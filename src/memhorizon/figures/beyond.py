"""Pictures of the recipes with training of their own: augmentation, halves of the data, guidance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where

STEP = "training step"
COPIES = r"memorized fraction $f_\mathrm{mem}$"
UNIT = (-0.03, 1.03)
CLOCKS = {
    "tau_gen": (style.TAU_GEN, {"color": "#777777", "marker": "o"}),
    "tau_bias": (r"$\tau_\mathrm{bias}$", {"color": "#440154", "marker": "s"}),
    "argmin": ("argmin of held-out loss", {"color": "#31688e", "marker": "D"}),
    "tau_mem": (style.TAU_MEM, {"color": "#44bf70", "marker": "^"}),
}


def augmentation(record: Any) -> Table:
    """Copies along training for each kind of augmentation, and the number of images that it is worth.

    Raises:
        InputError: if it is not the record of the recipe augmentation_digits.
    """
    return table(record, "augmentation_digits", _augmentation)


def halves(record: Any) -> Table:
    """Samples nearer to the own half along training, and when that begins beside the other times.

    Raises:
        InputError: if it is not the record of the recipe halves_digits.
    """
    return table(record, "halves_digits", _halves)


def guidance(record: Any) -> Table:
    """Copies against the step over n, tau_mem by n and guidance, and the times of unequal classes.

    Raises:
        InputError: if it is not the record of the recipe guidance_mixture.
    """
    return table(record, "guidance_mixture", _guidance)


def _runs(axes: Axes, rows: Sequence[Row], name: str, look: Mapping[str, Any], *, unit: float = 1.0) -> None:
    """The curves of the runs of one setting, thin, each with its markers."""
    for row in rows:
        x = np.array(row["step"], dtype=float) / unit
        axes.plot(x, row[name], **style.altered(look, linewidth=0.9, markersize=2.6, alpha=0.85))


def _named(axes: Axes, looks: Mapping[str, Mapping[str, Any]], **changes: Any) -> None:
    """A legend of the looks, below the panel, where no point can lie."""
    handles = [Line2D([], [], **look) for look in looks.values()]
    axes.legend(handles, list(looks), loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, **changes)


def _steps(axes: Axes, rows: Sequence[Row], label: str = STEP) -> None:
    every = [step for row in rows for step in row["step"]]
    style.log_axis(axes.xaxis, min(every), max(every), wide=False)
    axes.set_xlabel(label)


def _places(axes: Axes, names: Sequence[str], label: str = "") -> None:
    """Settings without an order, side by side."""
    axes.set_xticks(range(len(names)), names)
    axes.set(xlim=(-0.5, len(names) - 0.5), xlabel=label)
    axes.xaxis.set_minor_locator(NullLocator())


def _augmentation(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs, groups = where(rows, part="run"), where(rows, part="group")
    kinds = values(runs, "kind")
    looks = style.looks(kinds)
    for kind, look in looks.items():
        _runs(left, where(runs, kind=kind), "memorized", look)
        _runs(middle, where(runs, kind=kind), "holdout", look)
    for axes, label in ((left, COPIES), (middle, "held-out loss, t = 0.3")):
        _steps(axes, runs)
        axes.set_ylabel(label)
        _named(axes, looks)
    style.value_axis(middle, [value for row in runs for value in row["holdout"]])
    n_train = groups[0]["n_train"]
    for place, row in enumerate(groups):
        mark(right, place, row["effective"], looks[row["kind"]])
        right.plot(
            [place - 0.25, place + 0.25], [row["versions"] * n_train] * 2, color="black", linewidth=1.6
        )
    ends = [row["versions"] * n_train for row in groups] + _ends(row["effective"] for row in groups)
    style.log_span(right.yaxis, ends)
    _places(right, [f"{row['kind']}\n({row['versions']})" for row in groups], "versions of each image")
    right.set_ylabel("images without augmentation")
    right.set_title(f"images that are copied as late as\n{n_train} augmented ones; bar: all versions")
    left.set(ylim=UNIT, title=f"copies of {n_train} images\nor of a version of them")
    middle.set_title("loss of images that were\nnot trained on")
    return figure


def _ends(entries: Any) -> list[float]:
    """All numbers of some entries of a record."""
    keys = ("value", "low", "high")
    return [entry[key] for entry in entries for key in keys if entry.get(key)]


def _halves(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs = where(rows, part="run")
    groups = [row for row in where(rows, part="group") if row["n_train"]]
    looks = style.looks(f"n = {n}" for n in values(runs, "n_train"))
    for name, look in looks.items():
        own = where(runs, n_train=int(name.removeprefix("n = ")))
        _runs(left, own, "own", look)
        _runs(middle, own, "copies", look)
        for row in own:
            left.plot([row["argmin"]["value"]], [row["own_at_argmin"]], **_ring(look))
            middle.plot([row["argmin"]["value"]], [row["copies_at_argmin"]], **_ring(look))
    left.axhline(0.5, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    left.set(ylabel="share of samples nearer to the own half", ylim=(0.45, 1.02))
    left.set_title("nearer to the own half\n(ring: argmin of the held-out loss)")
    middle.set(ylabel=COPIES, ylim=UNIT, title="copies\n(ring: the same)")
    for axes in (left, middle):
        _steps(axes, runs)
        _named(axes, looks)
    for shift, (name, (label, look)) in zip((0.88, 0.96, 1.04, 1.13), CLOCKS.items(), strict=True):
        for row in groups:
            changes = {"label": label} if row is groups[0] else {}
            mark(right, row["n_train"] * shift, row[name], look, **changes)
    sizes = [row["n_train"] for row in groups]
    ends = _ends(row[name] for row in groups for name in CLOCKS)
    style.log_span(right.yaxis, ends)
    right.set(xscale="log", xlim=(min(sizes) / 1.4, max(sizes) * 1.4), xlabel="images in a half, n")
    right.set_xticks(sizes, [str(n) for n in sizes])
    right.xaxis.set_minor_locator(NullLocator())
    right.set(ylabel=STEP, title="times, geometric means over pairs\nwith 95 % intervals")
    style.named(right, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return figure


def _ring(look: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 7,
        "markerfacecolor": "none",
        "color": look["color"],
        "linestyle": "none",
    }


def _guidance(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs, groups = where(rows, part="run", case="balanced"), where(rows, part="group")
    both = {"case": "balanced", "class": "both"}
    scales = values(runs, "scale")
    sizes = style.looks(f"n = {n}" for n in values(runs, "n_train"))
    for name, look in sizes.items():
        n_train = int(name.removeprefix("n = "))
        _runs(left, where(runs, scale=0.0, n_train=n_train, **both), "memorized", look, unit=n_train)
    every = [step / row["n_train"] for row in runs for step in row["step"]]
    style.log_axis(left.xaxis, min(every), max(every), wide=False)
    title = "conditional model, w = 0,\nboth classes"
    left.set(xlabel="training step / n", ylabel=COPIES, ylim=UNIT, title=title)
    _named(left, sizes)
    looks = style.looks(f"w = {scale:g}" for scale in scales)
    shifts = np.geomspace(0.9, 1.12, len(scales))
    for shift, scale in zip(shifts, scales, strict=True):
        for row in where(groups, scale=scale, **both):
            mark(middle, row["n_train"] * shift, row["tau_mem"], looks[f"w = {scale:g}"])
    ns = values(runs, "n_train")
    ends = _ends(row["tau_mem"] for row in where(groups, **both))
    style.log_span(middle.yaxis, ends)
    middle.set(xscale="log", xlim=(min(ns) / 1.4, max(ns) * 1.4), xlabel="training items n")
    middle.set_xticks(ns, [str(n) for n in ns])
    middle.xaxis.set_minor_locator(NullLocator())
    middle.set(ylabel=f"{style.TAU_MEM}, steps", title="by guidance, geometric means\nwith 95 % intervals")
    _named(middle, {name: style.altered(look, linestyle="none") for name, look in looks.items()})
    _classes(right, groups)
    return figure


def _classes(axes: Axes, groups: Sequence[Row]) -> None:
    """Times of class 1 over those of class 0 in each case of the n that has all cases."""
    cases = values(groups, "case")
    n_train = where(groups, case=cases[-1])[0]["n_train"]
    own = [where(groups, case=case, n_train=n_train, scale=0.0, **{"class": 1})[0] for case in cases]
    axes.axhline(1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    ratios = {"class_ratio_gen": (style.TAU_GEN, -0.12), "class_ratio": (style.TAU_MEM, 0.12)}
    looks = style.looks(label for label, _ in ratios.values())
    for name, (label, shift) in ratios.items():
        for place, row in enumerate(own):
            mark(axes, place + shift, row[name], looks[label])
    ends = [1.0, *_ends(row[name] for row in own for name in ratios)]
    style.log_span(axes.yaxis, ends, wide=False)
    _places(axes, cases, f"classes (n = {n_train}, w = 0)")
    axes.set(
        ylabel="class 1 / class 0",
        title="time of class 1 over that of class 0\n(rare: a quarter; narrow: variance 1/4)",
    )
    _named(axes, {name: style.altered(look, linestyle="none") for name, look in looks.items()})
