"""The demo: a small U-Net on real handwritten digits at several n, from noise to good samples to copies."""

from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import OptimizerConfig, TrainConfig

STEPS = {64: 3000, 128: 4000, 256: 6000}  # at each n_train: past tau_gen, and past tau_mem at the smallest
SEEDS = (0,)
NETWORK = UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))
OPTIMIZER = OptimizerConfig(name="adam", lr=2e-3)  # of a single run: quick
SLOWER = OptimizerConfig(name="adam", lr=1e-3)  # of the demo: samples become better
MEASURE = MeasureConfig(  # of a single run: a tenth of the time of 3,000 updates
    snapshots=8, first=100, n_samples=200, sampler=SamplerConfig("dpm++", 16), repeats=1
)
LOOKS = MeasureConfig(  # later and closer: where samples become good
    snapshots=12, first=150, n_samples=400, sampler=SamplerConfig("ddim", 20), repeats=1
)
RULES = Rules.of_samples()


def configs() -> list[Config]:
    """One run per training-set size and seed."""
    return [
        Config(
            data=DataConfig(name="digits", n_train=n, n_holdout=512, subset=seed, scale=2.0),
            model=NETWORK,
            optimizer=SLOWER,
            train=TrainConfig(n_updates=steps, batch_size=32),
            measure=LOOKS,
            seed=seed,
        )
        for n, steps in STEPS.items()
        for seed in SEEDS
    ]
