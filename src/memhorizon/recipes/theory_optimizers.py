"""The network trained in torch, by gradient descent and by Adam, against the exact flow (figure 15)."""

import math
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memhorizon.recipes.parts import Job, parts
from memhorizon.recipes.theory_record import first_crossing, write_record
from memhorizon.recipes.times import Row, power
from memhorizon.results import Time
from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import FiniteMatrices, finite_matrices
from memhorizon.timescales.power_law import fit_scaling

PSI_P, T, DIM = 16.0, 0.01, 20
PSI_N = (1.0, 2.0, 4.0, 8.0)
SEEDS = (0, 1, 2)
LAST = {"exact": 60_000, "sampled": 20_000}  # steps; noise makes a step some ten times as long
STEP = 8.0  # of gradient descent, in tau; the stability limit is near 60
LEARNING_RATE = 0.02  # of Adam
NOISES = 4  # fresh noise vectors per point and step
QUANTITIES = ("L_train", "L_test", "L_gen", "E_score")

COLUMNS = {
    "optimizer": "flow: exact; descent: exact gradient descent; gd, adam: the network trained in torch",
    "gradient": "exact: averaged over all noise; sampled: fresh noise vectors in every step",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "dim": "d",
    "seed": "of W and of the data",
    "step": "steps of the optimizer",
    "tau": "steps * learning rate/d^2; null for Adam",
    "L_train": "train loss per coordinate, averaged over all noise exactly",
    "L_test": "test loss per coordinate, exact",
    "L_gen": "their difference",
    "E_score": "mean square distance to the true score, per coordinate",
    "half_step": "first step at which L_gen reaches half of its value at infinite time; null: not yet",
    "level_step": "first step after its minimum at which E_score reaches 1; null: not yet",
}


def train(
    matrices: FiniteMatrices, optimizer: str, steps: np.ndarray, *, sampled: bool, generator: torch.Generator
) -> list[tuple[float, float]]:
    """Train the output weights and return exact train and test loss at the given steps."""
    d, p = matrices.W.shape[1], matrices.W.shape[0]
    W, X = torch.tensor(matrices.W), torch.tensor(matrices.data.T)
    U, V = torch.tensor(matrices.U), torch.tensor(matrices.V)
    A = torch.zeros(d, p, dtype=torch.float64, requires_grad=True)
    if optimizer == "gd":
        update: torch.optim.Optimizer = torch.optim.SGD([A], lr=STEP * d**2)
    else:
        update = torch.optim.Adam([A], lr=LEARNING_RATE)
    delta, decay = matrices.delta_t, np.sqrt(1 - matrices.delta_t)
    points = X.repeat(NOISES, 1) * decay
    wanted, losses = set(steps.tolist()), []
    for step in range(int(steps[-1]) + 1):
        if step in wanted:
            losses.append(exact_losses(matrices, A.detach().numpy()))
        if sampled:
            z = torch.randn(points.shape, generator=generator, dtype=torch.float64)
            score = torch.tanh((points + delta**0.5 * z) @ W.T / d**0.5) @ A.T / p**0.5
            loss = ((delta**0.5 * score + z) ** 2).mean()
        else:
            loss = delta / (d * p) * ((A @ U) * A).sum() + 2 * (delta / p) ** 0.5 / d * (A * V.T).sum()
        update.zero_grad()
        loss.backward()
        update.step()
    return losses


def exact_losses(matrices: FiniteMatrices, A: np.ndarray) -> tuple[float, float]:
    """Train and test loss of given weights, averaged over all noise and over all fresh data."""
    d, p = A.shape
    both = []
    for U, V in ((matrices.U, matrices.V), (matrices.U_test, matrices.V_test)):
        quadratic = matrices.delta_t / (d * p) * np.sum((A @ U) * A)
        both.append(float(1 + quadratic + 2 * np.sqrt(matrices.delta_t / p) / d * np.sum(A * V.T)))
    return both[0], both[1]


def grid(last: int) -> np.ndarray:
    """Steps at which losses are taken, from 0 to the last."""
    return np.unique(np.concatenate([[0], np.geomspace(1, last, 60).astype(int)]))


def trained_row(psi_n: float, optimizer: str, gradient: str, seed: int, dim: int, last: int) -> Row:
    """One training run."""
    steps, sampled = grid(last), gradient == "sampled"
    matrices = finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    losses = np.array(train(matrices, optimizer, steps, sampled=sampled, generator=generator))
    gap, error = losses[:, 1] - losses[:, 0], (losses[:, 1] - matrices.floor) / matrices.delta_t
    values, best, clock = (*losses.T, gap, error), int(np.argmin(error)), np.maximum(steps, 0.5)
    end = Modes.of(matrices).flow([np.inf]).L_gen[0]
    return {
        **base(psi_n, optimizer, gradient, seed, dim, steps),
        "tau": STEP * steps if optimizer == "gd" else None,
        **dict(zip(QUANTITIES, values, strict=True)),
        "half_step": first_crossing(clock, gap, end / 2),
        "level_step": first_crossing(clock[best:], error[best:], 1.0),
    }


def exact_rows(psi_n: float, dim: int, steps: np.ndarray) -> Iterator[Row]:
    """Gradient flow and gradient descent of the first network by its eigendecomposition."""
    modes = Modes.of(finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, SEEDS[0]))
    tau = STEP * steps
    flow = modes.flow(tau)
    descent = modes.losses(tau, [descent_filter(int(k), modes.rate(STEP)) for k in steps])
    for optimizer, curves in (("flow", flow), ("descent", descent)):
        values = {name: getattr(curves, name) for name in QUANTITIES}
        yield {**base(psi_n, optimizer, "exact", SEEDS[0], dim, steps), "tau": tau, **values}


def base(psi_n: float, optimizer: str, gradient: str, seed: int, dim: int, steps: np.ndarray) -> Row:
    """The columns that name a run."""
    return {
        "optimizer": optimizer,
        "gradient": gradient,
        "psi_n": psi_n,
        "psi_p": PSI_P,
        "t": T,
        "dim": dim,
        "seed": seed,
        "step": steps,
    }


def summarise(rows: list[Mapping[str, object]]) -> Row:
    """Largest distance of torch's gradient descent from the exact one; exponent of psi_n of each event."""
    found: Row = {}
    trained = [row for row in rows if "half_step" in row]
    for exact in (row for row in rows if row["optimizer"] == "descent"):
        names = {"optimizer": "gd", "gradient": "exact", "psi_n": exact["psi_n"], "seed": exact["seed"]}
        own = next(row for row in trained if all(row[key] == value for key, value in names.items()))
        found[f"gd in torch against exact descent, psi_n={exact['psi_n']}"] = {
            name: np.max(np.abs(np.asarray(own[name]) - np.asarray(exact[name])))
            for name in ("L_train", "L_test")
        }
    for optimizer, gradient in sorted({(row["optimizer"], row["gradient"]) for row in trained}):
        own = [row for row in trained if (row["optimizer"], row["gradient"]) == (optimizer, gradient)]
        for event in ("level_step", "half_step"):
            found[f"{event}, {optimizer} with {gradient} gradient"] = law_of(own, event)
    return found


def law_of(rows: list[Mapping[str, object]], event: str) -> Row:
    """Power of psi_n of the step of an event, over seeds; steps that were not reached enter as bounds."""
    points = [{"psi_n": row["psi_n"], "time": _time(row[event], row["step"][-1])} for row in rows]
    if len({point["psi_n"] for point in points}) < 2:
        return {"value": None, "low": None, "high": None, "observed": 0, "censored": 0, "status": "one psi_n"}
    return power(fit_scaling(points, by=("psi_n",)), "psi_n")


def _time(step: float | None, last: int) -> Time:
    if step is None or math.isnan(step):
        return Time(float(last), float(last), math.inf, "not reached", "")
    return Time(float(step), float(step), float(step), "observed", "")


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/optimizers.json. Some twenty minutes on two cores; seconds when tiny.

    The part of each training stays in OUT/optimizers_parts/: one whose part is there is not done again.
    """
    dim, samples, seeds = (6, PSI_N[:1], SEEDS[:1]) if tiny else (DIM, PSI_N, SEEDS)
    last = dict.fromkeys(LAST, 200) if tiny else LAST
    jobs = dict[str, Job]()
    for psi_n, optimizer, gradient, seed in product(samples, ("gd", "adam"), LAST, seeds):
        names = {"psi_n": psi_n, "optimizer": optimizer, "gradient": gradient, "seed": seed}
        own = {**names, "dim": dim, "last": last[gradient]}
        fixed = {"step": STEP, "lr": LEARNING_RATE, "noises": NOISES, "psi_p": PSI_P, "t": T}
        jobs[f"{optimizer}-{gradient}-psi{psi_n:g}-seed{seed}"] = (own | fixed, partial(timed_row, **own))
    found = parts(out / ("optimizers-tiny_parts" if tiny else "optimizers_parts"), jobs)

    def rows() -> Iterator[Row]:
        for psi_n in samples:
            yield from exact_rows(psi_n, dim, grid(last["exact"]))
        yield from (part["row"] for part in found)

    settings = {
        "psi_n": samples,
        "step of gd, tau": STEP,
        "learning rate of adam": LEARNING_RATE,
        "noises per point and step": NOISES,
        "activation": "tanh",
        "spectrum": "isotropic",
        "seeds": {"network and data": seeds, "noise": [seed + 1 for seed in seeds]},
        "training seconds": sum(part["seconds"] for part in found),
    }
    return write_record(
        out, "optimizers", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )


def timed_row(**own: Any) -> Row:
    """One part: a training run and how long it took."""
    start = time.perf_counter()
    return {"row": trained_row(**own), "seconds": time.perf_counter() - start}
