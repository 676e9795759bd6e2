"""Do other seeds and other items say the same?"""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.reruns.figure import reruns
from memhorizon.recipes.reruns.numbers import NAME, SWEEPS, make, planned

RECIPE = Recipe(
    name=NAME,
    claim="Three sweeps repeated in full with other seeds and other items give the same times",
    make=make,
    plan=planned,
    figures={"times": reruns},
    reads=SWEEPS,
    takes="Some forty minutes on two cores; seconds when tiny. A finished run is not done again.",
)
