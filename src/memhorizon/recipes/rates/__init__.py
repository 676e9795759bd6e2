"""Is training time the step times lr / (1 - momentum)?"""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.rates.figure import rates
from memhorizon.recipes.rates.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="Training time is the step times lr / (1 - momentum): the times of SGD fall as one over that rate",
    paper_figure="Sec. 3",
    make=make,
    figures={"times": rates},
    reads=SWEEPS,
)
