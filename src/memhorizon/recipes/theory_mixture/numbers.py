"""Score error on data from two Gaussian classes, by exact training of finite networks."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.theory.rows import ModelRow
from memhorizon.theory import FeatureModel, LossCurves
from memhorizon.theory.activations import resolve
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import FiniteMatrices, finite_matrices
from memhorizon.theory.mehler import gaussian_moments
from memhorizon.timescales.pooling import mean_and_error

TAU = np.geomspace(0.1, 1e5, 121)
PSI_P = 16.0
T = 0.1


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        psi_n: numbers of samples over d.
        separations: |mu|^2/d of the classes.
        dim: d of the networks.
        seeds: how many there are of each.
    """

    psi_n: tuple[float, ...]
    separations: tuple[float, ...]
    dim: int
    seeds: int


HERE = Sizes((2.0, 4.0, 8.0), (0.0, 0.25, 1.0, 4.0), 50, 5)
TINY = Sizes((4.0,), (0.0, 1.0), 8, 2)


@dataclass(frozen=True)
class Best:
    """The smallest score error along training.

    Attributes:
        mean: over seeds.
        standard_error: of the mean.
        seeds: how many.
        time: its training time, median over seeds.
    """

    mean: float
    standard_error: float
    seeds: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Row(ModelRow):
    """Mean curves over seeds."""

    separation: Annotated[
        float, "|mu|^2/d of the two classes at +mu and -mu, each N(+-mu, I), equally likely"
    ]
    dim: Annotated[int, "d"]
    seeds: Annotated[int, "number of networks"]
    tau: Annotated[Float[np.ndarray, " m"], "training time, steps * learning rate/d^2"]
    L_train: Annotated[Float[np.ndarray, " m"], "train loss per coordinate, mean over seeds"]
    L_test: Annotated[Float[np.ndarray, " m"], "test loss per coordinate, mean over seeds"]
    E_score: Annotated[
        Float[np.ndarray, " m"],
        "mean square distance to the true score, (L_test - L_opt)/Delta, mean over seeds",
    ]
    E_score_error: Annotated[Float[np.ndarray, " m"], "its standard error"]
    L_opt: Annotated[float, "test loss of the true score"]
    best: Annotated[Best, "smallest E_score: mean, standard error, and its time (median)"]


ROWS = (Row,)


def mixture_matrices(psi_n: float, dim: int, seed: int, separation: float) -> FiniteMatrices:
    """The network of a seed, its data moved to +mu or -mu; averages over noise and classes are exact."""
    model = FeatureModel(psi_n, PSI_P, T)
    start = finite_matrices(model, dim, seed)
    rng = np.random.default_rng([seed, 1])
    mu = class_mean(rng, dim, separation)
    data = start.data + mu[:, None] * rng.choice([-1.0, 1.0], size=start.data.shape[1])
    # given a point the noise alone spreads x_t, given a class its unit covariance does
    U, V, points = _moments(model, start.W, data, np.full(dim, model.delta_t))
    U_test, V_test, _ = _moments(model, start.W, np.stack([mu, -mu], axis=1), np.ones(dim))
    floor = optimal_loss(model, dim, separation)
    return replace(start, U=U, V=V, U_test=U_test, V_test=V_test, data=data, points=points, floor=floor)


def _moments(
    model: FeatureModel, W: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, V and mean features where x_t has these means before the noise, [d, n], and variances, [d]."""
    # pre-activations W x_t/sqrt(d) have the mean exp(-t) W x/sqrt(d)
    shift = model.decay / np.sqrt(W.shape[1]) * W
    U, V, points, _ = gaussian_moments(resolve("tanh"), W, shift @ means, variances, model.delta_t)
    return U, V, points


def class_mean(rng: np.random.Generator, dim: int, separation: float) -> Float[np.ndarray, " dim"]:
    """A random direction of squared length separation * dim."""
    mu = rng.standard_normal(dim)
    return mu * (np.sqrt(separation * dim) / np.linalg.norm(mu))


def optimal_loss(model: FeatureModel, dim: int, separation: float) -> float:
    """Test loss of the true score, L_opt = 1 - Delta I/d with the Fisher information I of x_t."""
    distance = model.decay * np.sqrt(separation * dim)
    return 1 - model.delta_t * fisher_information(distance, dim) / dim


def fisher_information(distance: float, dim: int) -> float:
    """E|grad log P|^2 of two equal Gaussians of unit covariance at +-distance along one axis."""
    x = np.linspace(-12, distance + 12, 40_001)
    # by symmetry one of the classes is enough
    density = np.exp(-((x - distance) ** 2) / 2) / np.sqrt(2 * np.pi)
    # along the axis of the classes: d/dx log P = distance tanh(distance x) - x
    score = distance * np.tanh(distance * x) - x
    return dim - 1 + float(np.trapezoid(score**2 * density, x))


def row_of(psi_n: float, separation: float, dim: int, seeds: int) -> Row:
    """Mean curves over seeds."""
    networks = [mixture_matrices(psi_n, dim, seed, separation) for seed in range(seeds)]
    curves = [Modes.of(matrices).flow(TAU) for matrices in networks]
    error = np.array([curve.E_score for curve in curves])  # [seed, m]
    return Row(
        separation=separation,
        psi_n=psi_n,
        psi_p=PSI_P,
        t=T,
        dim=dim,
        seeds=seeds,
        tau=TAU,
        L_train=np.mean([curve.L_train for curve in curves], axis=0),
        L_test=np.mean([curve.L_test for curve in curves], axis=0),
        E_score=error.mean(axis=0),
        E_score_error=error.std(axis=0, ddof=1) / np.sqrt(seeds),
        L_opt=networks[0].floor,
        best=best_of(curves),
    )


def best_of(curves: list[LossCurves]) -> Best:
    """The smallest score error, its mean over seeds, and the median of its times."""
    mean = mean_and_error([curve.E_score.min() for curve in curves])
    times = [curve.tau[curve.E_score.argmin()] for curve in curves]
    return Best(mean.mean, mean.standard_error, mean.seeds, float(np.median(times)))
