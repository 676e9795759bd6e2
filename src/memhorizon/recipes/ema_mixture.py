"""Claim 5: does an average of the weights copy later than the weights themselves?"""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_ADAM, at_each_n, tiny

CLAIM = "Not in the paper: does a moving average of the weights move tau_mem?"
RULES = MIXTURE_RULES
STEPS = {32: 8000}


def configs(size: Size = "here") -> list[Config]:
    """One n, four averages, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), {8: 24}, ema=(0.0, 0.9), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER_ADAM, {1024: 2_000_000}, ema=(0.0, 0.999, 0.9999), seed=(0,))
    return at_each_n(MIXTURE, STEPS, ema=(0.0, 0.99, 0.999, 0.9995), seed=(0, 1, 2))
