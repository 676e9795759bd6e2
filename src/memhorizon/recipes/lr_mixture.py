"""Claim 5: both clocks against the learning rate, with Adam."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_ADAM, at_each_n, tiny

CLAIM = "Not in the paper: do the times of Adam scale as 1 / lr?"
RULES = MIXTURE_RULES
STEPS = {32: 24_000}


def configs(size: Size = "here") -> list[Config]:
    """One n, four learning rates, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), {8: 24}, lr=(1e-3, 2e-3), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER_ADAM, {1024: 2_000_000}, lr=(3e-5, 1e-4, 3e-4, 1e-3), seed=(0,))
    return at_each_n(MIXTURE, STEPS, lr=(2.5e-4, 5e-4, 1e-3, 2e-3), seed=(0, 1, 2))
