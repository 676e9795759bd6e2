"""Spectra of U: the limit, the Gaussian equivalent and the tanh network (figures 4 and 14 of the paper)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_spectra.figure import density
from memhorizon.recipes.theory_spectra.numbers import (
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
    """The limit and every network of each panel."""
    found = dict[str, Part[Row]]()
    for panel, model in size.panels.items():
        found[f"{panel}-limit"] = Part(limit_rows, (panel, model))
        for source, dim in size.dims.items():
            for seed in range(size.seeds):
                found[f"{panel}-{source}-{seed}"] = Part(finite_row, (panel, model, source, dim, seed))
    return found


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {"dims": size.dims, "seeds": range(size.seeds), "activation": "tanh"}


def make(request: Request) -> Found:
    """Compute limit and networks of every panel."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("spectra", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_spectra",
    "The spectrum of U in the limit is that of finite networks, atom and third group included.",
    make,
    paper_figure="Figs. 4, 14",
    figures={"density": density},
    takes="A few minutes on one core.",
    path="theory/spectra",
)
