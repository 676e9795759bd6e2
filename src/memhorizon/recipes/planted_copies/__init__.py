"""Which tool sees which copy?"""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.planted_copies.figure import found_and_seen
from memhorizon.recipes.planted_copies.numbers import NAME, make

RECIPE = Recipe(
    name=NAME,
    claim="Which tool sees which of the copies that were planted among honest samples",
    make=make,
    figures={"found": found_and_seen},
    takes="Some minutes of one core; seconds when tiny. A run that is done is not done again.",
)
