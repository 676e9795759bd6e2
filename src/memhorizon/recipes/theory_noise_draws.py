"""A finite number m of noise vectors per training point: the test loss peaks where p = n m."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import mean_and_error, write_record
from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import finite_matrices

PSI_N, T = 4.0, 0.1
TAU = np.geomspace(0.1, 1e4, 101)
COLUMNS = {
    "noise_draws": "m, noise vectors per training point, fixed in training; null: averaged over all noise",
    "psi_n": "n/d",
    "psi_p": "p/d; one entry per place of the lists",
    "t": "diffusion time",
    "dim": "d",
    "seeds": "number of networks",
    "L_train_inf": "train loss at infinite time, mean over seeds [psi_p]",
    "L_test_inf": "test loss at infinite time, mean over seeds [psi_p]",
    "L_test_inf_error": "its standard error [psi_p]",
    "L_test_best": "smallest test loss along training, mean over seeds [psi_p]",
    "L_test_best_error": "its standard error [psi_p]",
    "best_time": "tau of that minimum, median over seeds [psi_p]",
}


def row(noise_draws: int | None, sizes: np.ndarray, dim: int, seeds: range) -> dict[str, object]:
    """Test loss at the end and at its best, against the number of features."""
    columns: dict[str, list[float]] = {name: [] for name in list(COLUMNS)[6:]}
    for psi_p in sizes:
        found = []
        for seed in seeds:
            model = FeatureModel(PSI_N, float(psi_p), T)
            matrices = finite_matrices(model, dim, seed, noise_draws=noise_draws)
            curves = Modes.of(matrices).flow(np.append(TAU, np.inf))
            best = int(np.argmin(curves.L_test))
            found.append([curves.L_train[-1], curves.L_test[-1], curves.L_test[best], curves.tau[best]])
        train, test, best, time = np.array(found).T
        end, early = mean_and_error(test), mean_and_error(best)
        values = (
            train.mean(),
            end["mean"],
            end["standard_error"],
            early["mean"],
            early["standard_error"],
            np.median(time),
        )
        for name, value in zip(columns, values, strict=True):
            columns[name].append(float(value))
    return {
        "noise_draws": noise_draws,
        "psi_n": PSI_N,
        "psi_p": sizes,
        "t": T,
        "dim": dim,
        "seeds": len(seeds),
        **columns,
    }


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Where the test loss at infinite time peaks, against psi_n m, and what early stopping leaves of it."""
    found = {}
    for r in rows:
        if r["noise_draws"] is not None:
            top = int(np.argmax(r["L_test_inf"]))
            found[f"m={r['noise_draws']}"] = {
                "psi_p of the peak": r["psi_p"][top],
                "psi_n m": r["psi_n"] * r["noise_draws"],
                "L_test_inf there": r["L_test_inf"][top],
                "L_test_best there": r["L_test_best"][top],
            }
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/noise_draws.json. Half a minute on one core; seconds when tiny."""
    dim, seeds = (8, range(2)) if tiny else (30, range(5))
    sizes = np.array([1, 2, 4, 8]) if tiny else np.unique(np.geomspace(0.5, 32, 25).round(1))
    draws = (1, None) if tiny else (1, 2, 4, None)

    def rows() -> Iterator[Mapping[str, object]]:
        return (row(m, sizes, dim, seeds) for m in draws)

    settings = {"dim": dim, "seeds": list(seeds), "activation": "tanh", "spectrum": "isotropic"}
    return write_record(
        out, "noise_draws", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
