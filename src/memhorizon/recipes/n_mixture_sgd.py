"""Claim 1 on a Gaussian mixture with the paper's optimizer: SGD with momentum, full batch."""

from dataclasses import replace

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_MIXTURE, SGD, at_each_n, tiny

CLAIM = "tau_gen is independent of n_train; tau_mem is proportional to n_train (Fig. 9 left)"
RULES = MIXTURE_RULES
STEPS = {16: 30_000, 32: 60_000, 64: 120_000, 128: 240_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n, three seeds each."""
    if size == "paper":
        return at_each_n(PAPER_MIXTURE, dict.fromkeys((256, 512, 1024, 2048, 4096), 4_000_000), seed=(0,))
    base = replace(MIXTURE, optimizer=SGD, train=replace(MIXTURE.train, batch_size=None))
    if size == "tiny":
        return at_each_n(tiny(base), dict.fromkeys((8, 16), 24), seed=(0,))
    return at_each_n(base, STEPS, seed=(0, 1, 2))
