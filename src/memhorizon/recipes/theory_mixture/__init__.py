"""Score error on data from two Gaussian classes, by exact training of finite networks."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_mixture.figure import score
from memhorizon.recipes.theory_mixture.numbers import HERE, ROWS, TINY, Row, Sizes, row_of


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """The networks of each psi_n and separation."""
    return {
        f"psi_n{psi_n:g}-separation{separation:g}": Part(row_of, (psi_n, separation, size.dim, size.seeds))
        for psi_n in size.psi_n
        for separation in size.separations
    }


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {"dim": size.dim, "seeds": range(size.seeds), "activation": "tanh"}


def make(request: Request) -> Found:
    """Train the networks exactly."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("mixture", rows, ROWS, settings=settings_of(size))


RECIPE = Recipe(
    "theory_mixture",
    "On two Gaussian classes the score error first falls and then rises, as on one.",
    make,
    figures={"score": score},
    takes="Minutes on one core.",
    path="theory/mixture",
)
