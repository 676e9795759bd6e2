"""Claim 5: dropout, which the published code uses and the paper does not mention."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER, at_each_n, tiny

CLAIM = "Not in the paper: the published code trains with dropout 0.1; does that move tau_mem?"
RULES = IMAGE_RULES
STEPS = {32: 4000}


def configs(size: Size = "here") -> list[Config]:
    """One n, three rates of dropout, three seeds each."""
    if size == "tiny":
        return at_each_n(tiny(DIGITS), {8: 24}, dropout=(0.0, 0.1), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER, {1024: 2_000_000}, dropout=(0.0, 0.05, 0.1, 0.2), seed=(0,))
    return at_each_n(DIGITS, STEPS, dropout=(0.0, 0.1, 0.2), seed=(0, 1, 2))
