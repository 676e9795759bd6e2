"""The network trained in torch, by gradient descent and by Adam, against the exact flow (figure 15)."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.recipes.theory.rows import CurvesRow, columns_of, first_crossing, stacked
from memhorizon.results import Status, Time
from memhorizon.theory import FeatureModel, LossCurves
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import FiniteMatrices, finite_matrices
from memhorizon.timescales.pooling import Exponent, exponent_of
from memhorizon.timescales.power_law import fit_scaling

PSI_P = 16.0
T = 0.01
FIRST_SEED = 0  # of the network that is computed exactly as well
STEP = 8.0  # of gradient descent, in tau; the stability limit is near 60
LEARNING_RATE = 0.02  # of Adam
NOISES = 4  # fresh noise vectors per point and step

Optimizer = Literal["gd", "adam"]
Gradient = Literal["exact", "sampled"]
Event = Literal["level_step", "half_step"]
Loss: TypeAlias = Callable[[Tensor], Tensor]
OPTIMIZERS: tuple[Optimizer, ...] = ("gd", "adam")
EVENTS: tuple[Event, ...] = ("level_step", "half_step")


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        psi_n: numbers of samples over d.
        seeds: of the networks and of their data.
        dim: d of the networks.
        last: steps of a training; noise makes a step ten times as long.
    """

    psi_n: tuple[float, ...]
    seeds: tuple[int, ...]
    dim: int
    last: Mapping[Gradient, int]


HERE = Sizes((1.0, 2.0, 4.0, 8.0), (FIRST_SEED, 1, 2), 20, {"exact": 60_000, "sampled": 20_000})
TINY = Sizes((1.0,), (FIRST_SEED,), 6, {"exact": 200, "sampled": 200})


@dataclass(frozen=True, kw_only=True)
class RunRow(CurvesRow):
    """Curves of one network."""

    gradient: Annotated[
        Gradient, "exact: averaged over all noise; sampled: fresh noise vectors in every step"
    ]
    dim: Annotated[int, "d"]
    seed: Annotated[int, "of W and of the data"]
    step: Annotated[tuple[int, ...], "steps of the optimizer"]
    tau: Annotated[Float[np.ndarray, " m"] | None, "steps * learning rate/d^2; null for Adam"]


@dataclass(frozen=True, kw_only=True)
class ExactRow(RunRow):
    """By the eigendecomposition of U."""

    optimizer: Annotated[
        Literal["flow", "descent"],
        "flow: exact; descent: exact gradient descent; gd, adam: the network trained in torch",
    ]


@dataclass(frozen=True, kw_only=True)
class TrainedRow(RunRow):
    """Trained in torch."""

    optimizer: Annotated[
        Optimizer, "flow: exact; descent: exact gradient descent; gd, adam: the network trained in torch"
    ]
    half_step: Annotated[
        float, "first step at which L_gen reaches half of its value at infinite time; nan: not yet"
    ]
    level_step: Annotated[float, "first step after its minimum at which E_score reaches 1; nan: not yet"]


Row = ExactRow | TrainedRow
ROWS = (ExactRow, TrainedRow)


def grid(last: int) -> Int[np.ndarray, " m"]:
    """Steps at which losses are taken, from 0 to the last."""
    return np.unique(np.concatenate([[0], np.geomspace(1, last, 60).astype(int)]))


# --- training in torch ---


def exact_loss(matrices: FiniteMatrices) -> Loss:
    """The train loss averaged over all noise, but for its constant.

    Source: [bonnaire2025] Eq. (9)
    """
    p, d = matrices.W.shape
    delta = matrices.delta_t
    U = torch.tensor(matrices.U)  # [p, p]
    V = torch.tensor(matrices.V)  # [p, d]

    def loss(A: Tensor) -> Tensor:
        # L = 1 + Delta/(d p) tr(A U A^T) + 2 sqrt(Delta/p)/d tr(A V)
        quadratic = delta / (d * p) * ((A @ U) * A).sum()
        linear = 2 * (delta / p) ** 0.5 / d * (A * V.T).sum()
        return quadratic + linear

    return loss


def sampled_loss(matrices: FiniteMatrices, generator: torch.Generator) -> Loss:
    """The train loss of NOISES fresh noise vectors per point, drawn anew in every call."""
    p, d = matrices.W.shape
    delta = matrices.delta_t
    W = torch.tensor(matrices.W)
    points = torch.tensor(matrices.data.T).repeat(NOISES, 1) * np.sqrt(1 - delta)

    def loss(A: Tensor) -> Tensor:
        z = torch.randn(points.shape, generator=generator, dtype=torch.float64)
        # s_A(x) = A/sqrt(p) tanh(W x/sqrt(d)) at x = exp(-t) x_0 + sqrt(Delta) z
        score = torch.tanh((points + delta**0.5 * z) @ W.T / d**0.5) @ A.T / p**0.5
        # L = |sqrt(Delta) s_A(x) + z|^2/d
        return ((delta**0.5 * score + z) ** 2).mean()

    return loss


def optimizer_of(name: Optimizer, A: Tensor) -> torch.optim.Optimizer:
    """The optimizer of the output weights."""
    if name == "gd":
        return torch.optim.SGD([A], lr=STEP * len(A) ** 2)  # [d, p]
    return torch.optim.Adam([A], lr=LEARNING_RATE)


def weights_along(
    matrices: FiniteMatrices, optimizer: Optimizer, loss: Loss, steps: Int[np.ndarray, " m"]
) -> Iterator[Float[np.ndarray, "d p"]]:
    """Train the output weights from 0 and yield them at the given steps."""
    p, d = matrices.W.shape
    A = torch.zeros(d, p, dtype=torch.float64, requires_grad=True)
    update = optimizer_of(optimizer, A)
    wanted = set(steps.tolist())
    for step in range(int(steps[-1]) + 1):
        if step in wanted:
            yield A.detach().numpy().copy()
        update.zero_grad()
        loss(A).backward()
        update.step()


def exact_losses(matrices: FiniteMatrices, A: Float[np.ndarray, "d p"]) -> tuple[float, float]:
    """Train and test loss of given weights, averaged over all noise and over all fresh data."""
    train = quadratic_loss(matrices.U, matrices.V, matrices.delta_t, A)
    test = quadratic_loss(matrices.U_test, matrices.V_test, matrices.delta_t, A)
    return train, test


def quadratic_loss(
    U: Float[np.ndarray, "p p"], V: Float[np.ndarray, "p d"], delta: float, A: Float[np.ndarray, "d p"]
) -> float:
    """The loss of given weights by the moments U and V of the features.

    Source: [bonnaire2025] Eq. (9)
    """
    d, p = A.shape
    # L = 1 + Delta/(d p) tr(A U A^T) + 2 sqrt(Delta/p)/d tr(A V)
    quadratic = delta / (d * p) * np.sum((A @ U) * A)
    return float(1 + quadratic + 2 * np.sqrt(delta / p) / d * np.sum(A * V.T))


def trained_row(
    psi_n: float, optimizer: Optimizer, gradient: Gradient, seed: int, dim: int, last: int
) -> TrainedRow:
    """One training run."""
    matrices = finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, seed)
    steps = grid(last)
    train, test = losses_along(matrices, optimizer, gradient, seed, steps)
    gap = test - train
    error = (test - matrices.floor) / matrices.delta_t
    end = float(Modes.of(matrices).flow([np.inf]).L_gen[0])
    return TrainedRow(
        optimizer=optimizer,
        gradient=gradient,
        psi_n=psi_n,
        psi_p=PSI_P,
        t=T,
        dim=dim,
        seed=seed,
        step=tuple(steps.tolist()),
        tau=STEP * steps if optimizer == "gd" else None,
        L_train=train,
        L_test=test,
        L_gen=gap,
        E_score=error,
        half_step=half_step(steps, gap, end),
        level_step=level_step(steps, error),
    )


def losses_along(
    matrices: FiniteMatrices,
    optimizer: Optimizer,
    gradient: Gradient,
    seed: int,
    steps: Int[np.ndarray, " m"],
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Exact train and test loss along a training."""
    generator = torch.Generator().manual_seed(seed + 1)  # next to that of the network
    loss = exact_loss(matrices) if gradient == "exact" else sampled_loss(matrices, generator)
    weights = weights_along(matrices, optimizer, loss, steps)
    train, test = np.array([exact_losses(matrices, A) for A in weights]).T
    return train, test


def half_step(steps: Int[np.ndarray, " m"], gap: Float[np.ndarray, " m"], end: float) -> float:
    """First step at which L_gen reaches half of its end; NaN if it does not."""
    return first_crossing(np.maximum(steps, 0.5), gap, end / 2)


def level_step(steps: Int[np.ndarray, " m"], error: Float[np.ndarray, " m"]) -> float:
    """First step after its minimum at which E_score reaches 1; NaN if it does not."""
    best = int(np.argmin(error))
    return first_crossing(np.maximum(steps, 0.5)[best:], error[best:], 1.0)


# --- the same without training ---


def exact_rows(psi_n: float, dim: int, last: int) -> Iterator[ExactRow]:
    """Gradient flow and gradient descent of the first network by its eigendecomposition."""
    modes = Modes.of(finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, FIRST_SEED))
    steps = grid(last)
    tau = STEP * steps
    yield exact_row("flow", psi_n, dim, steps, modes.flow(tau))
    descent = [descent_filter(int(k), modes.rate(STEP)) for k in steps]
    yield exact_row("descent", psi_n, dim, steps, modes.losses(tau, descent))


def exact_row(
    optimizer: Literal["flow", "descent"],
    psi_n: float,
    dim: int,
    steps: Int[np.ndarray, " m"],
    curves: LossCurves,
) -> ExactRow:
    """The row of some curves of the first network."""
    return ExactRow(
        optimizer=optimizer,
        gradient="exact",
        psi_n=psi_n,
        psi_p=PSI_P,
        t=T,
        dim=dim,
        seed=FIRST_SEED,
        step=tuple(steps.tolist()),
        tau=curves.tau,
        **columns_of(stacked(curves)),
    )


# --- the summary ---


def apart(exact: ExactRow, trained: Sequence[TrainedRow]) -> dict[str, float]:
    """Largest distance of torch's gradient descent from the exact one, of the same network."""
    same = next(
        row
        for row in trained
        if (row.optimizer, row.gradient) == ("gd", "exact")
        and (row.psi_n, row.seed) == (exact.psi_n, exact.seed)
    )
    return {
        "L_train": float(np.max(np.abs(same.L_train - exact.L_train))),
        "L_test": float(np.max(np.abs(same.L_test - exact.L_test))),
    }


def event_time(row: TrainedRow, event: Event) -> Time:
    """The step of an event; one that was not reached is censored at the last step."""
    step = row.level_step if event == "level_step" else row.half_step
    if math.isnan(step):
        last = float(row.step[-1])
        return Time(last, last, math.inf, Status.NOT_REACHED)
    return Time(step, step, step, Status.OBSERVED)


def power_of_psi_n(rows: Sequence[TrainedRow], event: Event) -> Exponent:
    """Power of psi_n of the step of an event, over seeds; steps that were not reached enter as bounds."""
    if len({row.psi_n for row in rows}) < 2:
        return Exponent(math.nan, -math.inf, math.inf, 0, 0, Status.NOT_FITTED, "one psi_n")
    points = [({"psi_n": row.psi_n}, event_time(row, event)) for row in rows]
    return exponent_of(fit_scaling(points, by=("psi_n",)), "psi_n")


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """Largest distance of torch's gradient descent from the exact one; exponent of psi_n of each event."""
    trained = of_kind(rows, TrainedRow)
    found: dict[str, object] = {}
    for row in of_kind(rows, ExactRow):
        if row.optimizer == "descent":
            found[f"gd in torch against exact descent, psi_n={row.psi_n}"] = apart(row, trained)
    for kind, same in grouped(trained, lambda row: f"{row.optimizer} with {row.gradient} gradient").items():
        for event in EVENTS:
            found[f"{event}, {kind}"] = power_of_psi_n(same, event)
    return found
