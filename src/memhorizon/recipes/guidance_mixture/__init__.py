"""The class-conditional mixture with guidance, and the times of each class."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.guidance_mixture.figure import guidance
from memhorizon.recipes.guidance_mixture.numbers import NAME, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="Class-conditional mixture with guidance: tau_mem is proportional to n_train at every guidance; "
    "which class is memorized first",
    paper_figure="Fig. 10",
    make=make,
    plan=planned,
    figures={"classes": guidance},
    takes="Some forty minutes of one core; seconds when tiny. A run that is done is not done again.",
)
