"""A finite number m of noise vectors per training point: the test loss peaks where p = n m."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_noise_draws.figure import peak
from memhorizon.recipes.theory_noise_draws.numbers import HERE, ROWS, TINY, Sizes, row_of, summarise


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {
        "dim": size.dim,
        "seeds": range(size.seeds),
        "activation": "tanh",
        "spectrum": "isotropic",
    }


def make(request: Request) -> Found:
    """Train the networks exactly."""
    size = TINY if request.tiny else HERE
    parts = {f"m{draws}": Part(row_of, (draws, size.psi_p, size.dim, size.seeds)) for draws in size.draws}
    rows = make_rows(request, parts, ROWS).rows
    return found_table("noise_draws", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_noise_draws",
    "With m noise vectors per training point the test loss at the end of training peaks where p = n m.",
    make,
    figures={"peak": peak},
    takes="Half a minute on one core.",
    path="theory/noise_draws",
)
