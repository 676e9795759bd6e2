"""Which digits are copied first."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.first_digits.figure import first_digits
from memhorizon.recipes.first_digits.numbers import NAME, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="Which digits are copied first: the effect of k copies of an image, and what predicts the order",
    make=make,
    plan=planned,
    figures={"times": first_digits},
    takes="Some 22 minutes of one core; seconds when tiny. A seed that is done is not done again.",
)
