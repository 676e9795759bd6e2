"""Claim 3 on a Gaussian mixture: tau_gen and tau_mem against the width of the network."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_MIXTURE, at_each_n, tiny

CLAIM = "tau_mem is proportional to n_train / width; tau_gen is proportional to 1 / width (Fig. 9 right)"
RULES = MIXTURE_RULES
STEPS = {16: 8000, 32: 16_000, 64: 24_000, 128: 32_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n, four widths, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), {8: 24}, width=(8, 16), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER_MIXTURE, {2048: 4_000_000}, width=(64, 128, 256), seed=(0,))
    return at_each_n(MIXTURE, STEPS, width=(32, 64, 128, 256), seed=(0, 1, 2))
