"""The smallest score error along training against psi_n, and whether it is a power law (figure 13)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_exponent.figure import minimum
from memhorizon.recipes.theory_exponent.numbers import (
    HERE,
    ROWS,
    TINY,
    Row,
    Sizes,
    finite_row,
    limit_rows,
    summarise,
)


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """The limit of each family, and the networks of the first."""
    return {**_limits(size), **_networks(size)}


def _limits(size: Sizes) -> dict[str, Part[Row]]:
    return {
        f"limit-psi_p{psi_p:g}-t{t:g}": Part(limit_rows, (psi_p, t, size.points)) for psi_p, t in size.cases
    }


def _networks(size: Sizes) -> dict[str, Part[Row]]:
    return {
        f"true-psi_n{psi_n:g}": Part(finite_row, (psi_n, *size.cases[0], size.dim, size.seeds))
        for psi_n in size.sampled
    }


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {
        "cases": size.cases,
        "dim": size.dim,
        "seeds": range(size.seeds),
        "activation": "tanh",
        "spectrum": "isotropic",
    }


def make(request: Request) -> Found:
    """Compute limit and networks."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("exponent", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_exponent",
    "The smallest score error is no power of psi_n: its local exponent changes throughout.",
    make,
    paper_figure="Fig. 13",
    figures={"minimum": minimum},
    takes="Two minutes on one core.",
    path="theory/exponent",
)
