"""A finite number m of noise vectors per training point: the test loss peaks where p = n m."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float

from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import finite_matrices

PSI_N = 4.0
T = 0.1
TAU = np.geomspace(0.1, 1e4, 101)

PerSize = Float[np.ndarray, " p"]


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        draws: numbers of noise vectors per point; None averages over all noise.
        psi_p: numbers of features over d. [p]
        dim: d of the networks.
        seeds: how many there are of each.
    """

    draws: tuple[int | None, ...]
    psi_p: PerSize
    dim: int
    seeds: int


HERE = Sizes((1, 2, 4, None), np.unique(np.geomspace(0.5, 32, 25).round(1)), 30, 5)
TINY = Sizes((1, None), np.array([1.0, 2.0, 4.0, 8.0]), 8, 2)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Test loss at the end and at its best, against the number of features."""

    noise_draws: Annotated[
        int | None, "m, noise vectors per training point, fixed in training; null: averaged over all noise"
    ]
    psi_n: Annotated[float, "n/d"]
    psi_p: Annotated[PerSize, "p/d; one entry per place of the lists"]
    t: Annotated[float, "diffusion time"]
    dim: Annotated[int, "d"]
    seeds: Annotated[int, "number of networks"]
    L_train_inf: Annotated[PerSize, "train loss at infinite time, mean over seeds [psi_p]"]
    L_test_inf: Annotated[PerSize, "test loss at infinite time, mean over seeds [psi_p]"]
    L_test_inf_error: Annotated[PerSize, "its standard error [psi_p]"]
    L_test_best: Annotated[PerSize, "smallest test loss along training, mean over seeds [psi_p]"]
    L_test_best_error: Annotated[PerSize, "its standard error [psi_p]"]
    best_time: Annotated[PerSize, "tau of that minimum, median over seeds [psi_p]"]


ROWS = (Row,)


def row_of(noise_draws: int | None, psi_p: PerSize, dim: int, seeds: int) -> Row:
    """Mean over networks of every number of features."""
    found = np.array(
        [[ends_of(noise_draws, float(p), dim, seed) for seed in range(seeds)] for p in psi_p]
    )  # [psi_p, seed, 4]
    train, test, best, time = np.moveaxis(found, -1, 0)
    return Row(
        noise_draws=noise_draws,
        psi_n=PSI_N,
        psi_p=psi_p,
        t=T,
        dim=dim,
        seeds=seeds,
        L_train_inf=train.mean(axis=1),
        L_test_inf=test.mean(axis=1),
        L_test_inf_error=standard_error(test),
        L_test_best=best.mean(axis=1),
        L_test_best_error=standard_error(best),
        best_time=np.median(time, axis=1),
    )


def ends_of(noise_draws: int | None, psi_p: float, dim: int, seed: int) -> tuple[float, float, float, float]:
    """Of one network: train and test loss at the end, the smallest test loss and its time."""
    matrices = finite_matrices(FeatureModel(PSI_N, psi_p, T), dim, seed, noise_draws=noise_draws)
    curves = Modes.of(matrices).flow(np.append(TAU, np.inf))
    best = int(np.argmin(curves.L_test))
    return (
        float(curves.L_train[-1]),
        float(curves.L_test[-1]),
        float(curves.L_test[best]),
        float(curves.tau[best]),
    )


def standard_error(values: Float[np.ndarray, "p seeds"]) -> PerSize:
    """Standard error of the mean over seeds."""
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Where the test loss at infinite time peaks, against psi_n m, and what early stopping leaves of it."""
    found = {}
    for row in rows:
        if row.noise_draws is None:
            continue
        top = int(np.argmax(row.L_test_inf))
        found[f"m={row.noise_draws}"] = {
            "psi_p of the peak": float(row.psi_p[top]),
            "psi_n m": row.psi_n * row.noise_draws,
            "L_test_inf there": float(row.L_test_inf[top]),
            "L_test_best there": float(row.L_test_best[top]),
        }
    return found
