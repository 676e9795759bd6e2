"""The demo: a small U-Net on real handwritten digits at several n, long enough that copying starts."""

from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config, MeasureConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import OptimizerConfig, TrainConfig

STEPS = {16: 1000, 32: 1600, 64: 3000}  # well past tau_mem at each n_train
SEEDS = (0, 1)
NETWORK = UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))
OPTIMIZER = OptimizerConfig(name="adam", lr=2e-3)
MEASURE = MeasureConfig(
    snapshots=14, first=20, n_samples=250, sampler=SamplerConfig(n_solver_steps=20), repeats=2
)
RULES = Rules(quality="holdout", t=0.3, memorized=0.1)


def configs() -> list[Config]:
    """One run per training-set size and seed."""
    return [
        Config(
            data=DataConfig(name="digits", n_train=n, n_holdout=256, subset=seed, scale=2.0),
            model=NETWORK,
            optimizer=OPTIMIZER,
            train=TrainConfig(n_updates=steps, batch_size=32),
            measure=MEASURE,
            seed=seed,
        )
        for n, steps in STEPS.items()
        for seed in SEEDS
    ]
