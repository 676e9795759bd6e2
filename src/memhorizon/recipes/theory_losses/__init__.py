"""Losses and score error against training time, with their timescales (figures 5, 11 and 12 of the paper)."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.rows import Features
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_losses.figure import check, curves, over_t, over_variance
from memhorizon.recipes.theory_losses.numbers import (
    FIG5,
    HERE,
    ROWS,
    TINY,
    Row,
    Sizes,
    check_row,
    finite_row,
    limit_rows,
    summarise,
)
from memhorizon.theory import FeatureModel

FEATURES: tuple[Features, ...] = ("true", "equivalent")


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """The limit and the networks of each psi_n, and the networks that are held against the limit."""
    found = dict[str, Part[Row]]()
    for psi_n in size.psi_n:
        model = FeatureModel(psi_n, *FIG5)
        found[f"psi{psi_n:g}-limit"] = Part(limit_rows, (psi_n,))
        found[f"psi{psi_n:g}-true"] = Part(finite_row, ("fig5", model, "true", size.dim, size.seeds))
    for dim, networks in size.checks.items():
        for features in FEATURES:
            found[f"check-{features}-d{dim}"] = Part(check_row, (features, dim, networks))
    return found


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    checked = {f"check d={dim}": range(networks) for dim, networks in size.checks.items()}
    return {
        "psi_n": size.psi_n,
        "seeds": {"fig5": range(size.seeds), **checked},
        "activation": "tanh",
    }


def make(request: Request) -> Found:
    """Compute limit and networks of every panel."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("losses", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_losses",
    "Networks of dimension d follow the loss curves of the limit up to terms of order 1/d.",
    make,
    paper_figure="Figs. 5, 11, 12",
    figures={"curves": curves, "t": over_t, "variance": over_variance, "check": check},
    takes="About three minutes on one core.",
    path="theory/losses",
)
