"""The third group of eigenvalues: in the limit, in the Gaussian equivalent and in the tanh network itself."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_third_group.figure import shares
from memhorizon.recipes.theory_third_group.numbers import (
    MODELS,
    NETWORKS,
    ROWS,
    SEEDS,
    TINY_MODELS,
    TINY_SEEDS,
    Row,
    finite_row,
    limit_row,
    summarise,
)
from memhorizon.theory import FeatureModel


def parts(tiny: bool) -> dict[str, Part[Row]]:
    """The limit and every network of each model."""
    found = dict[str, Part[Row]]()
    for psi_n, psi_p, t, dims in TINY_MODELS if tiny else MODELS:
        model = FeatureModel(psi_n, psi_p, t)
        name = f"psi{psi_n:g}-{psi_p:g}-t{t:g}"
        found[f"{name}-limit"] = Part(limit_row, (model,))
        for dim in dims:
            for features, equal_norms in NETWORKS:
                for seed in TINY_SEEDS if tiny else SEEDS:
                    kind = f"{features}{'-equal' if equal_norms else ''}-d{dim}-{seed}"
                    found[f"{name}-{kind}"] = Part(finite_row, (model, dim, seed, features, equal_norms))
    return found


def make(request: Request) -> Found:
    """Compute the limit and the networks of every model."""
    tiny = request.tiny
    made = make_rows(request, parts(tiny), ROWS)
    settings = {
        "models": TINY_MODELS if tiny else MODELS,
        "seeds": TINY_SEEDS if tiny else SEEDS,
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return Found(table("third_group", made.rows, ROWS, settings=settings, summary=summarise(made.rows)))


RECIPE = Recipe(
    "theory_third_group",
    "A third group of eigenvalues, below the first bulk, carries most of the fall of the train loss.",
    make,
    figures={"shares": shares},
    takes="About ten minutes on one core.",
    path="theory/third_group",
)
