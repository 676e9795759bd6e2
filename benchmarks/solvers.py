"""How many evaluations of the network a sampler needs for the quality of 100 steps of DDIM.

    python benchmarks/solvers.py

A small U-Net learns 1,024 handwritten digits. From its weights the same 1,000 seeds are sampled by each
method in several numbers of steps. Compared are the Frechet distance to 512 held-out digits, in the features
of the small classifier, with its standard error, and how far the samples are from those that the same seeds
give in 200 steps of Heun: the root mean square, in standard deviations of the pixels. Goal: the Frechet
distance of 100 steps of DDIM, within its standard error, with at most a sixth of the evaluations.

That says nothing of copies. A second U-Net learns 64 digits until it copies some of them, and the share of
copies among the samples of the same seeds is counted by method and number of steps, too.
"""

import argparse
from pathlib import Path
from time import process_time

import torch
from timing import environment, write

import memhorizon as mh
from memhorizon.experiments.perception import perception_of
from memhorizon.networks.unet import UNetConfig
from memhorizon.records.plain import Plain
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

STEPS = {"ddim": (8, 16, 25, 50, 100, 200), "dpm++": (8, 10, 12, 16, 20, 25, 50), "heun": (5, 8, 13, 25)}
EXACT = mh.SamplerConfig("heun", 200)
SEEDS = range(1000)
COLUMNS = {
    "method": "of the sampler",
    "n_solver_steps": "steps from noise to sample",
    "evaluations": "of the network for each sample",
    "frechet": "corrected Frechet distance to 512 held-out items, in the features of the classifier",
    "se": "its standard error",
    "off": "root mean square distance to the samples of the same seeds in 200 steps of Heun, in "
    "standard deviations of the pixels",
    "f_mem": "share of copies among the samples of the second network",
    "f_mem_low": "of its exact interval, 95 %",
    "f_mem_high": "of the same",
    "cpu_s": "processor seconds for 1,000 samples of the first network",
}
DATA = mh.DataConfig(name="digits", n_train=1024, n_holdout=512, scale=2.0)
FEW = mh.DataConfig(name="digits", n_train=64, n_holdout=512, scale=2.0)


def trained(items: torch.Tensor, steps: int) -> mh.Denoiser:
    """The network after so many updates."""
    schedule = mh.ScheduleConfig().build()
    shape = tuple(items.shape[1:])
    model = UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True)).build(shape, seed=0)
    state = TrainState.new(model, OptimizerConfig("adam", lr=1e-3))
    for _ in train(state, items, schedule=schedule, config=TrainConfig(steps, batch_size=32), seed=0):
        pass
    return mh.Denoiser.noise(model.eval(), schedule)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=4000, help="of the first network")
    parser.add_argument("--updates-few", type=int, default=3000, help="of the second one")
    parser.add_argument("--out", type=Path, help="the record; default: results/benchmarks/solvers.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = environment()
    split = mh.load_split(DATA)
    few = mh.load_split(FEW).train
    good = trained(split.train, options.updates)
    copying = trained(few, options.updates_few)
    perception = perception_of(DATA)
    shape = tuple(split.train.shape[1:])
    exact = mh.sample(good, shape, seeds=SEEDS, sampler=EXACT)
    deviation = float(split.train.std())
    rows: list[dict[str, Plain]] = []
    for method, counts in STEPS.items():
        for count in counts:
            sampler = mh.SamplerConfig(method, count)
            begun = process_time()
            samples = mh.sample(good, shape, seeds=SEEDS, sampler=sampler)
            seconds = process_time() - begun
            distance = perception.distance(samples, split.holdout, to_pixels=split.to_pixels)
            copied = mh.sample(copying, shape, seeds=SEEDS, sampler=sampler)
            memorized = mh.memorized_fraction(mh.gap_ratios(copied, few))
            rows.append(
                {
                    "method": method,
                    "n_solver_steps": count,
                    "evaluations": sampler.n_evaluations,
                    "frechet": distance.corrected.value,
                    "se": distance.corrected.standard_error,
                    "off": float((samples - exact).square().mean().sqrt()) / deviation,
                    "f_mem": memorized.value,
                    "f_mem_low": memorized.low,
                    "f_mem_high": memorized.high,
                    "cpu_s": round(seconds, 2),
                }
            )
            print(rows[-1], flush=True)
    settings = {
        "updates": options.updates,
        "updates_few": options.updates_few,
        "samples": len(SEEDS),
        "n_train": DATA.n_train,
        "n_train_few": FEW.n_train,
    }
    write(
        "solvers", "python benchmarks/solvers.py", before, rows, columns=COLUMNS, out=options.out, **settings
    )


if __name__ == "__main__":
    main()
