"""Random models through the whole theory: how often does anything fail?

    python benchmarks/theory_robustness.py 3000 --out results/theory/robustness.json

Each model draws psi_n, psi_p (0.3 to 200, log-uniform), t (1e-3 to 3, log-uniform), 1 to 3 atoms (0.05 to 5,
log-uniform, random weights) and an activation; a tenth lie on or next to the hard edge psi_p = 1 + psi_n.
Checked per model: all statuses; the integral of the density over the intervals found (the
masses come from signs), by a quadrature of this file; the first moment; 40 densities at random places
inside, in all gaps and outside; the loss curve at 60 times, against its limit from z = 0; that L_train falls,
and that nothing is NaN.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from memhorizon.records.files import write_record
from memhorizon.records.plain import Plain
from memhorizon.records.table import TableRecord
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, loss_curves, spectral_density, timescales
from memhorizon.theory.contour import limits
from memhorizon.theory.density import density_at
from memhorizon.theory.equations import Equations

Row = dict[str, Any]
QUANTILES = (
    "mass",
    "own_residual",
    "first_moment",
    "density_residual",
    "L_train_limit",
    "L_gen_limit",
    "L_train_rise",
    "intervals",
)


def draw(rng: np.random.Generator) -> FeatureModel:
    psi_n, psi_p = np.exp(rng.uniform(np.log(0.3), np.log(200), 2))
    if rng.random() < 0.1:
        psi_p = (1 + psi_n) * (1 + rng.choice([0.0, 1e-12, 1e-8, -1e-8, 1e-4, -1e-4, 1e-2, -1e-2]))
    count = rng.integers(1, 4)
    atoms = np.exp(rng.uniform(np.log(0.05), np.log(5), count))
    spectrum = Spectrum.atoms(atoms, rng.dirichlet(np.ones(count)))
    t = float(np.exp(rng.uniform(np.log(1e-3), np.log(3))))
    return FeatureModel(
        float(psi_n), float(psi_p), t, str(rng.choice(["tanh", "erf", "sin", "relu"])), spectrum
    )


def moments(equations: Equations, offsets: np.ndarray) -> tuple[float, float]:
    """Mass and mean of w of the continuous part, by halving Gauss panels, from both edges of each interval.

    With w - edge = u^4 neither a square root nor an inverse one is left at the edge; the masses are not used.
    """
    x, weight = np.polynomial.legendre.leggauss(24)
    total = np.zeros(2)
    for low, high in offsets:
        middle = 0.5 * (low + high)
        for edge, sign, length in ((low, 1.0, middle - low), (high, -1.0, high - middle)):

            def panels(left, right, edge=edge, sign=sign, length=length):
                u = left[:, None] + (right - left)[:, None] * 0.5 * (x + 1)
                w = edge + sign * length * u**4
                rho = density_at(equations, w.ravel()).density.reshape(w.shape)
                rho = rho * 4 * length * u**3 * 0.5 * weight * (right - left)[:, None]
                return np.stack([rho.sum(axis=1), (rho * w).sum(axis=1) / equations.top])

            left, right = np.linspace(0, 1, 9)[:-1], np.linspace(0, 1, 9)[1:]
            share = panels(left, right)
            for _ in range(30):
                half = 0.5 * (left + right)
                first, second = panels(left, half), panels(half, right)
                moved = np.max(np.abs(first + second - share), axis=0) > 1e-13
                total += (first + second)[:, ~moved].sum(axis=1)
                left, right = np.append(left[moved], half[moved]), np.append(half[moved], right[moved])
                share = np.append(first[:, moved], second[:, moved], axis=1)
                if len(left) == 0:
                    break
            total += share.sum(axis=1)
    return float(total[0]), float(total[1] * equations.top)


def examine(model: FeatureModel, rng: np.random.Generator) -> Row:
    equations = Equations.of(model)
    support = bulk_edges(model)
    mass, mean = moments(equations, support.offsets)
    expected = equations.b2 + equations.v2 + equations.weights @ equations.al
    places = [
        low + (high - low) * rng.random(40 // len(support.offsets) + 1) for low, high in support.intervals
    ]
    gaps = 0.5 * (support.intervals[:-1, 1] + support.intervals[1:, 0])
    density = spectral_density(model, np.concatenate([*places, gaps, [support.intervals[-1, 1] * 1.5]]))
    slowest = model.psi_p / (2 * model.delta_t * support.lowest)
    fastest = model.psi_p / (2 * model.delta_t * support.intervals[-1, 1])
    curves = loss_curves(
        model, np.concatenate([[0.0], np.geomspace(1e-2 * fastest, 1e2 * slowest, 58), [np.inf]])
    )
    L_train, L_gen = limits(equations)
    found = timescales(model)
    values = np.concatenate(
        [
            density.density,
            density.cumulative,
            *(getattr(curves, name) for name in ("L_train", "L_test", "L_gen", "E_score")),
        ]
    )
    return {
        "status": "/".join([support.status, curves.status, found.status]),
        "failed_points": int(np.sum(density.place == "failed")),
        "nan": int(np.sum(np.isnan(values))),
        "mass": abs(mass + support.atom_weight - 1),
        "own_residual": support.residual,
        "first_moment": abs(mean / expected - 1),
        "density_residual": float(np.max(density.residual)),
        "L_train_limit": abs(curves.L_train[-1] - L_train),
        "L_gen_limit": abs(curves.L_gen[-1] - L_gen) / max(1.0, abs(L_gen)),
        "L_train_rise": float(max(0.0, np.max(np.diff(curves.L_train)))),
        "argmin_inside": float(found.others["argmin"].observed),
        "intervals": len(support.masses),
    }


def label(number: int, model: FeatureModel) -> dict[str, object]:
    return {
        "number": number,
        "psi_n": model.psi_n,
        "psi_p": model.psi_p,
        "t": model.t,
        "activation": model.activation,
        "eigenvalues": model.spectrum.eigenvalues.tolist(),
        "weights": model.spectrum.weights.tolist(),
    }


def is_bad(row: Row) -> bool:
    solved = row["status"] == "solved/solved/solved" and not row["failed_points"] and not row["nan"]
    return not (solved and row["mass"] <= 1e-7)  # so that a NaN is bad too


def summary(
    rows: list[Row], errors: list[dict[str, object]], bad: list[dict[str, object]]
) -> dict[str, Plain]:
    return {
        "errors": errors,
        "not_solved": sum(row["status"] != "solved/solved/solved" for row in rows),
        "failed_points": sum(row["failed_points"] for row in rows),
        "nan": sum(row["nan"] for row in rows),
        "argmin_at_infinity": sum(1 - row["argmin_inside"] for row in rows),
        "above_1e-7": sum(not row["mass"] <= 1e-7 for row in rows),
        "quantiles_50_90_99_100": {key: quantiles([row[key] for row in rows]) for key in QUANTILES},
        "bad": bad,
    }


def quantiles(values: list[float]) -> list[float]:
    return [float(f"{q:.2e}") for q in np.quantile(values, [0.5, 0.9, 0.99, 1])]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    rows, errors, bad = [], [], []
    start = time.process_time()
    for number in range(options.models):
        model = draw(rng)
        try:
            row = examine(model, rng)
        except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
            errors.append({**label(number, model), "error": repr(error)})
            print(errors[-1], flush=True)
            continue
        rows.append(row)
        if is_bad(row):
            bad.append({**label(number, model), **row})
            print(bad[-1], flush=True)
    seconds = time.process_time() - start
    each = {"cpu_seconds_per_model": round(seconds / max(1, options.models), 3)}
    record = TableRecord(
        name="robustness",
        command=f"python benchmarks/theory_robustness.py {options.models} --seed {options.seed}",
        columns={},
        settings={"models": options.models},
        summary={**each, **summary(rows, errors, bad)},
        rows=(),
        environment={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
        },
    )
    print(json.dumps({**record.summary, "bad": len(bad)}, indent=1))
    if options.out:
        write_record(record, options.out)


if __name__ == "__main__":
    main()
