"""Spectra of U: the limit, the Gaussian equivalent and the tanh network (figures 4 and 14 of the paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.recipes.theory.rows import Features, ModelRow, place_of
from memhorizon.theory import FeatureModel, Spectrum, Support, bulk_edges, spectral_density
from memhorizon.theory.ensembles import Modes, finite_spectrum
from memhorizon.theory.features import finite_matrices, sizes
from memhorizon.timescales.pooling import MeanError, mean_and_error

HALVES = Spectrum.atoms([0.5, 1.5])
PANELS = {
    "fig4_isotropic": FeatureModel(8.0, 64.0, 0.01),
    "fig4_halves": FeatureModel(8.0, 64.0, 0.01, spectrum=HALVES),
    "fig14_more_samples": FeatureModel(32.0, 64.0, 0.01),
}
BINS_PER_DECADE = 40
MARGIN = 0.02  # decades that the bins go beyond the smallest and the largest eigenvalue
POINTS = 240  # places on each interval
SAME = 1e-9  # relative distance from s2 at which an eigenvalue counts into the atom


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        panels: the models by the names of their panels.
        dims: d of the networks of each kind.
        seeds: how many there are of each.
    """

    panels: Mapping[str, FeatureModel]
    dims: Mapping[Features, int]
    seeds: int


HERE = Sizes(PANELS, {"equivalent": 100, "true": 50}, 3)
TINY = Sizes({"fig4_isotropic": FeatureModel(4.0, 16.0, 0.01)}, {"equivalent": 20, "true": 20}, 1)


@dataclass(frozen=True, kw_only=True)
class PanelRow(ModelRow):
    """A row about one panel of the picture."""

    panel: Annotated[str, "model, named after the figure of the paper that shows it"]


@dataclass(frozen=True, kw_only=True)
class LimitRow(PanelRow):
    """A part of the limit: the atom at s2, or an interval of the support."""

    source: Annotated[
        Literal["limit"], "limit, equivalent (Gaussian equivalent at finite d) or true (tanh network)"
    ]
    label: Annotated[str, "limit: which group the interval holds; atom: the eigenvalues at s2"]
    mass: Annotated[float, "limit: fraction of all eigenvalues"]
    eigenvalue: Annotated[Float[np.ndarray, " m"], "limit: places, from edge to edge"]
    density: Annotated[
        Float[np.ndarray, " m"] | None, "per unit of eigenvalue, of integral 1 over the whole spectrum"
    ] = None


@dataclass(frozen=True, kw_only=True)
class FiniteRow(PanelRow):
    """The histogram of one matrix U at finite d."""

    source: Annotated[Features, "limit, equivalent (Gaussian equivalent at finite d) or true (tanh network)"]
    dim: Annotated[int, "finite: d"]
    seed: Annotated[int, "finite: of W and of the data"]
    edges: Annotated[Float[np.ndarray, " k"], "finite: edges of the histogram bins"]
    density: Annotated[
        Float[np.ndarray, " m"], "per unit of eigenvalue, of integral 1 over the whole spectrum"
    ]
    distance: Annotated[
        float,
        "finite: largest difference of the distribution functions; true: above the middle of the lowest "
        "interval only, because the atom of the network is smeared",
    ]


Row = LimitRow | FiniteRow
ROWS = (LimitRow, FiniteRow)


def limit_rows(panel: str, model: FeatureModel) -> list[LimitRow]:
    """The atom, and the density on each interval of the support."""
    support = bulk_edges(model)
    rows = [interval_row(panel, model, support, i) for i in range(len(support.labels))]
    if support.atom_weight > 0:
        rows.insert(0, atom_row(panel, model, support))
    return rows


def atom_row(panel: str, model: FeatureModel, support: Support) -> LimitRow:
    """The eigenvalues at s2."""
    return LimitRow(
        panel=panel,
        source="limit",
        **place_of(model),
        label="atom",
        mass=support.atom_weight,
        eigenvalue=np.array([support.atom_location]),
    )


def interval_row(panel: str, model: FeatureModel, support: Support, i: int) -> LimitRow:
    """The density on one interval, on places that crowd at its edges: low + (high - low) sin^2."""
    low, high = support.intervals[i]
    places = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, POINTS)) ** 2
    return LimitRow(
        panel=panel,
        source="limit",
        **place_of(model),
        label=support.labels[i],
        mass=float(support.masses[i]),
        eigenvalue=places,
        density=spectral_density(model, places).density,
    )


def finite_row(panel: str, model: FeatureModel, source: Features, dim: int, seed: int) -> FiniteRow:
    """Histogram of one matrix on logarithmic bins, and its distance from the limit."""
    _, p = sizes(model, dim)
    values = eigenvalues(model, source, dim, seed)
    edges = bins(values)
    counts = np.histogram(values, edges)[0]
    above = float(bulk_edges(model).intervals[0].mean()) if source == "true" else -np.inf
    return FiniteRow(
        panel=panel,
        source=source,
        **place_of(model),
        dim=dim,
        seed=seed,
        edges=edges,
        density=counts / (p * np.diff(edges)),
        distance=distance(model, values[values > above], p),
    )


def eigenvalues(model: FeatureModel, source: Features, dim: int, seed: int) -> Float[np.ndarray, " p"]:
    """Eigenvalues of U of one network, ascending.

    In the Gaussian equivalent p - n - d of them are s2 exactly: only the others are computed.
    """
    n, p = sizes(model, dim)
    fixed = p - n - dim
    if source == "true" or fixed <= 0:
        return finite_spectrum(model, dim, seed, source)
    moving = Modes.of(finite_matrices(model, dim, seed, features=source).on_span()).eigenvalues
    return np.concatenate([np.full(fixed, bulk_edges(model).atom_location), moving])


def bins(values: Float[np.ndarray, " p"]) -> Float[np.ndarray, " m"]:
    """Edges of logarithmic bins from the first of the values to the last."""
    low = np.log10(values[0]) - MARGIN
    high = np.log10(values[-1]) + MARGIN
    return 10 ** np.linspace(low, high, round((high - low) * BINS_PER_DECADE) + 1)


def distance(model: FeatureModel, values: Float[np.ndarray, " m"], p: int) -> float:
    """Largest difference of the two distribution functions over the given, topmost eigenvalues of p."""
    support = bulk_edges(model)
    s2 = support.atom_location
    values = np.where(np.abs(values / s2 - 1) < SAME, s2, values)
    # F of the limit at each value, from the right; from the left the atom is missing
    from_right = spectral_density(model, values).cumulative
    from_left = from_right - support.atom_weight * (values == s2)
    # the same of the matrix: the values that are not given all lie below
    below = p - len(values)
    counted_right = (below + np.searchsorted(values, values, "right")) / p
    counted_left = (below + np.searchsorted(values, values, "left")) / p
    apart_right = np.max(np.abs(counted_right - from_right))
    apart_left = np.max(np.abs(counted_left - from_left))
    return float(max(apart_right, apart_left))


def summarise(rows: Sequence[Row]) -> dict[str, MeanError]:
    """Distance from the limit, mean over seeds."""
    networks = grouped(of_kind(rows, FiniteRow), lambda row: f"distance {row.panel} {row.source}")
    return {name: mean_and_error([row.distance for row in same]) for name, same in sorted(networks.items())}
