"""How well tau_mem of a run is told from the part before it."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.in_progress.figure import leads
from memhorizon.recipes.in_progress.numbers import NAME, SWEEPS, make

RECIPE = Recipe(
    name=NAME,
    claim="The loss gap of a run tells its tau_mem at a third of it, within a factor, whatever the sweep",
    make=make,
    figures={"leads": leads},
    reads=SWEEPS,
)
