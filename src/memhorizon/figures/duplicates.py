"""Who is copied first: times against the number of copies, and what tells early images from late ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.records import Row

RULES = {
    "share": "half of its share k/N",
    "count": "half of 1/N, whatever k",
    "distance": "its share, by distance",
}
PREDICTORS = {
    "nearest": "distance to nearest\ntraining image",
    "center": "distance to the mean",
    "sparse": "distance to 10th nearest\nheld-out image",
    "early_loss": "own loss at the\nheld-out minimum",
    "other half": "(its time, from\nother samples)",
}


@dataclass(frozen=True)
class Duplicates:
    """Times of single images, the ratio of those of k copies to those of one, and AUCs."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per image ("time"), per k and rule ("ratio", "ratio at most"), per predictor ("auc")."""
        rows: list[Row] = []
        for seed in self.record["seeds"]:
            for image in seed["images"]:
                about = {"quantity": "time", "seed": seed["seed"], "rule": "share"}
                time = image["times"]["share"]
                rows.append(about | {key: image[key] for key in ("image", "copies")} | time)
        summary = self.record["summary"]
        for rule, found in summary["copies"].items():
            for row in found["by_copies"]:
                if row.get("ratio", {}).get("value") is not None:
                    rows.append({"quantity": "ratio", "rule": rule, "copies": row["copies"]} | row["ratio"])
                elif row.get("at_most") is not None:
                    about = {"quantity": "ratio at most", "rule": rule, "copies": row["copies"]}
                    rows.append(about | {"value": row["at_most"]})
        for rule, found in {**summary["first"], "repeat": [summary["repeat"]]}.items():
            rows += [{"quantity": "auc", "rule": rule} | row for row in found if row["auc"] is not None]
        return rows

    @style.drawing()
    def plot(self) -> Figure:
        """Three panels: times, ratios, AUCs."""
        figure, rows = style.canvas(width=9.4, height=4.3), self.frame()
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
        _times(left, [row for row in rows if row["quantity"] == "time"])
        _ratios(middle, [row for row in rows if row["quantity"].startswith("ratio")])
        _aucs(right, [row for row in rows if row["quantity"] == "auc"])
        return figure


def duplicates(record: Any) -> Duplicates:
    """Times of images that stand in the training set once or more often, and what tells them beforehand.

    Raises:
        InputError: if it is no record of this kind.
    """
    if not isinstance(record, Mapping) or record.get("kind") != "duplicates":
        kind = record.get("kind") if isinstance(record, Mapping) else type(record).__name__
        raise InputError(f"record: expected one of kind 'duplicates', got {kind!r}")
    if missing := sorted({"seeds", "summary"} - set(record)):
        raise InputError(f"record: lacks {missing}")
    return Duplicates(record)


def _copies_axis(axes: Axes, copies: list[int]) -> None:
    axes.set(xscale="log", xlabel="copies k of the image", xlim=(min(copies) / 1.45, max(copies) * 1.45))
    axes.set_xticks(copies, [str(k) for k in copies])
    axes.xaxis.set_minor_locator(NullLocator())


def _times(axes: Axes, every: list[Row]) -> None:
    """Every image of a known time, beside its place by seed, and the median of all images of a k."""
    rows = [row for row in every if row["value"] is not None]
    seeds = sorted({row["seed"] for row in rows})
    spread = dict(zip(seeds, np.linspace(-0.18, 0.18, len(seeds)), strict=True))
    kinds = {"observed": ("o", style.GREY), "not reached": ("^", "none"), "before first": ("v", "none")}
    names = {"not reached": "not reached by then", "before first": "reached before"}
    for status, (marker, face) in kinds.items():
        if own := [row for row in rows if row["status"] == status]:
            x = [row["copies"] * 2 ** spread[row["seed"]] for row in own]
            look = {"marker": marker, "facecolor": face, "edgecolor": style.GREY, "linewidth": 0.7}
            name = names.get(status, "one image, by seed")
            axes.scatter(x, [row["value"] for row in own], s=12, alpha=0.8, label=name, **look)
    copies = sorted({row["copies"] for row in rows})
    for k in copies:
        order = [np.inf if r["status"] == "not reached" else r["value"] for r in rows if r["copies"] == k]
        middle = np.median(order)
        if np.isfinite(middle):
            name = "median" if k == copies[0] else None
            axes.plot([k / 1.25, k * 1.25], [middle] * 2, color="black", linewidth=2.2, label=name)
    style.log_span(axes.yaxis, [row["value"] for row in rows], wide=False)
    _copies_axis(axes, sorted({row["copies"] for row in every}))
    axes.set(ylabel="training step", title="when half of k/N of the samples\nare copies of the image")
    _legend(axes)


def _ratios(axes: Axes, rows: list[Row]) -> None:
    """Ratios to images that stand once, with 95 % intervals over seeds, beside the guide 1/k."""
    copies = [1, *sorted({row["copies"] for row in rows})] if rows else [1, 2]
    axes.axhline(1, color=style.GREY, linewidth=0.8)
    axes.plot(copies, [1 / k for k in copies], color=style.GREY, linestyle=(0, (1, 1.5)), label="1/k")
    for shift, (rule, look) in zip((0.9, 1.0, 1.11), style.looks(RULES).items(), strict=True):
        own = [row for row in rows if row["rule"] == rule and row["quantity"] == "ratio"]
        x = np.array([row["copies"] for row in own]) * shift
        _intervals(axes, x, own, "value", look, RULES[rule], upright=True)
        for row in rows:
            if row["rule"] == rule and row["quantity"] == "ratio at most":
                at, look = (row["copies"] * shift, row["value"]), style.altered(look, linestyle="none")
                axes.errorbar(*at, yerr=0.25 * at[1], uplims=True, **look)
    bounds = [row[key] for row in rows for key in ("value", "low", "high") if row.get(key)]
    style.log_axis(axes.yaxis, min([1 / copies[-1], *bounds]), max([1, *bounds]), wide=False)
    _copies_axis(axes, copies)
    axes.set(
        ylabel=rf"{style.TAU_MEM}(k copies) / {style.TAU_MEM}(one)",
        title="time of k copies over time of one,\nby level; 95 % over seeds",
    )
    _legend(axes)


def _aucs(axes: Axes, rows: list[Row]) -> None:
    """One line per predictor, with 95 % bootstrap intervals; 0.5 says nothing."""
    axes.axvline(0.5, color=style.GREY, linewidth=0.8)
    names, looks = list(PREDICTORS), style.looks(RULES)
    kinds = (("share", 0.14, "copies by ratio"), ("distance", -0.14, "copies by distance"))
    for rule, shift, name in (*kinds, ("repeat", 0.14, "")):
        own = [row for row in rows if row["rule"] == rule]
        y = np.array([len(names) - 1 - names.index(row["predictor"]) + shift for row in own])
        _intervals(axes, y, own, "auc", looks.get(rule, looks["share"]), name, upright=False)
    axes.set_yticks(range(len(names)), list(PREDICTORS.values())[::-1])
    axes.set(xlim=(0, 1), ylim=(-0.5, len(names) - 0.5), xlabel="AUC (0.5: says nothing)")
    axes.set_title("k = 1: larger values first?\n95 % bootstrap")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Below the panel, where no point can lie."""
    style.named(axes, loc="upper center", bbox_to_anchor=(0.5, -0.17), handletextpad=0.4)


def _intervals(
    axes: Axes,
    at: np.ndarray,
    rows: list[Row],
    key: str,
    look: Mapping[str, Any],
    name: str,
    *,
    upright: bool,
) -> None:
    """Points with their intervals, along the vertical axis or the horizontal one."""
    value = np.array([row[key] for row in rows], dtype=float)
    ends = np.array([[row["low"], row["high"]] for row in rows], dtype=float).reshape(-1, 2).T
    error = np.nan_to_num(np.abs(ends - value))
    look = style.altered(look, linestyle="none", markersize=4.5, elinewidth=1.3, label=name or "_")
    if upright:
        axes.errorbar(at, value, yerr=error, **look)
    else:
        axes.errorbar(value, at, xerr=error, **look)
