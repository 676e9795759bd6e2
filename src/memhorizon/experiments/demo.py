"""The demo: a small U-Net on real handwritten digits at several n, long enough that copying starts."""

from memhorizon.datasets import DataConfig
from memhorizon.experiments.config import Config, MeasureConfig
from memhorizon.experiments.record import Rules
from memhorizon.train import OptimizerConfig, TrainConfig
from memhorizon.unet import UNetConfig

STEPS = {8: 600, 16: 1100, 32: 1800}  # past tau_mem at each n_train
RULES = Rules(quality="holdout", t=0.3, memorized=0.05)


def configs() -> list[Config]:
    """One run per training-set size."""
    return [
        Config(
            data=DataConfig(name="digits", n_train=n, n_holdout=256),
            model=UNetConfig(width=16),
            optimizer=OptimizerConfig(name="adam", lr=2e-3),
            train=TrainConfig(steps=steps, batch_size=32),
            measure=MeasureConfig(snapshots=12, first=30, n_samples=250, sampler_steps=20),
        )
        for n, steps in STEPS.items()
    ]
