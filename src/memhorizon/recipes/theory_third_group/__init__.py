"""The third group of eigenvalues: in the limit, in the Gaussian equivalent and in the tanh network itself."""

from collections.abc import Sequence

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.tables import found_table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_third_group.figure import shares
from memhorizon.recipes.theory_third_group.numbers import (
    HERE,
    NETWORKS,
    ROWS,
    TINY,
    Row,
    Sizes,
    finite_row,
    limit_row,
    summarise,
)
from memhorizon.theory import FeatureModel


def parts(size: Sizes) -> dict[str, Part[Row]]:
    """The limit and every network of each model."""
    found = dict[str, Part[Row]]()
    for psi_n, psi_p, t, dims in size.models:
        model = FeatureModel(psi_n, psi_p, t)
        name = f"psi{psi_n:g}-{psi_p:g}-t{t:g}"
        found[f"{name}-limit"] = Part(limit_row, (model,))
        for dim in dims:
            networks = networks_of(model, dim, size.seeds)
            found |= {f"{name}-d{dim}-{network}": part for network, part in networks.items()}
    return found


def networks_of(model: FeatureModel, dim: int, seeds: Sequence[int]) -> dict[str, Part[Row]]:
    """Every network of one dimension."""
    found = dict[str, Part[Row]]()
    for features, equal_norms in NETWORKS:
        kind = f"{features}-equal" if equal_norms else features
        for seed in seeds:
            found[f"{kind}-{seed}"] = Part(finite_row, (model, dim, seed, features, equal_norms))
    return found


def settings_of(size: Sizes) -> dict[str, object]:
    """What the record says of its making."""
    return {**vars(size), "activation": "tanh", "spectrum": "isotropic"}


def make(request: Request) -> Found:
    """Compute the limit and the networks of every model."""
    size = TINY if request.tiny else HERE
    rows = make_rows(request, parts(size), ROWS).rows
    return found_table("third_group", rows, ROWS, settings=settings_of(size), summary=summarise(rows))


RECIPE = Recipe(
    "theory_third_group",
    "A third group of eigenvalues, below the first bulk, carries most of the fall of the train loss.",
    make,
    figures={"shares": shares},
    takes="About ten minutes on one core.",
    path="theory/third_group",
)
