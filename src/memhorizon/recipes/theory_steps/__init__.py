"""Gradient descent with a finite step and with momentum, as functions of U, against gradient flow."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory_steps.figure import curves
from memhorizon.recipes.theory_steps.numbers import HERE, MODEL, ROWS, TINY, rows_of, summarise


def make(request: Request) -> Found:
    """Compute descent and flow of one network."""
    rows = list(rows_of(*(TINY if request.tiny else HERE)))
    settings = {"psi_n": MODEL.psi_n, "psi_p": MODEL.psi_p, "t": MODEL.t, "activation": "tanh"}
    return found_table("steps", rows, ROWS, settings=settings, summary=summarise(rows))


RECIPE = Recipe(
    "theory_steps",
    "Gradient descent with any stable step follows gradient flow but for the fastest modes.",
    make,
    figures={"curves": curves},
    path="theory/steps",
)
