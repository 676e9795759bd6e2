"""Maps of the generalization gap over (psi_n, psi_p) at several training times, in the limit (figure 5 C)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_heatmap.figure import gap, score
from memhorizon.recipes.theory_heatmap.numbers import HERE, ROWS, TINY, Sizes, rows_of


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {"grid": size.points, "activation": "tanh", "spectrum": "isotropic"}


def make(request: Request) -> Found:
    """Compute all maps."""
    size = TINY if request.tiny else HERE
    parts = {f"t{t:g}": Part(rows_of, (t, size.points)) for t in size.diffusion_times}
    rows = make_rows(request, parts, ROWS).rows
    return found_table("heatmap", rows, ROWS, settings=settings_of(size))


RECIPE = Recipe(
    "theory_heatmap",
    "The generalization gap opens below the diagonal p = n later the more samples there are.",
    make,
    paper_figure="Fig. 5 C",
    figures={"gap": gap, "score": score},
    takes="Minutes on one core.",
    path="theory/heatmap",
)
