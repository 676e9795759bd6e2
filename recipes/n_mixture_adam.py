"""Claim 1 on a Gaussian mixture with Adam: tau_gen does not depend on n, tau_mem grows in proportion to n."""

from recipes.settings import MIXTURE, PAPER, PAPER_N, at_each_n, tiny

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipes import Size
from memhorizon.experiments.record import Rules

CLAIM = "tau_gen is independent of n_train; tau_mem is proportional to n_train (Fig. 2, Fig. 9 left)"
RULES = Rules(quality="score_error", t=1.0, tolerance=0.1, memorized=0.2)
STEPS = {16: 3000, 32: 5000, 64: 10_000, 128: 30_000, 256: 80_000}


def configs(size: Size = "here") -> list[Config]:
    """Five n, three seeds each; the paper's twin is its U-Net with Adam."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), dict.fromkeys((8, 16), 24), seed=(0,))
    if size == "paper":
        return at_each_n(PAPER, dict.fromkeys(PAPER_N, 2_000_000), seed=(0,))
    return at_each_n(MIXTURE, STEPS, seed=(0, 1, 2))
