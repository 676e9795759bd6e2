"""Does a network's tangent kernel at tau_gen tell its tau_mem, with nothing fitted?"""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.tangent_forecast.figure import factors
from memhorizon.recipes.tangent_forecast.numbers import INPUTS, NAME, make

RECIPE = Recipe(
    name=NAME,
    claim="Does the network's tangent kernel at tau_gen tell tau_mem within a factor of 2, nothing fitted?",
    make=make,
    figures={"factors": factors},
    reads=INPUTS,
    takes="A quarter of an hour of one free core; a part that is done is not done again.",
)
