"""Log times as one normal vector: a line with believed slopes, a misfit that grows with distance, scatter.

    log tau_i = a + x_i . beta + g(x_i) + scatter * e_i,    beta_j ~ N(mean_j, sd_j^2)

g is what the law misses. It is either a random walk along each column ("steps off"), so that the error of the
law grows as the square root of the distance in doublings, or an integrated one ("bends": the slope itself
walks), with which it grows as its power 3/2. Both start at the smallest pilot and are nothing there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memhorizon.forecasting.design import Design

VAGUE = 10.0  # standard deviation of the prefactor in log time: nothing is believed of it
DOUBLING = np.log(2.0)


@dataclass(frozen=True)
class Structure:
    """What is not the law.

    Attributes:
        scatter: standard deviation of log time between seeds.
        misfit: of the law per doubling, in log time.
        bends: whether the slope walks; else the law itself does.
    """

    scatter: float
    misfit: float
    bends: bool


@dataclass(frozen=True)
class Boards:
    """Mean and covariances of the noiseless log times of pilots and questions, and of the exponents.

    Attributes:
        mean: without the prefactor. [m = rows + q + k]
        covariance: under each structure, in the same order. [g, m, m]
        is_time: 1 for a log time, which has the prefactor, and 0 for an exponent. [m]
    """

    mean: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "g m m"]
    is_time: Float[np.ndarray, " m"]


def boards(design: Design, structures: Sequence[Structure]) -> Boards:
    """The prior of everything that is known or asked for, under each structure."""
    points = np.vstack([design.pilots, design.asked])
    centred = points - design.pilots.mean(axis=0)
    # (x . beta, beta) = S beta with S = [C; I]
    slopes = np.vstack([centred, np.eye(len(design.names))])
    is_time = np.arange(len(slopes)) < len(points)
    # of the law: S diag(sd^2) S^T, and v^2 between all times, which share the prefactor
    law = (slopes * design.sd**2) @ slopes.T + VAGUE**2 * np.outer(is_time, is_time)
    return Boards(slopes @ design.mean, _with_misfit(law, design, structures), is_time.astype(float))


def _with_misfit(
    law: Float[np.ndarray, "m m"], design: Design, structures: Sequence[Structure]
) -> Float[np.ndarray, "g m m"]:
    """The covariance of the law with that of its misfit, misfit^2 E[g g^T], under each structure."""
    walked = {bends: walks(design, bends=bends) for bends in (False, True)}
    covariance = np.tile(law, (len(structures), 1, 1))
    for i, one in enumerate(structures):
        misfit = one.misfit**2 * walked[one.bends]
        count = len(misfit)
        covariance[i, :count, :count] += misfit
    return covariance


def walks(design: Design, *, bends: bool) -> Float[np.ndarray, "p p"]:
    """The covariance of walks of unit size along each column, which begin at the smallest pilot."""
    points = np.vstack([design.pilots, design.asked])
    doublings = (points - design.pilots.min(axis=0)) / DOUBLING
    total = np.zeros((len(points), len(points)))
    for column in doublings.T:
        same_side = np.sign(column)[:, None] * np.sign(column)[None, :] > 0
        near = np.minimum.outer(abs(column), abs(column))
        far = np.maximum.outer(abs(column), abs(column))
        # E[W(a) W(b)] = a, and of its integral a^2 (3 b - a) / 6, for 0 <= a <= b
        walk = near**2 * (3 * far - near) / 6 if bends else near
        total += np.where(same_side, walk, 0.0)
    return total
