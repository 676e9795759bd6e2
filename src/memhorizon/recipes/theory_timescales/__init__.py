"""Which timescale tells which event of overfitting: the first bulk or the third group, in the limit."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_timescales.figure import times
from memhorizon.recipes.theory_timescales.numbers import (
    PSI_N,
    PSI_P,
    ROWS,
    TIMES,
    TINY_PSI_N,
    TINY_PSI_P,
    TINY_TIMES,
    Row,
    rows_of,
    summarise,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """All psi_n of each diffusion time and psi_p."""
    psi_n = TINY_PSI_N if tiny else PSI_N
    return {
        f"t{t:g}-psi_p{psi_p:g}": Part(rows_of, (psi_n, psi_p, t))
        for t in (TINY_TIMES if tiny else TIMES)
        for psi_p in (TINY_PSI_P if tiny else PSI_P)
    }


def make(request: Request) -> Found:
    """Compute events and timescales of every model."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "t": TINY_TIMES if tiny else TIMES,
        "psi_n": TINY_PSI_N if tiny else PSI_N,
        "psi_p": TINY_PSI_P if tiny else PSI_P,
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return Found(table("timescales", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_timescales",
    "The first bulk tells when the score error rises again, the third group when half of the gap has opened.",
    make,
    figures={"times": times},
    takes="A minute on one core.",
    path="theory/timescales",
)
