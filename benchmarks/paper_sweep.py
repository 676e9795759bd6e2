"""How long the paper's sweep of 18 networks takes on 1, 8 and 64 GPUs, worked out from measured rates.

    python benchmarks/paper_sweep.py        (a second)

Measured: an update of the network at W = 32, batch 512, 28 x 28 pixels (results/benchmarks/gpu_step.json).
Computed: everything else. Pixels enter in proportion (32 x 32 against 28 x 28), a step of a solver is a third
of an update on one item (forward without backward), every network counts as one of W = 32, and a run has one
GPU; the longest begins first. Runs are of 2 million updates, and of 11 million the one with n = 32,768; or
all of 11 million.
"""

import argparse
import json
import sys

from timing import RECORDS, environment, table, write

from memhorizon.experiments.cost import wall_seconds

RUNS = 18
SHORT, LONG = 2e6, 11e6  # updates
PIXELS = (32 / 28) ** 2
BATCH = 512
SAMPLES, STEPS, MILESTONES = 10_000, 200, 40
PARAMETERS = 4_023_233  # of W = 32, that are trained
GPUS = (1, 8, 64)
WAYS = {
    "CUDA graph, bfloat16": {"way": "graph", "precision": "bfloat16"},
    "kernel by kernel, bfloat16": {"way": "eager", "precision": "bfloat16"},
    "kernel by kernel, float32 and TF32": {"way": "eager", "precision": "float32", "tf32": True},
    "kernel by kernel, float32": {"way": "eager", "precision": "float32", "tf32": False},
}


def measured(**wanted):
    """Milliseconds of an update and mebibytes of its memory."""
    rows = json.loads((RECORDS / "gpu_step.json").read_text())["rows"]
    wanted = {"width": 32, "size": 28, "batch": BATCH, **wanted}
    (row,) = [row for row in rows if wanted.items() <= row.items()]
    return row["ms"], row["mib"]


def hours(updates, ms):
    """Of one run, its samples included."""
    update = PIXELS * ms / 1e3
    samples = MILESTONES * SAMPLES * STEPS * update / BATCH / 3
    return (updates * update + samples) / 3600


def rows():
    found = []
    for name, way in WAYS.items():
        ms, _ = measured(**way)
        for what, updates in (
            ("2 and 11 million", [LONG] + [SHORT] * (RUNS - 1)),
            ("11 million", [LONG] * RUNS),
        ):
            each = [hours(some, ms) for some in updates]
            days = {f"days_{gpus}_gpus": round(wall_seconds(each, gpus) / 24, 1) for gpus in GPUS}
            row = {"way": name, "updates": what, "ms_measured": ms, "ms_computed": round(PIXELS * ms, 1)}
            found.append({**row, "gpu_hours": round(sum(each)), **days})
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    args = parser.parse_args()
    found = rows()
    print(table(found))
    _, mib = measured(**WAYS["kernel by kernel, bfloat16"])
    needs = {
        "gpu_memory_gb": round(PIXELS * mib * 2**20 / 1e9, 1),
        "disk_gb": round(RUNS * (MILESTONES + 2) * PARAMETERS * 4 / 1e9, 1),  # weights; a state holds two
    }
    print(needs)
    if not args.dry:
        command = " ".join(["python", "benchmarks/paper_sweep.py", *sys.argv[1:]])
        print("wrote", write("paper_sweep", command, environment(), found, needs=needs, runs=RUNS))


if __name__ == "__main__":
    main()
