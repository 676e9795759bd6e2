"""How the exponent of tau_mem in n depends on how it is read."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.exponents.figure import exponents
from memhorizon.recipes.exponents.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="The exponent of tau_mem in n depends on how it is read: on the level of f_mem, on the range of n",
    make=make,
    figures={"levels": exponents},
    reads=SWEEPS,
)
