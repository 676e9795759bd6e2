"""Good samples before copies? Committed sweeps on images, read by the quality of samples."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.windows.figure import windows
from memhorizon.recipes.windows.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="Read by the quality of samples, a window between good samples and copies opens with n_train; "
    "the first descent of the held-out loss lies far before it",
    make=make,
    figures={"window": windows},
    reads=tuple(dict.fromkeys(SWEEPS)),
)
