"""Spectra of U: the limit, the Gaussian equivalent and the tanh network (figures 4 and 14 of the paper)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import mean_and_error, write_record
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, spectral_density
from memhorizon.theory.ensembles import Modes, finite_spectrum
from memhorizon.theory.features import finite_matrices, sizes

HALVES = Spectrum.atoms([0.5, 1.5])
PANELS = {
    "fig4_isotropic": FeatureModel(8.0, 64.0, 0.01),
    "fig4_halves": FeatureModel(8.0, 64.0, 0.01, spectrum=HALVES),
    "fig14_more_samples": FeatureModel(32.0, 64.0, 0.01),
}
TINY_PANELS = {"fig4_isotropic": FeatureModel(4.0, 16.0, 0.01)}
DIMS = {"equivalent": 100, "true": 50}
BINS_PER_DECADE, POINTS = 40, 240

COLUMNS = {
    "panel": "model, named after the figure of the paper that shows it",
    "source": "limit, equivalent (Gaussian equivalent at finite d) or true (tanh network)",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "label": "limit: which group the interval holds; atom: the eigenvalues at s2",
    "mass": "limit: fraction of all eigenvalues",
    "eigenvalue": "limit: places, from edge to edge",
    "density": "per unit of eigenvalue, of integral 1 over the whole spectrum",
    "dim": "finite: d",
    "seed": "finite: of W and of the data",
    "edges": "finite: edges of the histogram bins",
    "distance": "finite: largest difference of the distribution functions; true: above the middle of the "
    "lowest interval only, because the atom of the network is smeared",
}


def limit_rows(panel: str, model: FeatureModel) -> Iterator[dict[str, object]]:
    """Density on each interval, on points that crowd at its edges, and the atom."""
    support = bulk_edges(model)
    base = {"panel": panel, "source": "limit", "psi_n": model.psi_n, "psi_p": model.psi_p, "t": model.t}
    if support.atom_weight > 0:
        yield {**base, "label": "atom", "mass": support.atom_weight, "eigenvalue": [support.atom_location]}
    share = np.sin(np.linspace(0, np.pi / 2, POINTS)) ** 2
    for (low, high), mass, label in zip(support.intervals, support.masses, support.labels, strict=True):
        places = low + (high - low) * share
        density = spectral_density(model, places).density
        yield {**base, "label": label, "mass": mass, "eigenvalue": places, "density": density}


def finite_row(panel: str, model: FeatureModel, source: str, dim: int, seed: int) -> dict[str, object]:
    """Histogram of one matrix on logarithmic bins, and its distance from the limit."""
    n, p = sizes(model, dim)
    support = bulk_edges(model)
    if source == "equivalent" and p > n + dim:  # the other p - n - d eigenvalues are s2 exactly
        matrices = finite_matrices(model, dim, seed, features=source).on_span()
        moving = Modes.of(matrices).eigenvalues
        values = np.concatenate([np.full(p - n - dim, support.atom_location), moving])
    else:
        values = finite_spectrum(model, dim, seed, source)
    low, high = np.log10(values[0]) - 0.02, np.log10(values[-1]) + 0.02
    edges = 10 ** np.linspace(low, high, round((high - low) * BINS_PER_DECADE) + 1)
    counts = np.histogram(values, edges)[0]
    above = support.intervals[0].mean() if source == "true" else -np.inf
    return {
        "panel": panel,
        "source": source,
        "psi_n": model.psi_n,
        "psi_p": model.psi_p,
        "t": model.t,
        "dim": dim,
        "seed": seed,
        "edges": edges,
        "density": counts / (p * np.diff(edges)),
        "distance": distance(model, values[values > above], p),
    }


def distance(model: FeatureModel, values: np.ndarray, p: int) -> float:
    """Largest difference of the two distribution functions over the given, topmost eigenvalues of p."""
    s2, atom = bulk_edges(model).atom_location, bulk_edges(model).atom_weight
    values = np.where(np.abs(values / s2 - 1) < 1e-9, s2, values)
    level = spectral_density(model, values).cumulative
    missing = p - len(values)
    right, left = ((missing + np.searchsorted(values, values, side)) / p for side in ("right", "left"))
    return float(max(np.max(np.abs(right - level)), np.max(np.abs(left - level + atom * (values == s2)))))


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Distance from the limit, mean over seeds."""
    keys = sorted({(row["panel"], row["source"]) for row in rows if row["source"] != "limit"})
    return {
        f"distance {panel} {source}": mean_and_error(
            row["distance"] for row in rows if (row["panel"], row["source"]) == (panel, source)
        )
        for panel, source in keys
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/spectra.json. A few minutes on one core; seconds when tiny."""
    panels, seeds = (TINY_PANELS, 1) if tiny else (PANELS, 3)
    dims = {"equivalent": 20, "true": 20} if tiny else DIMS

    def rows() -> Iterator[Mapping[str, object]]:
        for panel, model in panels.items():
            yield from limit_rows(panel, model)
            for source, dim in dims.items():
                for seed in range(seeds):
                    yield finite_row(panel, model, source, dim, seed)

    settings = {"dims": dims, "seeds": list(range(seeds)), "activation": "tanh"}
    return write_record(
        out, "spectra", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
