"""The network trained in torch, by gradient descent and by Adam, against the exact flow (figure 15)."""

from itertools import product

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_optimizers.figure import curves, times
from memhorizon.recipes.theory_optimizers.numbers import (
    HERE,
    LEARNING_RATE,
    NOISES,
    OPTIMIZERS,
    ROWS,
    STEP,
    TINY,
    Row,
    Sizes,
    exact_rows,
    summarise,
    trained_row,
)


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """Every training run."""
    found = dict[str, Part[Row]]()
    for psi_n, optimizer, gradient, seed in product(size.psi_n, OPTIMIZERS, size.last, size.seeds):
        arguments = (psi_n, optimizer, gradient, seed, size.dim, size.last[gradient])
        found[f"{optimizer}-{gradient}-psi{psi_n:g}-seed{seed}"] = Part(trained_row, arguments)
    return found


def settings_of(size: Sizes, seconds: float) -> dict[str, object]:
    """What was trained, and how long it took."""
    return {
        "psi_n": size.psi_n,
        "step of gd, tau": STEP,
        "learning rate of adam": LEARNING_RATE,
        "noises per point and step": NOISES,
        "activation": "tanh",
        "spectrum": "isotropic",
        "seeds": {"network and data": size.seeds, "noise": [seed + 1 for seed in size.seeds]},
        "training seconds": seconds,
    }


def make(request: Request) -> Found:
    """Train the networks, and compute flow and descent of the first ones exactly."""
    size = TINY if request.tiny else HERE
    made = make_rows(request, parts(size), ROWS)
    exact = [row for psi_n in size.psi_n for row in exact_rows(psi_n, size.dim, size.last["exact"])]
    rows = [*exact, *made.rows]
    settings = settings_of(size, made.seconds)
    return found_table("optimizers", rows, ROWS, settings=settings, summary=summarise(rows))


RECIPE = Recipe(
    "theory_optimizers",
    "Gradient descent in torch is the exact descent; with Adam overfitting comes at other powers of psi_n.",
    make,
    paper_figure="Fig. 15",
    figures={"curves": curves, "times": times},
    takes="Some twenty minutes on two cores.",
    path="theory/optimizers",
)
