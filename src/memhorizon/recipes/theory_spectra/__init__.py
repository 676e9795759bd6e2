"""Spectra of U: the limit, the Gaussian equivalent and the tanh network (figures 4 and 14 of the paper)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_spectra.figure import density
from memhorizon.recipes.theory_spectra.numbers import (
    DIMS,
    PANELS,
    ROWS,
    SEEDS,
    TINY_DIMS,
    TINY_PANELS,
    Row,
    finite_row,
    limit_rows,
    summarise,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """The limit and every network of each panel."""
    found = dict[str, Part[Row]]()
    for panel, model in (TINY_PANELS if tiny else PANELS).items():
        found[f"{panel}-limit"] = Part(limit_rows, (panel, model))
        for source, dim in (TINY_DIMS if tiny else DIMS).items():
            for seed in range(1 if tiny else SEEDS):
                found[f"{panel}-{source}-{seed}"] = Part(finite_row, (panel, model, source, dim, seed))
    return found


def make(request: Request) -> Found:
    """Compute limit and networks of every panel."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "dims": TINY_DIMS if tiny else DIMS,
        "seeds": range(1 if tiny else SEEDS),
        "activation": "tanh",
    }
    return Found(table("spectra", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_spectra",
    "The spectrum of U in the limit is that of finite networks, atom and third group included.",
    make,
    paper_figure="4, 14",
    figures={"density": density},
    takes="A few minutes on one core.",
    path="theory/spectra",
)
