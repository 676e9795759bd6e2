"""Pictures of the random-features theory: spectra of U, loss curves, timescales against psi_n."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.picture import Row
from memhorizon.figures.style import Look
from memhorizon.results import Time
from memhorizon.theory import FeatureModel, LossCurves, ModelTimescales, SpectralDensity, Support

TAU = r"training time $\tau$"
PSI_N = r"$\psi_n = n/d$"


@dataclass(frozen=True)
class Spectra:
    """The density of eigenvalues of U, one curve for each model.

    Attributes:
        models: what was computed.
        supports: of their spectra.
        densities: one for each interval of the support, for each model.
    """

    models: tuple[FeatureModel, ...]
    supports: tuple[Support, ...]
    densities: tuple[tuple[SpectralDensity, ...], ...]

    def frame(self) -> list[Row]:
        """One row for each place."""
        rows = []
        for model, support, intervals in zip(self.models, self.supports, self.densities, strict=True):
            for label, found in zip(support.labels, intervals, strict=True):
                rows += _density_rows(model, label, found)
        return rows

    def plot(self) -> Figure:
        """Draw it."""
        with style.drawing():
            figure = style.canvas(height=3.0)
            axes = figure.subplots()
            looks = _looks(self.models)
            for model, support, intervals in zip(self.models, self.supports, self.densities, strict=True):
                _draw_spectrum(axes, support, intervals, _name(model), looks[_name(model)])
            axes.set(xlabel=r"eigenvalue $\lambda$ of $U$", ylabel=r"$\lambda\,\rho(\lambda)$")
            axes.set(xscale="log", ylim=(0, None), title=_title(self.models[0]))
            _legend(axes, self.models)
        return figure


def spectra(
    models: Sequence[FeatureModel],
    supports: Sequence[Support],
    densities: Sequence[Sequence[SpectralDensity]],
) -> Spectra:
    """Picture the spectra of U: mass per unit of log eigenvalue, the atom as a vertical line.

    Args:
        models: what was computed.
        supports: of their spectra.
        densities: one for each interval of the support, for each model.
    """
    return Spectra(tuple(models), tuple(supports), tuple(map(tuple, densities)))


@dataclass(frozen=True)
class Losses:
    """Losses against training time, one set of curves for each model."""

    models: tuple[FeatureModel, ...]
    curves: tuple[LossCurves, ...]

    def frame(self) -> list[Row]:
        """One row for each model and time."""
        rows = []
        for model, found in zip(self.models, self.curves, strict=True):
            columns = zip(found.tau, found.L_train, found.L_test, found.L_gen, found.E_score, strict=True)
            names = ("tau", "L_train", "L_test", "L_gen", "E_score")
            rows += [
                {"psi_n": model.psi_n, **dict(zip(names, map(float, row), strict=True))} for row in columns
            ]
        return rows

    def plot(self) -> Figure:
        """Draw it."""
        with style.drawing():
            figure = style.canvas(height=3.0)
            left, right = figure.subplots(1, 2)
            looks = _looks(self.models)
            for model, found in zip(self.models, self.curves, strict=True):
                look = looks[_name(model)]
                _line(left, found.tau, found.L_test, look, linestyle="-", label=_name(model))
                _line(left, found.tau, found.L_train, look, linestyle="--", marker="")
                _line(right, found.tau, _score(found), look, label=_name(model))
            left.set(xlabel=TAU, ylabel="test loss, train loss (dashed)", title=_title(self.models[0]))
            right.set(xlabel=TAU, ylabel=_score_label(self.curves[0]))
            for axes in (left, right):
                axes.set(xscale="log", yscale="log")
            _legend(left, self.models)
        return figure


def losses(models: Sequence[FeatureModel], curves: Sequence[LossCurves]) -> Losses:
    """Picture loss curves: train and test loss, and the score error (L_gen where there is none).

    Args:
        models: what was computed.
        curves: of each model.
    """
    return Losses(tuple(models), tuple(curves))


@dataclass(frozen=True)
class Times:
    """Both timescales against psi_n."""

    models: tuple[FeatureModel, ...]
    timescales: tuple[ModelTimescales, ...]

    def frame(self) -> list[Row]:
        """One row for each model: every time by its name, infinite where it is not reached."""
        rows = []
        for model, found in zip(self.models, self.timescales, strict=True):
            named = {"tau_gen": found.tau_gen, "tau_mem": found.tau_mem, **found.others}
            rows.append({"psi_n": model.psi_n, **{name: time.value for name, time in named.items()}})
        return rows

    def plot(self) -> Figure:
        """Draw it."""
        with style.drawing():
            figure = style.canvas(width=0.6 * style.WIDTH, height=3.0)
            axes = figure.subplots()
            psi_n = np.array([model.psi_n for model in self.models], dtype=float)
            order = np.argsort(psi_n)
            looks = style.looks([style.TAU_GEN, style.TAU_MEM])
            for name, values in zip(looks, self._values(), strict=True):
                face = "white" if name == style.TAU_GEN else None
                axes.plot(psi_n[order], values[order], label=name, markerfacecolor=face, **looks[name])
            _draw_unreached(axes, psi_n, [found.tau_mem for found in self.timescales])
            axes.set(xscale="log", yscale="log", xlabel=PSI_N, ylabel=TAU, title=_title(self.models[0]))
            style.log_scale(axes.xaxis)
            axes.legend()
        return figure

    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        """tau_gen and tau_mem, NaN where they are not reached."""
        gen = np.array([found.tau_gen.value for found in self.timescales])
        mem = np.array([found.tau_mem.value for found in self.timescales])
        return np.where(np.isfinite(gen), gen, np.nan), np.where(np.isfinite(mem), mem, np.nan)


def times(models: Sequence[FeatureModel], timescales: Sequence[ModelTimescales]) -> Times:
    """Picture tau_gen and tau_mem against psi_n; arrows where tau_mem is not reached in any time.

    Args:
        models: what was computed.
        timescales: of each model.
    """
    return Times(tuple(models), tuple(timescales))


def _name(model: FeatureModel) -> str:
    """A model in the legend."""
    return rf"$\psi_n$ = {model.psi_n:g}"


def _title(model: FeatureModel) -> str:
    """What all models of a picture share."""
    return rf"$\psi_p$ = {model.psi_p:g}, t = {model.t:g}"


def _looks(models: Sequence[FeatureModel]) -> dict[str, Look]:
    return style.looks(_name(model) for model in models)


def _legend(axes: Axes, models: Sequence[FeatureModel]) -> None:
    """Name the models, where they fit."""
    if len(models) <= 12:
        axes.legend()


def _line(axes: Axes, tau: np.ndarray, values: np.ndarray, look: Look, **changes: object) -> None:
    """A curve at finite times, with a few markers so that it is known in grey."""
    finite = np.isfinite(tau)
    every = max(1, int(finite.sum()) // 6)
    changed = {"markersize": 3.2, "markevery": every, **changes}
    axes.plot(tau[finite], values[finite], **style.altered(look, **changed))


def _score(found: LossCurves) -> np.ndarray:
    """The score error; L_gen where the data are not Gaussian."""
    return (
        np.where(found.L_gen > 0, found.L_gen, np.nan) if np.all(np.isnan(found.E_score)) else found.E_score
    )


def _score_label(found: LossCurves) -> str:
    return r"$L_\mathrm{gen}$" if np.all(np.isnan(found.E_score)) else "score error"


def _density_rows(model: FeatureModel, label: str, found: SpectralDensity) -> list[Row]:
    columns = zip(found.eigenvalues, found.density, found.cumulative, strict=True)
    names = ("eigenvalue", "density", "cumulative")
    shared = {"psi_n": model.psi_n, "group": label}
    return [{**shared, **dict(zip(names, map(float, row), strict=True))} for row in columns]


def _draw_spectrum(
    axes: Axes,
    support: Support,
    intervals: Sequence[SpectralDensity],
    name: str,
    look: Look,
) -> None:
    """Every interval from edge to edge, and the atom."""
    color = look["color"]
    for i, found in enumerate(intervals):
        low, high = support.intervals[i]
        x = np.concatenate([[low], found.eigenvalues, [high]])
        y = np.concatenate([[0.0], found.eigenvalues * found.density, [0.0]])
        axes.plot(x, y, color=color, linestyle=look["linestyle"], label=name if i == 0 else None)
        axes.fill_between(x, y, color=color, alpha=0.12, linewidth=0)
    if support.atom_weight > 0:
        axes.axvline(support.atom_location, color=color, linestyle=":", linewidth=1.0)


def _draw_unreached(axes: Axes, psi_n: np.ndarray, times: Sequence[Time]) -> None:
    """Arrows at the top where the level is never reached."""
    never = psi_n[[not np.isfinite(time.value) for time in times]]
    if len(never):
        place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(never, np.full(len(never), 0.97), "^", color=style.GREY, label="not reached", **place)
