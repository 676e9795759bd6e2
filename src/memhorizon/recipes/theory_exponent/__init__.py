"""The smallest score error along training against psi_n, and whether it is a power law (figure 13)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_exponent.figure import minimum
from memhorizon.recipes.theory_exponent.numbers import (
    CASES,
    DIM,
    POINTS,
    ROWS,
    SAMPLED,
    SEEDS,
    TINY_DIM,
    TINY_POINTS,
    TINY_SAMPLED,
    TINY_SEEDS,
    Row,
    finite_row,
    limit_rows,
    summarise,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """The limit of each family, and the networks of the first."""
    points = TINY_POINTS if tiny else POINTS
    size = (TINY_DIM, TINY_SEEDS) if tiny else (DIM, SEEDS)
    found = dict[str, Part[Row]]()
    for psi_p, t in cases_of(tiny):
        found[f"limit-psi_p{psi_p:g}-t{t:g}"] = Part(limit_rows, (psi_p, t, points))
    for psi_n in TINY_SAMPLED if tiny else SAMPLED:
        found[f"true-psi_n{psi_n:g}"] = Part(finite_row, (psi_n, *CASES[0], *size))
    return found


def cases_of(tiny: bool) -> tuple[tuple[float, float], ...]:
    """psi_p and t of the families."""
    return CASES[:1] if tiny else CASES


def make(request: Request) -> Found:
    """Compute limit and networks."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "cases": cases_of(tiny),
        "dim": TINY_DIM if tiny else DIM,
        "seeds": range(TINY_SEEDS if tiny else SEEDS),
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return Found(table("exponent", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_exponent",
    "The smallest score error is no power of psi_n: its local exponent changes throughout.",
    make,
    paper_figure="13",
    figures={"minimum": minimum},
    takes="Two minutes on one core.",
    path="theory/exponent",
)
