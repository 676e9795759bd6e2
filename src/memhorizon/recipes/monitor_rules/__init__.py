"""When to stop and what to ship: the monitor beside the rules that people use."""

from memhorizon.experiments.recipe import Recipe
from memhorizon.recipes.monitor_rules.figure import stops
from memhorizon.recipes.monitor_rules.numbers import NAME, make

RECIPE = Recipe(
    name=NAME,
    claim="The monitor stops between tau_gen and copies, and certifies a checkpoint as good as the best",
    make=make,
    figures={"stops": stops},
    takes="Some twenty minutes of one core; a minute when tiny. A training that is done is not done again.",
)
