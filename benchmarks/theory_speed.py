"""CPU time of the theory on one core, and its ratio to the paper's equations solved with scipy.optimize.root.

    OMP_NUM_THREADS=1 python benchmarks/theory_speed.py --out results/theory/speed.json

Both run in this process, one after the other, so that the ratio holds on a busy machine; times are CPU
seconds, the smallest of several runs. The published script takes 114 steps down to Im z = 1e-9 for each
eigenvalue; the twin here (tests/theory_reference.py) does the same on 10 of the 400, and the time is scaled.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memhorizon.records.files import write_record
from memhorizon.records.table import TableRecord
from memhorizon.theory import (
    FeatureModel,
    Spectrum,
    bulk_edges,
    coefficients,
    loss_curves,
    spectral_density,
    timescales,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from theory_reference import paper_stieltjes  # noqa: E402

HALVES = Spectrum.atoms([0.5, 1.5])
MODELS = {
    "(1, 2), {1, 2}": FeatureModel(1, 2, 0.01, "tanh", Spectrum.atoms([1.0, 2.0])),
    "(4, 8), {.5, 1.5}": FeatureModel(4, 8, 0.01, "tanh", HALVES),
    "(8, 64), I": FeatureModel(8, 64, 0.01),
    "(4, 64), {.5, 1.5}": FeatureModel(4, 64, 0.01, "tanh", HALVES),
}
MANY = {  # 1,000 distinct eigenvalues, without and with gaps between them
    "equal steps from 1 to 2": Spectrum.atoms(np.linspace(1, 2, 1000)),
    "k^-1": Spectrum.atoms(np.arange(1, 1001) ** -1.0),
}


def cpu(call: Callable[[], object], repeats: int = 5) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return float(best)


def measure(model: FeatureModel) -> dict[str, float]:
    coefficients(model)  # not counted: a constant of the model, computed once
    top = bulk_edges(model).intervals[-1, 1]
    few, many = np.linspace(1e-3, 1.1 * top, 400), np.linspace(1e-3, 1.1 * top, 100_000)
    tau = np.geomspace(1, 1e7, 200)
    densities = cpu(lambda: spectral_density(model, few))
    probe = few[::40]
    paper = cpu(lambda: paper_stieltjes(model, probe + 1e-9j, steps=114), 1) * len(few) / len(probe)
    return {
        "400 densities, ms": 1e3 * densities,
        "the same by the paper's equations, s": paper,
        "ratio": paper / densities,
        "100,000 densities, s": cpu(lambda: spectral_density(model, many), 2),
        "edges and masses, ms": 1e3 * cpu(lambda: bulk_edges(model)),
        "loss curve of 200 tau, ms": 1e3 * cpu(lambda: loss_curves(model, tau)),
        "time scales, ms": 1e3 * cpu(lambda: timescales(model), 3),
    }


def measure_many(spectrum: Spectrum) -> dict[str, float]:
    model = FeatureModel(8, 64, 0.01, spectrum=spectrum)
    found = bulk_edges(model)
    few = np.linspace(1e-3, 1.1 * found.intervals[-1, 1], 400)
    tau = np.geomspace(1, 1e7, 200)
    return {
        "intervals": len(found.intervals),
        "400 densities, s": cpu(lambda: spectral_density(model, few), 2),
        "edges and masses, s": cpu(lambda: bulk_edges(model), 2),
        "loss curve of 200 tau, s": cpu(lambda: loss_curves(model, tau), 2),
        "time scales, s": cpu(lambda: timescales(model), 2),
    }


def rounded(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {key: float(f"{value:.3g}") for key, value in times.items()} for name, times in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {name: measure(model) for name, model in MODELS.items()}
    many = {name: measure_many(spectrum) for name, spectrum in MANY.items()}
    record = TableRecord(
        name="speed",
        command="OMP_NUM_THREADS=1 python benchmarks/theory_speed.py",
        columns={},
        settings={
            "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
            "load": round(os.getloadavg()[0], 1),
        },
        summary={"models": rounded(found), "1,000 eigenvalues, psi_n = 8, psi_p = 64": rounded(many)},
        rows=(),
        environment={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
        },
    )
    print(json.dumps(record.summary, indent=1))
    if options.out:
        write_record(record, options.out)


if __name__ == "__main__":
    main()
