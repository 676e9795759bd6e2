"""Claim 5: does weight decay delay copying?"""

from dataclasses import replace

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_ADAM, at_each_n, tiny

CLAIM = "Not in the paper: does weight decay move tau_mem?"
RULES = MIXTURE_RULES
STEPS = {32: 8000}


def configs(size: Size = "here") -> list[Config]:
    """One n, four strengths, three seeds each; the decay is AdamW's."""
    base = PAPER_ADAM if size == "paper" else MIXTURE
    base = replace(base, optimizer=replace(base.optimizer, name="adamw"))
    if size == "tiny":
        return at_each_n(tiny(base), {8: 24}, weight_decay=(0.0, 0.01), seed=(0,))
    if size == "paper":
        return at_each_n(base, {1024: 2_000_000}, weight_decay=(0.0, 1e-4, 1e-2), seed=(0,))
    return at_each_n(base, STEPS, weight_decay=(0.0, 0.01, 0.1, 1.0), seed=(0, 1, 2))
