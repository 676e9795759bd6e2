"""By how much flips and shifts of the training images delay copying, as a number of images."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.augmentation_digits.figure import augmentation
from memhorizon.recipes.augmentation_digits.numbers import NAME, REFERENCE, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="How much augmentation delays memorization, expressed as a number of distinct images without it",
    make=make,
    plan=planned,
    figures={"effective": augmentation},
    reads=(REFERENCE,),
    takes="Some fifty minutes of one core; seconds when tiny. A run that is done is not done again.",
)
