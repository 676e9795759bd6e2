"""Claim 5: both clocks against the learning rate, with SGD and momentum."""

from dataclasses import replace

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER, SGD, at_each_n, tiny

CLAIM = "Training time is the step times the learning rate (Sec. 3): do the times of SGD scale as 1 / lr?"
RULES = MIXTURE_RULES
STEPS = {16: 20_000}


def configs(size: Size = "here") -> list[Config]:
    """One n, full batch, four learning rates, three seeds each."""
    if size == "paper":
        return at_each_n(PAPER, {1024: 2_000_000}, lr=(3e-3, 1e-2, 3e-2, 1e-1), seed=(0,))
    base = replace(MIXTURE, optimizer=SGD, train=replace(MIXTURE.train, batch_size=None))
    if size == "tiny":
        return at_each_n(tiny(base), {8: 24}, lr=(3e-3, 6e-3), seed=(0,))
    return at_each_n(base, STEPS, lr=(1.5e-3, 3e-3, 6e-3, 1.2e-2), seed=(0, 1, 2))
