"""Claim 5: both clocks against the momentum of SGD, which the paper holds at 0.95.

Steps of plain gradient descent at the rate lr / (1 - momentum) follow the same flow, so that the rates here
are those of `lr_sgd_mixture` from 1.5e-3 to 6e-3 (momentum 0.8, 0.9, 0.95), and slower ones.
"""

from dataclasses import replace

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER, SGD, at_each_n, tiny

CLAIM = "Not in the paper, which trains with momentum 0.95: what does momentum do to tau_gen and tau_mem?"
RULES = MIXTURE_RULES
STEPS = {16: 60_000}


def configs(size: Size = "here") -> list[Config]:
    """One n, full batch, five momenta, three seeds each."""
    if size == "paper":
        return at_each_n(PAPER, {1024: 2_000_000}, momentum=(0.0, 0.5, 0.9, 0.95), seed=(0,))
    base = replace(MIXTURE, optimizer=SGD, train=replace(MIXTURE.train, batch_size=None))
    if size == "tiny":
        return at_each_n(tiny(base), {8: 24}, momentum=(0.0, 0.95), seed=(0,))
    return at_each_n(base, STEPS, momentum=(0.0, 0.5, 0.8, 0.9, 0.95), seed=(0, 1, 2))
