"""Claims 2 and 5: both clocks against the items per step, at one n, with Adam."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_ADAM, at_each_n, tiny

CLAIM = "Not in the paper: at one n, is it steps or passes over the data that set tau_mem?"
RULES = MIXTURE_RULES
STEPS = {32: 12_000}


def configs(size: Size = "here") -> list[Config]:
    """One n, four batch sizes up to the full batch, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), {8: 24}, batch_size=(4, 8), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER_ADAM, {1024: 2_000_000}, batch_size=(64, 256, 512, 1024), seed=(0,))
    return at_each_n(MIXTURE, STEPS, batch_size=(4, 8, 16, 32), seed=(0, 1, 2))
