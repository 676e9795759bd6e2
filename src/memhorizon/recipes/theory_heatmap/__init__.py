"""Maps of the generalization gap over (psi_n, psi_p) at several training times, in the limit (figure 5 C)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_heatmap.figure import gap, score
from memhorizon.recipes.theory_heatmap.numbers import (
    DIFFUSION_TIMES,
    POINTS,
    ROWS,
    TINY_DIFFUSION_TIMES,
    TINY_POINTS,
    Row,
    rows_of,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """All maps of each diffusion time."""
    points = TINY_POINTS if tiny else POINTS
    levels = TINY_DIFFUSION_TIMES if tiny else DIFFUSION_TIMES
    return {f"t{t:g}": Part(rows_of, (t, points)) for t in levels}


def make(request: Request) -> Found:
    """Compute all maps."""
    made = make_rows(request, parts(request.tiny), ROWS)
    points = TINY_POINTS if request.tiny else POINTS
    settings = {"grid": points, "activation": "tanh", "spectrum": "isotropic"}
    return Found(table("heatmap", made.rows, ROWS, settings=settings))


RECIPE = Recipe(
    "theory_heatmap",
    "The generalization gap opens below the diagonal p = n later the more samples there are.",
    make,
    paper_figure="5 C",
    figures={"gap": gap, "score": score},
    takes="Minutes on one core.",
    path="theory/heatmap",
)
