"""A finite number m of noise vectors per training point: the test loss peaks where p = n m."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_noise_draws.figure import peak
from memhorizon.recipes.theory_noise_draws.numbers import (
    DIM,
    DRAWS,
    PSI_P,
    ROWS,
    SEEDS,
    TINY_DIM,
    TINY_DRAWS,
    TINY_PSI_P,
    TINY_SEEDS,
    Row,
    row_of,
    summarise,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """All networks of each number of noise vectors."""
    size = (TINY_PSI_P, TINY_DIM, TINY_SEEDS) if tiny else (PSI_P, DIM, SEEDS)
    return {f"m{draws}": Part(row_of, (draws, *size)) for draws in (TINY_DRAWS if tiny else DRAWS)}


def make(request: Request) -> Found:
    """Train the networks exactly."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "dim": TINY_DIM if tiny else DIM,
        "seeds": range(TINY_SEEDS if tiny else SEEDS),
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return Found(table("noise_draws", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_noise_draws",
    "With m noise vectors per training point the test loss at the end of training peaks where p = n m.",
    make,
    figures={"peak": peak},
    takes="Half a minute on one core.",
    path="theory/noise_draws",
)
