"""Which timescale tells which event of overfitting: the first bulk or the third group, in the limit."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_timescales.figure import times
from memhorizon.recipes.theory_timescales.numbers import HERE, ROWS, TINY, Row, Sizes, rows_of, summarise


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """All psi_n of each diffusion time and psi_p."""
    return {
        f"t{t:g}-psi_p{psi_p:g}": Part(rows_of, (size.psi_n, psi_p, t))
        for t in size.t
        for psi_p in size.psi_p
    }


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {**vars(size), "activation": "tanh", "spectrum": "isotropic"}


def make(request: Request) -> Found:
    """Compute events and timescales of every model."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("timescales", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_timescales",
    "The first bulk tells when the score error rises again, the third group when half of the gap has opened.",
    make,
    figures={"times": times},
    takes="A minute on one core.",
    path="theory/timescales",
)
