"""Claim 1 on a Gaussian mixture with Adam: tau_gen does not depend on n, tau_mem grows with n."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_ADAM, PAPER_N, at_each_n, tiny

CLAIM = "tau_gen is independent of n_train; tau_mem is proportional to n_train (Figs. 2, 7, 9)"
RULES = MIXTURE_RULES
STEPS = {32: 4000, 64: 8000, 128: 25_000, 256: 30_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n, three seeds each; the paper's twin is its image network with Adam."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), dict.fromkeys((8, 16), 24), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER_ADAM, dict.fromkeys(PAPER_N, 2_000_000), seed=(0,))
    return at_each_n(MIXTURE, STEPS, seed=(0, 1, 2))
