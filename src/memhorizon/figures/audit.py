"""Pictures of an audit: the statistic of each view against its null, and the p-values by their rank."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.labels import printable
from memhorizon.figures.picture import Row
from memhorizon.records.audit import AuditRecord, ViewFacts

SAMPLES = "#440154"
NULL = "#aaaaaa"
LIMIT = "#777777"
LONGEST = 30  # characters of the name of a view
POINTS = 300  # of the p-values that are drawn, evenly spaced on the logarithmic axis of ranks


def audit_of(record: object) -> AuditRecord:
    """Return the record itself if it is that of an audit.

    Raises:
        InputError: if it is anything else.
    """
    if not isinstance(record, AuditRecord):
        kind = type(record).__name__
        raise InputError(f"record: expected an AuditRecord (load_record gives one), got {kind}")
    return record


@dataclass(frozen=True)
class Statistics:
    """The statistic of samples and of reference items, one histogram for each view."""

    views: tuple[ViewFacts, ...]

    def frame(self) -> list[Row]:
        """One row per view and bin: its ends, counts, and shares of all items."""
        return [row for view in self.views for row in _bins(view)]

    @style.drawing()
    def plot(self) -> Figure:
        """A panel per view, two beside each other: the null filled, samples as a line."""
        columns = min(len(self.views), 2)
        rows = math.ceil(len(self.views) / columns)
        figure = style.canvas(style.WIDTH, 2.1 * rows + 0.5)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, view in zip(panels, self.views, strict=False):
            _histogram(axes, view)
        for axes in panels[len(self.views) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel("share of items")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


def _bins(view: ViewFacts) -> list[Row]:
    columns = {
        "low": view.edges[:-1],
        "high": view.edges[1:],
        "samples": view.samples,
        "reference": view.reference,
        "samples_share": _shares(view.samples),
        "reference_share": _shares(view.reference),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{"view": view.name, **dict(zip(columns, row, strict=True))} for row in rows]


def _shares(counts: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Counts over their sum; zeros where there are none."""
    return counts / max(counts.sum(), 1.0)


def _histogram(axes: Axes, view: ViewFacts) -> None:
    """Shares per bin on a logarithmic axis, for it is the few near 0 that count."""
    samples = _shares(view.samples)
    null = _shares(view.reference)
    seen = np.concatenate([samples, null])
    seen = seen[seen > 0]
    floor = float(seen.min()) / 2 if len(seen) else 0.5
    axes.stairs(
        np.maximum(null, floor), view.edges, baseline=floor, fill=True, color=NULL, label="reference items"
    )
    axes.stairs(
        np.maximum(samples, floor),
        view.edges,
        baseline=floor,
        color=SAMPLES,
        linewidth=1.5,
        label="samples",
    )
    style.log_scale(axes.yaxis)
    axes.set_ylim(floor, 2 * max(float(seen.max()) if len(seen) else 1.0, floor))
    name = style.label(printable(view.name[:LONGEST]))
    axes.set_title(f"{name}: {view.copies:,} {'copy' if view.copies == 1 else 'copies'}")
    axes.set_xlabel("statistic (near 0: a copy)")


def statistics(record: object) -> Statistics:
    """The statistic of each view among the samples and among the reference items, its null.

    Raises:
        InputError: if it is no record of an audit, has no view, or the counts of a view are no histogram.
    """
    views = audit_of(record).views
    if not views:
        raise InputError("record: expected views of the items, got none")
    for view in views:
        _check_view(view)
    return Statistics(views)


def _check_view(view: ViewFacts) -> None:
    columns = (view.edges[1:], view.samples, view.reference)
    if len({len(column) for column in columns}) > 1 or not len(view.samples):
        got = [len(column) for column in columns]
        raise InputError(f"views: expected a count for each bin of {view.name!r}, got lengths {got}")
    rising = np.isfinite(view.edges).all() and (np.diff(view.edges) > 0).all()
    counts = np.concatenate([view.samples, view.reference])
    if not rising or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise InputError(f"views: expected rising edges and counts from 0 in {view.name!r}, got others")


@dataclass(frozen=True)
class PValuePlot:
    """The p-values in rising order, with the line of Benjamini and Hochberg.

    Attributes:
        index: the samples, those with the smallest p-values first. [m]
        p: their p-values. [m]
        q: the smallest false-discovery rate at which each is reported. [m]
        is_copy: whether each is reported. [m]
        rate: the false-discovery rate of the audit.
        resolution: the smallest p-value that was possible.
    """

    index: tuple[int, ...]
    p: tuple[float, ...]
    q: tuple[float, ...]
    is_copy: tuple[bool, ...]
    rate: float
    resolution: float

    @property
    def limit(self) -> Float[np.ndarray, " m"]:
        """The line: rate k / m at rank k."""
        m = len(self.p)
        return self.rate * np.arange(1, m + 1) / m

    def frame(self) -> list[Row]:
        """One row per sample: its rank, p-value, q-value, and the limit at its rank."""
        columns = zip(self.index, self.p, self.q, self.limit.tolist(), self.is_copy, strict=True)
        return [
            {"rank": rank, "index": index, "p": p, "q": q, "limit": limit, "is_copy": is_copy}
            for rank, (index, p, q, limit, is_copy) in enumerate(columns, start=1)
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """Sorted p-values against their rank, both axes logarithmic."""
        figure = style.canvas(style.WIDTH, 3.2)
        axes = figure.subplots()
        self._draw_points(axes)
        self._draw_lines(axes)
        style.log_scale(axes.xaxis)
        style.log_scale(axes.yaxis)
        least = min(self.resolution, self.rate / len(self.p), min(self.p))
        axes.set_ylim(least / 1.6, 1.6)
        axes.set(xlabel="rank of the sample, by its p-value", ylabel="p-value")
        axes.legend(loc="upper left")
        return figure

    def _draw_points(self, axes: Axes) -> None:
        """The samples: of many those at some ranks."""
        shown = _ranks(len(self.p))
        p = np.array(self.p)[shown - 1]
        copied = np.array(self.is_copy)[shown - 1]
        axes.plot(shown[~copied], p[~copied], "o", color=LIMIT, markersize=3, label="not reported")
        axes.plot(shown[copied], p[copied], "s", color=SAMPLES, markersize=4, label="reported as copies")

    def _draw_lines(self, axes: Axes) -> None:
        """The limit rate k / m at rank k, the expected p-values k / m, and the smallest possible one."""
        m = len(self.p)
        k = np.array([1, max(m, 2)])
        axes.plot(k, self.rate * k / m, color=style.FRAME, label=f"limit at a rate of {self.rate:g}")
        axes.plot(k, k / m, "--", color=LIMIT, linewidth=1, label="expected of honest samples")
        axes.axhline(self.resolution, color=LIMIT, linestyle=":", linewidth=1, label="smallest possible")


def _ranks(m: int) -> Int[np.ndarray, " k"]:
    """All ranks of few samples; of many, ranks that are evenly spaced on a logarithmic axis."""
    return np.unique(np.geomspace(1, m, POINTS).round().astype(int))


def p_values(record: object) -> PValuePlot:
    """The p-values of all samples in rising order.

    Raises:
        InputError: if it is no record of an audit, or has no samples.
    """
    audit = audit_of(record)
    if not (audit.samples and 0 < audit.resolution <= 1):
        got = f"{len(audit.samples)} samples, resolution {audit.resolution:g}"
        raise InputError(f"record: expected samples and a resolution within (0, 1], got {got}")
    ordered = sorted(audit.samples, key=lambda one: (one.p, one.index))
    return PValuePlot(
        index=tuple(one.index for one in ordered),
        p=tuple(float(one.p) for one in ordered),
        q=tuple(float(one.q) for one in ordered),
        is_copy=tuple(one.is_copy for one in ordered),
        rate=audit.fdr,
        resolution=audit.resolution,
    )
