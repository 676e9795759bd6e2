"""Are samples nearer to the images that were trained on before the held-out loss turns?"""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.halves_digits.figure import halves
from memhorizon.recipes.halves_digits.numbers import NAME, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="Biased generalization: samples are nearer to the training half before the held-out loss turns",
    make=make,
    plan=planned,
    figures={"bias": halves},
    takes="Some forty minutes of one core; seconds when tiny. A pair that is done is not done again.",
)
