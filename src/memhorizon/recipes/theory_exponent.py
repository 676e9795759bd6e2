"""The smallest score error along training against psi_n, and whether it is a power law (figure 13)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import mean_and_error, write_record
from memhorizon.theory import FeatureModel, loss_curves
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import finite_matrices

FIT = (4.0, 32.0)  # range of psi_n of the paper's fit
COLUMNS = {
    "source": "limit, or true: tanh network at finite d",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "dim": "finite: d",
    "minimum": "smallest E_score over training time",
    "best_time": "training time tau of that minimum",
    "standard_error": "finite: of the minimum, over seeds",
    "seeds": "finite: number of networks",
    "local_exponent": "limit: -d log(minimum)/d log(psi_n), by central differences",
}


def limit_minimum(model: FeatureModel) -> tuple[float, float]:
    """Smallest E_score of the limit and its time: a grid, a finer grid, the parabola through three points."""
    log_tau = np.linspace(np.log(0.1), np.log(1e3), 81) - np.log(model.delta_t)
    for _ in range(2):
        error = loss_curves(model, np.exp(log_tau)).E_score
        i = int(np.clip(np.argmin(error), 1, len(error) - 2))
        x, y = log_tau[i - 1 : i + 2], error[i - 1 : i + 2]
        log_tau = np.linspace(x[0], x[2], 81)
    a, b, c = np.polyfit(x - x[1], y, 2)
    return float(c - b**2 / (4 * a)), float(np.exp(x[1] - b / (2 * a)))


def finite_minimum(model: FeatureModel, dim: int, seed: int) -> tuple[float, float]:
    """The same of one network, on a grid of 1 % in tau."""
    tau = np.geomspace(0.3, 30, 461) / model.delta_t
    error = Modes.of(finite_matrices(model, dim, seed)).flow(tau).E_score
    i = int(np.argmin(error))
    return float(error[i]), float(tau[i])


def limit_rows(psi_p: float, t: float, samples: np.ndarray) -> Iterator[Mapping[str, object]]:
    """Minimum and local exponent along psi_n."""
    minima = [limit_minimum(FeatureModel(n, psi_p, t)) for n in samples]
    slope = -np.gradient(np.log([m for m, _ in minima]), np.log(samples))
    for n, (minimum, best), local in zip(samples, minima, slope, strict=True):
        yield {
            "source": "limit",
            "psi_n": n,
            "psi_p": psi_p,
            "t": t,
            "minimum": minimum,
            "best_time": best,
            "local_exponent": local,
        }


def finite_row(psi_n: float, psi_p: float, t: float, dim: int, seeds: range) -> Mapping[str, object]:
    """Mean over networks."""
    minima = np.array([finite_minimum(FeatureModel(psi_n, psi_p, t), dim, seed) for seed in seeds])
    mean = mean_and_error(minima[:, 0])
    return {
        "source": "true",
        "psi_n": psi_n,
        "psi_p": psi_p,
        "t": t,
        "dim": dim,
        "minimum": mean["mean"],
        "standard_error": mean["standard_error"],
        "seeds": len(seeds),
        "best_time": minima[:, 1].mean(),
    }


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Exponent of a fitted power law over FIT and over everything, and the range of the local one."""
    found = {}
    for key in sorted({(r["source"], r["psi_p"], r["t"]) for r in rows}):
        same = [r for r in rows if (r["source"], r["psi_p"], r["t"]) == key]
        n = np.array([r["psi_n"] for r in same])
        minimum = np.array([r["minimum"] for r in same])
        fits = {}
        for name, part in (("psi_n 4 to 32", (n >= FIT[0]) & (n <= FIT[1])), ("all", n > 0)):
            if part.sum() > 1:
                fits[f"exponent, {name}"] = -np.polyfit(np.log(n[part]), np.log(minimum[part]), 1)[0]
        local = [r["local_exponent"] for r in same if "local_exponent" in r]
        if local:
            fits["local exponent, smallest and largest"] = [min(local), max(local)]
        found["{} psi_p={} t={}".format(*key)] = fits
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/exponent.json. Two minutes on one core; seconds when tiny."""
    samples = np.geomspace(1, 256, 4 if tiny else 33)
    cases = [(32.0, 0.01)] if tiny else [(32.0, 0.01), (64.0, 0.1), (1024.0, 0.01)]
    dim, seeds = (8, range(2)) if tiny else (40, range(6))
    sampled = (4.0,) if tiny else (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

    def rows() -> Iterator[Mapping[str, object]]:
        for psi_p, t in cases:
            yield from limit_rows(psi_p, t, samples)
        for psi_n in sampled:
            yield finite_row(psi_n, 32.0, 0.01, dim, seeds)

    settings = {
        "cases": cases,
        "dim": dim,
        "seeds": list(seeds),
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return write_record(
        out, "exponent", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
