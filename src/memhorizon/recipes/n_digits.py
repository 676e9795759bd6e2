"""Claim 1 on handwritten digits: tau_gen does not depend on n, tau_mem grows with n."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER, PAPER_N, at_each_n, tiny

CLAIM = "tau_gen is independent of n_train; tau_mem is proportional to n_train (Fig. 2)"
RULES = IMAGE_RULES
STEPS = {16: 2000, 32: 3000, 64: 5000, 128: 10_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(DIGITS), dict.fromkeys((8, 16), 24), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER, dict.fromkeys(PAPER_N, 2_000_000), seed=(0,))
    return at_each_n(DIGITS, STEPS, seed=(0, 1, 2))
