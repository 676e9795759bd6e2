"""Score error on data from two Gaussian classes, by exact training of finite networks."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_mixture.figure import score
from memhorizon.recipes.theory_mixture.numbers import (
    DIM,
    PSI_N,
    ROWS,
    SEEDS,
    SEPARATIONS,
    TINY_DIM,
    TINY_PSI_N,
    TINY_SEEDS,
    TINY_SEPARATIONS,
    Row,
    row_of,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """The networks of each psi_n and separation."""
    size = (TINY_DIM, TINY_SEEDS) if tiny else (DIM, SEEDS)
    return {
        f"psi_n{psi_n:g}-separation{separation:g}": Part(row_of, (psi_n, separation, *size))
        for psi_n in (TINY_PSI_N if tiny else PSI_N)
        for separation in (TINY_SEPARATIONS if tiny else SEPARATIONS)
    }


def make(request: Request) -> Found:
    """Train the networks exactly."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "dim": TINY_DIM if tiny else DIM,
        "seeds": range(TINY_SEEDS if tiny else SEEDS),
        "activation": "tanh",
    }
    return Found(table("mixture", made.rows, ROWS, settings=settings))


RECIPE = Recipe(
    "theory_mixture",
    "On two Gaussian classes the score error first falls and then rises, as on one.",
    make,
    figures={"score": score},
    takes="Minutes on one core.",
    path="theory/mixture",
)
