"""Score error on data from two Gaussian classes, by exact training of finite networks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import mean_and_error, write_record
from memhorizon.theory import FeatureModel
from memhorizon.theory.activations import resolve
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import FiniteMatrices, finite_matrices
from memhorizon.theory.mehler import gaussian_moments

TAU = np.geomspace(0.1, 1e5, 121)
PSI_P, T = 16.0, 0.1
COLUMNS = {
    "separation": "|mu|^2/d of the two classes at +mu and -mu, each N(+-mu, I), equally likely",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "dim": "d",
    "seeds": "number of networks",
    "tau": "training time, steps * learning rate/d^2",
    "L_train": "train loss per coordinate, mean over seeds",
    "L_test": "test loss per coordinate, mean over seeds",
    "E_score": "mean square distance to the true score, (L_test - L_opt)/Delta, mean over seeds",
    "E_score_error": "its standard error",
    "L_opt": "test loss of the true score",
    "best": "smallest E_score: mean, standard error, and its time (median)",
}


def mixture_matrices(psi_n: float, dim: int, seed: int, separation: float) -> FiniteMatrices:
    """The network of a seed, its data moved to +mu or -mu; averages over noise and classes are exact."""
    model, sigma = FeatureModel(psi_n, PSI_P, T), resolve("tanh")
    start = finite_matrices(model, dim, seed)
    rng = np.random.default_rng([seed, 1])
    mu = rng.standard_normal(dim)
    mu *= np.sqrt(separation * dim) / np.linalg.norm(mu)
    data = start.data + mu[:, None] * rng.choice([-1.0, 1.0], size=start.data.shape[1])
    shift, delta, W = model.decay / np.sqrt(dim), model.delta_t, start.W
    classes = shift * W @ np.stack([mu, -mu], axis=1)
    U, V, points, _ = gaussian_moments(sigma, W, shift * W @ data, np.full(dim, delta), delta)
    U_test, V_test, _, _ = gaussian_moments(sigma, W, classes, np.ones(dim), delta)
    floor = 1 - delta * fisher_information(model.decay * np.sqrt(separation * dim), dim) / dim
    return replace(start, U=U, V=V, U_test=U_test, V_test=V_test, data=data, points=points, floor=floor)


def fisher_information(distance: float, dim: int) -> float:
    """E|grad log P|^2 of two equal Gaussians of unit covariance at +-distance along one axis, for L_opt."""
    x = np.linspace(-12, distance + 12, 40_001)
    density = np.exp(-((x - distance) ** 2) / 2) / np.sqrt(2 * np.pi)
    score = distance * np.tanh(distance * x) - x  # by symmetry one of the classes is enough
    return dim - 1 + float(np.trapezoid(score**2 * density, x))


def row(psi_n: float, dim: int, seeds: range, separation: float) -> dict[str, object]:
    """Mean curves over seeds."""
    found = []
    for seed in seeds:
        matrices = mixture_matrices(psi_n, dim, seed, separation)
        curves = Modes.of(matrices).flow(TAU)
        found.append([curves.L_train, curves.L_test, curves.E_score])
    train, test, error = np.array(found).transpose(1, 0, 2)
    return {
        "separation": separation,
        "psi_n": psi_n,
        "psi_p": PSI_P,
        "t": T,
        "dim": dim,
        "seeds": len(seeds),
        "tau": TAU,
        "L_train": train.mean(axis=0),
        "L_test": test.mean(axis=0),
        "E_score": error.mean(axis=0),
        "E_score_error": error.std(axis=0, ddof=1) / np.sqrt(len(seeds)),
        "L_opt": matrices.floor,
        "best": {**mean_and_error(error.min(axis=1)), "time": np.median(TAU[error.argmin(axis=1)])},
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/mixture.json. Minutes on one core; seconds when tiny."""
    dim, seeds = (8, range(2)) if tiny else (50, range(5))
    samples, separations = ((4.0,), (0.0, 1.0)) if tiny else ((2.0, 4.0, 8.0), (0.0, 0.25, 1.0, 4.0))

    def rows() -> Iterator[Mapping[str, object]]:
        return (row(n, dim, seeds, separation) for n in samples for separation in separations)

    settings = {"dim": dim, "seeds": list(seeds), "activation": "tanh"}
    return write_record(out, "mixture", rows, columns=COLUMNS, settings=settings, tiny=tiny)
