"""Claim 2 without any batch: every item at every step, up to the n at which the paper's control stopped.

The paper's batch is min(n, 512), so its full-batch runs with n up to 512 are its ordinary ones; here n
goes on.
"""

from dataclasses import replace

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER, at_each_n, tiny

CLAIM = "tau_mem grows with n_train where every item is seen at every step (Fig. 7 left)"
RULES = MIXTURE_RULES
STEPS = {128: 8000, 256: 14_000, 512: 26_000, 1024: 44_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n, three seeds each, with Adam."""
    base = {"tiny": tiny(MIXTURE), "here": MIXTURE, "paper": PAPER}[size]
    base = replace(base, train=replace(base.train, batch_size=None))
    if size == "tiny":
        return at_each_n(base, dict.fromkeys((8, 16), 24), seed=(0,))
    if size == "paper":
        return at_each_n(base, dict.fromkeys((128, 256, 512, 1024), 2_000_000), seed=(0,))
    return at_each_n(base, STEPS, seed=(0, 1, 2))
