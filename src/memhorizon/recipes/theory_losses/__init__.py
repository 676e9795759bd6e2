"""Losses and score error against training time, with their timescales (figures 5, 11 and 12 of the paper)."""

from collections.abc import Mapping

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.rows import Features
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_losses.figure import check, curves, over_t, over_variance
from memhorizon.recipes.theory_losses.numbers import (
    CHECKS,
    DIM,
    FIG5,
    PSI_N,
    ROWS,
    SEEDS,
    TINY_CHECKS,
    TINY_DIM,
    TINY_PSI_N,
    TINY_SEEDS,
    Row,
    check_row,
    finite_row,
    limit_rows,
    summarise,
)
from memhorizon.theory import FeatureModel

FEATURES: tuple[Features, ...] = ("true", "equivalent")


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """The limit and the networks of each psi_n, and the networks that are held against the limit."""
    dim = TINY_DIM if tiny else DIM
    seeds = TINY_SEEDS if tiny else SEEDS
    found = dict[str, Part[Row]]()
    for psi_n in TINY_PSI_N if tiny else PSI_N:
        model = FeatureModel(psi_n, *FIG5)
        found[f"psi{psi_n:g}-limit"] = Part(limit_rows, (psi_n,))
        found[f"psi{psi_n:g}-true"] = Part(finite_row, ("fig5", model, "true", dim, seeds))
    for checked, networks in checks_of(tiny).items():
        for features in FEATURES:
            found[f"check-{features}-d{checked}"] = Part(check_row, (features, checked, networks))
    return found


def checks_of(tiny: bool) -> Mapping[int, int]:
    """How many networks of each dimension are held against the limit."""
    return TINY_CHECKS if tiny else CHECKS


def make(request: Request) -> Found:
    """Compute limit and networks of every panel."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    checked = {f"check d={dim}": range(seeds) for dim, seeds in checks_of(tiny).items()}
    settings = {
        "psi_n": TINY_PSI_N if tiny else PSI_N,
        "seeds": {"fig5": range(TINY_SEEDS if tiny else SEEDS), **checked},
        "activation": "tanh",
    }
    return Found(table("losses", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_losses",
    "Networks of dimension d follow the loss curves of the limit up to terms of order 1/d.",
    make,
    paper_figure="5, 11, 12",
    figures={"curves": curves, "t": over_t, "variance": over_variance, "check": check},
    takes="About three minutes on one core.",
    path="theory/losses",
)
