"""The settings that the recipes of sweeps vary: the smallest ones that show a claim, and the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import OptimizerConfig, TrainConfig

Values = Sequence[int | float | None]  # of a hyperparameter

MIXTURE = Config(
    data=DataConfig(name="mixture", dim=8, n_holdout=1000),
    model=MLPConfig(width=128),
    optimizer=OptimizerConfig("adam", lr=1e-3),
    train=TrainConfig(batch_size=512),
    measure=MeasureConfig(
        snapshots=28,
        first=10,
        n_samples=1000,
        sampler=SamplerConfig(n_solver_steps=50),
        repeats=3,
        keep=False,
    ),
)

SGD = OptimizerConfig("sgd", lr=6e-3, momentum=0.95)  # the paper's for the mixture

SMALL_UNET = UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))

DIGITS = Config(
    data=DataConfig(name="digits", n_holdout=256, scale=2.0),
    model=SMALL_UNET,
    optimizer=OptimizerConfig("adam", lr=1e-3),
    train=TrainConfig(batch_size=32),
    measure=MeasureConfig(
        snapshots=24, first=20, n_samples=500, sampler=SamplerConfig(n_solver_steps=25), repeats=2, keep=False
    ),
)

FASHION = replace(
    DIGITS,
    data=DataConfig(name="fashion-mnist", size=14, n_holdout=256, scale=2.0),
    train=TrainConfig(batch_size=16),  # three times the pixels of a digit: within the hour on two cores
    measure=replace(DIGITS.measure, snapshots=20, n_samples=300),
)

WINDOW = replace(  # long enough for good samples, held out so that a distance tells them
    DIGITS,
    data=replace(DIGITS.data, n_holdout=512),
    measure=replace(DIGITS.measure, first=100, snapshots=24),
)
WINDOW_FASHION = replace(
    WINDOW,
    data=replace(FASHION.data, n_holdout=1024),
)

WINDOW_FASHION_28 = replace(  # with a third resolution on top; for a GPU
    WINDOW_FASHION,
    data=replace(WINDOW_FASHION.data, size=None),
    model=replace(SMALL_UNET, multipliers=(1, 2, 2), attention=(False, False, True)),
)

PAPER = Config(  # one H100 takes days for each of these
    data=DataConfig(name="celeba", path="CelebA", size=32, grey=True, n_train=1024, n_holdout=2048),
    model=UNetConfig(width=32, dropout=0.1),
    optimizer=OptimizerConfig("sgd", lr=1e-2, momentum=0.95),
    train=TrainConfig(n_updates=2_000_000, batch_size=512),
    measure=MeasureConfig(
        snapshots=40, first=1000, n_samples=10_000, sampler=SamplerConfig(n_solver_steps=200), repeats=5
    ),
)
PAPER_ADAM = replace(
    PAPER, model=UNetConfig(width=64, dropout=0.1), optimizer=OptimizerConfig("adam", lr=1e-4)
)
PAPER_MIXTURE = Config(  # hours on one GPU
    data=DataConfig(name="mixture", dim=8, n_train=2048, n_holdout=10_000),
    model=MLPConfig(width=128),
    optimizer=OptimizerConfig("sgd", lr=6e-3, momentum=0.95),
    train=TrainConfig(n_updates=4_000_000, batch_size=None),
    measure=MeasureConfig(
        snapshots=40, first=100, n_samples=10_000, sampler=SamplerConfig("ddpm", 1000), repeats=5
    ),
)
PAPER_WIDTHS = (8, 16, 32, 48, 64)
PAPER_N: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

# tau_gen: KL, the measure of Fig. 9, at twice its floor; the held-out loss a twentieth above its floor
MIXTURE_RULES = Rules(quality="kl", t=None, tolerance=1.0, memorized=0.2)
IMAGE_RULES = Rules(quality="holdout", t=0.3, tolerance=0.05, memorized=0.1)  # first descent of the loss
# the quality that every run reaches: the best one is at n_train beyond 256 that of the noise of 500 samples
WINDOW_RULES = Rules(quality="frechet", t=None, tolerance=0.25, relative_to="worst", memorized=0.1)

TINY = MeasureConfig(
    snapshots=4, first=2, n_samples=24, sampler=SamplerConfig(n_solver_steps=3), repeats=1, keep=False
)
TINY_UPDATES = 10
TINY_HOLDOUT = 32


def at_each_n(base: Config, updates: Mapping[int, int], **axes: Values) -> list[Config]:
    """A run at every n_train, as long as it needs there, for all combinations of the other axes."""
    configs: list[Config] = []
    for n_train, n_updates in updates.items():
        sized = replace(base, data=replace(base.data, n_train=n_train))
        configs += grid(lasting(sized, n_updates, base.measure), **axes)
    return configs


def on_items(configs: Sequence[Config], items: int) -> list[Config]:
    """The same runs on a source of so many items: seeds for which none are left share the first ones."""
    return [config if config.data.needed <= items else _on_first(config) for config in configs]


def _on_first(config: Config) -> Config:
    return replace(config, data=replace(config.data, subset=0))


def tiny(base: Config) -> Config:
    """The same kind of run in a second: it shows that the recipe works, not what it claims."""
    data = replace(base.data, n_holdout=TINY_HOLDOUT)
    small = replace(base, data=data, model=replace(base.model, width=8))
    return lasting(small, TINY_UPDATES, TINY)


def lasting(base: Config, n_updates: int, measure: MeasureConfig) -> Config:
    """The same kind of run of another length, measured otherwise."""
    return replace(base, train=replace(base.train, n_updates=n_updates), measure=measure)


def full_batch(base: Config) -> Config:
    """The same kind of run with the whole training set in every step."""
    return replace(base, train=replace(base.train, batch_size=None))


def of_seed(base: Config, n_train: int, seed: int) -> Config:
    """The run of one seed, on items of its own."""
    return replace(base, data=replace(base.data, n_train=n_train, subset=seed), seed=seed)
