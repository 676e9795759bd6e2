"""From 300 images to an answer by `plan`, and then the long run that it is about.

    python benchmarks/plan_of_digits.py

300 handwritten digits are given as an array, pilots are run on all cores, and the forecast of tau_mem is put
beside the time of one run on all 300, 1.6 times as long as the forecast. The goals: an answer in 20 minutes
on two cores, and the long run's time inside the interval. The same command goes on where it was interrupted;
the time of a plan that was interrupted is not known and left out.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from timing import environment, write

import memhorizon as mh
from memhorizon.devices import with_threads
from memhorizon.experiments.planning import pilot_config
from memhorizon.forecasting.pilots import Pilot
from memhorizon.forecasts import read_pilots
from memhorizon.plans import RULES
from memhorizon.records.codec import encode_object
from memhorizon.records.plain import Plain

COUNT = 300
LONGER = 1.6  # the long run over the forecast
COLUMNS = {
    "n_train": "training items",
    "seed": "of a pilot; of the long run 0",
    "n_updates": "length",
    "tau_mem": "step at which the share of copies is 0.1 above its null",
    "seconds": "time that the run took, beside others",
}


def planned(root: Path) -> tuple[mh.Plan, float | None]:
    """The plan with its answer, and the seconds from nothing to it."""
    digits = mh.load_split(mh.DataConfig(name="digits", n_train=COUNT))
    clock = root / "seconds.txt"
    fresh = not root.exists()
    begun = time.perf_counter()
    plan = mh.plan(digits.train + digits.center, root=root).run()
    if fresh:
        clock.write_text(f"{time.perf_counter() - begun:.0f}")
    return plan, float(clock.read_text()) if clock.exists() else None


def long_run(plan: mh.Plan, root: Path) -> Pilot:
    """One run on all images, none held out."""
    length = int(LONGER * plan.forecast.tau_mem.step.value)
    config = pilot_config(plan.config, COUNT, length, 0)
    measure = replace(config.measure, snapshots=24, first=500, n_samples=500)
    with with_threads(1):  # two wait for each other in a small network
        mh.run(replace(config, data=replace(config.data, n_holdout=0), measure=measure), root=root)
    return read_pilots(root)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("build/plan-of-digits"))
    parser.add_argument(
        "--out", type=Path, help="the record; default: results/benchmarks/plan_of_digits.json"
    )
    options = parser.parse_args()
    before = environment()
    plan, seconds = planned(options.root / "plan")
    said = plan.forecast.tau_mem.step
    print(f"plan: {said} in {seconds or float('nan'):.0f} s", flush=True)
    run = long_run(plan, options.root / "long")
    print(f"long run: {run.tau_mem}")
    rows = [row_of(pilot) for pilot in (*read_pilots(plan.root, RULES), run)]
    summary = {
        "seconds of the plan": seconds,
        "forecast": encode_object(said),
        "long run": encode_object(run.tau_mem),
        "inside": said.low <= run.tau_mem.value <= said.high,
    }
    command = "python benchmarks/plan_of_digits.py"
    known = {"images": COUNT, "minutes": 20}
    write("plan_of_digits", command, before, rows, columns=COLUMNS, summary=summary, out=options.out, **known)


def row_of(pilot: Pilot) -> dict[str, Plain]:
    return {
        "n_train": pilot.point.n_train,
        "seed": pilot.seed,
        "n_updates": pilot.n_updates,
        "tau_mem": encode_object(pilot.tau_mem),
        "seconds": pilot.seconds,
    }


if __name__ == "__main__":
    main()
