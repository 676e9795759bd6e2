"""The number of items beyond which a network of a given width does not copy."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.threshold_mixture.figure import threshold
from memhorizon.recipes.threshold_mixture.numbers import NAME, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="n*(W), the number of items beyond which a network of width W never copies",
    paper_figure="Fig. 3 right",
    make=make,
    plan=planned,
    figures={"widths": threshold},
    takes="Under an hour of one core; seconds when tiny. A width that is done is not done again.",
)
