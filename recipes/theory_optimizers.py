"""The network trained in torch, by gradient descent and by Adam, against the exact flow (figure 15)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from recipes.theory_record import first_crossing, write_record

from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import FiniteMatrices, finite_matrices

PSI_P, T, DIM = 16.0, 0.01, 20
PSI_N = (2.0, 4.0, 8.0)
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


def trained_row(
    psi_n: float, optimizer: str, sampled: bool, dim: int, steps: np.ndarray
) -> dict[str, object]:
    """One training run."""
    matrices = finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, 0)
    generator = torch.Generator().manual_seed(1)
    losses = np.array(train(matrices, optimizer, steps, sampled=sampled, generator=generator))
    gap, error = losses[:, 1] - losses[:, 0], (losses[:, 1] - matrices.floor) / matrices.delta_t
    values, best, clock = (*losses.T, gap, error), int(np.argmin(error)), np.maximum(steps, 0.5)
    end = Modes.of(matrices).flow([np.inf]).L_gen[0]
    return {
        **base(psi_n, optimizer, "sampled" if sampled else "exact", dim, steps),
        "tau": STEP * steps if optimizer == "gd" else None,
        **dict(zip(QUANTITIES, values, strict=True)),
        "half_step": first_crossing(clock, gap, end / 2),
        "level_step": first_crossing(clock[best:], error[best:], 1.0),
    }


def exact_rows(psi_n: float, dim: int, steps: np.ndarray) -> Iterator[dict[str, object]]:
    """Gradient flow and gradient descent of the same network by its eigendecomposition."""
    modes = Modes.of(finite_matrices(FeatureModel(psi_n, PSI_P, T), dim, 0))
    tau = STEP * steps
    flow = modes.flow(tau)
    descent = modes.losses(tau, [descent_filter(int(k), modes.rate(STEP)) for k in steps])
    for optimizer, curves in (("flow", flow), ("descent", descent)):
        values = {name: getattr(curves, name) for name in QUANTITIES}
        yield {**base(psi_n, optimizer, "exact", dim, steps), "tau": tau, **values}


def base(psi_n: float, optimizer: str, gradient: str, dim: int, steps: np.ndarray) -> dict[str, object]:
    """The columns that name a run."""
    return {
        "optimizer": optimizer,
        "gradient": gradient,
        "psi_n": psi_n,
        "psi_p": PSI_P,
        "t": T,
        "dim": dim,
        "seed": 0,
        "step": steps,
    }


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Largest distance of the trained networks from exact descent, and the exponent of half_step in psi_n."""
    found: dict[str, object] = {}
    for row in rows:
        if row["optimizer"] == "gd":
            exact = next(r for r in rows if r["optimizer"] == "descent" and r["psi_n"] == row["psi_n"])
            differences = {
                name: np.max(np.abs(np.asarray(row[name]) - np.asarray(exact[name])))
                for name in ("L_train", "L_test")
            }
            title = "gd in torch against exact descent, {gradient} gradient, psi_n={psi_n}".format(**row)
            found[title] = differences
    for key in sorted({(r["optimizer"], r["gradient"]) for r in rows if "half_step" in r}):
        same = [r for r in rows if (r["optimizer"], r["gradient"]) == key]
        for event in ("level_step", "half_step"):
            n, step = np.array([r["psi_n"] for r in same]), np.array([r[event] for r in same])
            seen = np.isfinite(step)
            exponent = np.polyfit(np.log(n[seen]), np.log(step[seen]), 1)[0] if seen.sum() > 1 else np.nan
            found["{}, {} with {} gradient".format(event, *key)] = {
                "psi_n": n,
                event: step,
                "exponent in psi_n": exponent,
            }
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/optimizers.json. About a quarter of an hour on one core; seconds when tiny."""
    dim, last, samples = (6, 200, PSI_N[:1]) if tiny else (DIM, 60_000, PSI_N)

    def grid(last: int) -> np.ndarray:
        return np.unique(np.concatenate([[0], np.geomspace(1, last, 60).astype(int)]))

    def rows() -> Iterator[Mapping[str, object]]:
        for psi_n in samples:
            yield from exact_rows(psi_n, dim, grid(last))
            for optimizer in ("gd", "adam"):
                for sampled in (False, True):
                    slow = 4 if optimizer == "adam" and sampled else 1  # noise holds Adam's steps together
                    yield trained_row(psi_n, optimizer, sampled, dim, grid(slow * last))

    settings = {
        "psi_n": samples,
        "step of gd, tau": STEP,
        "learning rate of adam": LEARNING_RATE,
        "noises per point and step": NOISES,
        "activation": "tanh",
        "spectrum": "isotropic",
        "seeds": {"network and data": 0, "noise": 1},
    }
    return write_record(
        out, "optimizers", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
