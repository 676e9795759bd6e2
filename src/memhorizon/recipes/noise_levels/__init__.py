"""The noise level that overfitting shows at first, and its lead on copies."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.noise_levels.figure import noise_levels
from memhorizon.recipes.noise_levels.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="At which noise level overfitting shows first, and how long before copies appear",
    make=make,
    figures={"lead": noise_levels},
    reads=SWEEPS,
)
