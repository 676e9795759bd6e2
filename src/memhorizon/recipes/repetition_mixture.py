"""Claim 2: it is not repetition. The same batch for every n, so that passes per image fall as 1/n."""

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER, PAPER_N, at_each_n, tiny

CLAIM = "tau_mem grows with n_train also in full batch, where every image is seen once per step (Fig. 7 left)"
RULES = MIXTURE_RULES
STEPS = {16: 3000, 32: 6000, 64: 20_000, 128: 80_000}


def configs(size: Size = "here") -> list[Config]:
    """Four n with 16 items per step, three seeds each; full batch at the same n is n_mixture_adam."""
    if size == "tiny":
        return at_each_n(tiny(MIXTURE), dict.fromkeys((8, 16), 24), batch_size=(4,), seed=(0,))
    if size == "paper":
        steps = dict.fromkeys(PAPER_N[:4], 2_000_000)
        return at_each_n(PAPER, steps, batch_size=(128, None), seed=(0,))
    return at_each_n(MIXTURE, STEPS, batch_size=(16,), seed=(0, 1, 2))
