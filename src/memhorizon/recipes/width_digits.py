"""Claim 3 on handwritten digits: both clocks against the width of the U-Net."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER, PAPER_N, at_each_n, tiny

CLAIM = "tau_mem is proportional to n_train / width; tau_gen is proportional to 1 / width (Fig. 3)"
RULES = IMAGE_RULES
STEPS = {16: 3000, 32: 5000, 64: 4000}


def configs(size: Size = "here") -> list[Config]:
    """Three n, four widths, three seeds each; the paper's twin is its whole phase diagram."""
    if size == "tiny":
        return at_each_n(tiny(DIGITS), {8: 24}, width=(8, 16), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER, dict.fromkeys(PAPER_N, 2_000_000), width=(8, 16, 32, 48, 64), seed=(0,))
    return at_each_n(DIGITS, STEPS, width=(8, 16, 24, 32), seed=(0, 1, 2))
