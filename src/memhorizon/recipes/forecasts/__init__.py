"""How well tau_mem is forecast from pilots, beside simpler ways; folk rules beside measured times."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.forecasts.figure import intervals, rules
from memhorizon.recipes.forecasts.numbers import NAME, READS, make

RECIPE = Recipe(
    name=NAME,
    claim="Forecasts of tau_mem from runs on fewer items: nominal 90 % intervals cover 85 to 96 %",
    make=make,
    figures={"intervals": intervals, "rules": rules},
    reads=READS,
)
