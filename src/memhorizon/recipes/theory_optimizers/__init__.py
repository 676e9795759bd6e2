"""The network trained in torch, by gradient descent and by Adam, against the exact flow (figure 15)."""

from collections.abc import Mapping
from itertools import product

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_optimizers.figure import curves, times
from memhorizon.recipes.theory_optimizers.numbers import (
    DIM,
    LAST,
    LEARNING_RATE,
    NOISES,
    OPTIMIZERS,
    PSI_N,
    ROWS,
    SEEDS,
    STEP,
    TINY_DIM,
    TINY_LAST,
    Gradient,
    Row,
    exact_rows,
    summarise,
    trained_row,
)


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """Every training run."""
    dim = TINY_DIM if tiny else DIM
    last: Mapping[Gradient, int] = TINY_LAST if tiny else LAST
    found = dict[str, Part[Row]]()
    for psi_n, optimizer, gradient, seed in product(sizes_of(tiny), OPTIMIZERS, last, seeds_of(tiny)):
        arguments = (psi_n, optimizer, gradient, seed, dim, last[gradient])
        found[f"{optimizer}-{gradient}-psi{psi_n:g}-seed{seed}"] = Part(trained_row, arguments)
    return found


def sizes_of(tiny: bool) -> tuple[float, ...]:
    """The values of psi_n."""
    return PSI_N[:1] if tiny else PSI_N


def seeds_of(tiny: bool) -> tuple[int, ...]:
    """The seeds of the networks and of their data."""
    return SEEDS[:1] if tiny else SEEDS


def make(request: Request) -> Found:
    """Train the networks, and compute flow and descent of the first ones exactly."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    dim = TINY_DIM if tiny else DIM
    last = (TINY_LAST if tiny else LAST)["exact"]
    exact = [row for psi_n in sizes_of(tiny) for row in exact_rows(psi_n, dim, last)]
    rows = [*exact, *made.rows]
    settings = {
        "psi_n": sizes_of(tiny),
        "step of gd, tau": STEP,
        "learning rate of adam": LEARNING_RATE,
        "noises per point and step": NOISES,
        "activation": "tanh",
        "spectrum": "isotropic",
        "seeds": {"network and data": seeds_of(tiny), "noise": [seed + 1 for seed in seeds_of(tiny)]},
        "training seconds": made.seconds,
    }
    return Found(table("optimizers", rows, ROWS, settings=settings, summary=summarise(rows)))


RECIPE = Recipe(
    "theory_optimizers",
    "Gradient descent in torch is the exact descent; with Adam overfitting comes at other powers of psi_n.",
    make,
    paper_figure="15",
    figures={"curves": curves, "times": times},
    takes="Some twenty minutes on two cores.",
    path="theory/optimizers",
)
