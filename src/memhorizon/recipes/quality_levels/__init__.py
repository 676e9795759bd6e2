"""How the exponent of tau_gen in n depends on the quality that is asked of samples."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.quality_levels.figure import quality_levels
from memhorizon.recipes.quality_levels.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="At no quality that is asked of samples does the time until they have it grow with n_train; "
    "a better quality is reached at larger n_train alone",
    make=make,
    figures={"times": quality_levels},
    reads=SWEEPS,
)
