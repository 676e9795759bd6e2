"""The test for the stop by simulation: how often it stops falsely, and how soon it stops."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.sequential_test.numbers import NAME, make

RECIPE = Recipe(
    name=NAME,
    claim="The e-process stops falsely at most as often as it says, and soon after copies appear",
    make=make,
    takes="A minute of one core; nothing is trained.",
)
