"""The third group of eigenvalues: in the limit, in the Gaussian equivalent and in the tanh network itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from memhorizon.recipes.theory_record import mean_and_error, write_record
from memhorizon.theory import FeatureModel, bulk_edges, loss_curves
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import FiniteMatrices, finite_matrices, sizes
from memhorizon.theory.third_group import group_drops, third_group

GROUPS = ("third", "first", "second")
MODELS = [  # psi_n, psi_p, t, dimensions; p is 3200 at the largest dimension of each
    (4.0, 8.0, 0.01, (100, 200, 400)),
    (2.0, 8.0, 0.01, (100, 200, 400)),
    (4.0, 16.0, 0.1, (100, 200)),
    (8.0, 32.0, 0.01, (50, 100)),
]
TINY_MODELS = [(4.0, 8.0, 0.01, (20, 30))]

COLUMNS = {
    "panel": "limit: exact high-dimensional limit; finite: one network",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "features": "true: tanh network, noise averaged exactly; equivalent: its Gaussian equivalent",
    "equal_norms": "whether all rows of W have length sqrt(d)",
    "dim": "d",
    "seed": "of W and of the data",
    "groups": "names of the entries of shares and ranges",
    "shares": "share of the drop of the train loss per group; finite: A held to the span of points and V",
    "retained": "drop of the train loss with A held to that span, over the whole drop",
    "drop": "1 - L_train(inf), all directions",
    "ranges": "lowest and highest eigenvalue of each group of U on that span",
    "shares_by_index": "the same by counting eigenvalues of the full U; first entry: all below first bulk",
    "L_gen_after": "L_gen when only the second group has relaxed, then also the first, then all (span)",
    "L_gen_inf": "L_gen at the end of training, all directions",
    "closed": "large-psi closed forms: center, half-width, share of the drop, L_gen of the third group",
}


def finite_row(
    model: FeatureModel, dim: int, seed: int, features: str, equal_norms: bool
) -> dict[str, object]:
    """Count the groups of one network on the span of its points and of V."""
    n, p = sizes(model, dim)
    matrices = finite_matrices(model, dim, seed, features=features, equal_norms=equal_norms)
    drop, gap = end_of_training(matrices)
    modes = Modes.of(matrices.on_span())
    parts = {"third": slice(0, dim), "first": slice(dim, n), "second": slice(n, n + dim)}
    drops = {name: modes.drop[part].sum() for name, part in parts.items()}
    row = {
        "panel": "finite",
        **base(model),
        "features": features,
        "equal_norms": equal_norms,
        "dim": dim,
        "seed": seed,
        "groups": GROUPS,
        "shares": [drops[name] / sum(drops.values()) for name in GROUPS],
        "retained": sum(drops.values()) / drop,
        "drop": drop,
        "ranges": [[modes.eigenvalues[parts[g]].min(), modes.eigenvalues[parts[g]].max()] for g in GROUPS],
        "L_gen_after": [gap_of(modes, start) for start in (n, dim, 0)],
        "L_gen_inf": gap,
    }
    if p <= 1600 and features == "true":
        whole = Modes.of(matrices).drop
        counted = [whole[: p - n].sum(), whole[p - n : p - dim].sum(), whole[p - dim :].sum()]
        row["shares_by_index"] = np.array(counted) / sum(counted)
    return row


def end_of_training(matrices: FiniteMatrices) -> tuple[float, float]:
    """1 - L_train(inf) and L_gen(inf) of all p directions, by one Cholesky factor."""
    d = matrices.V.shape[1]
    A = cho_solve(cho_factor(matrices.U), matrices.V)
    drop = float(np.sum(A * matrices.V)) / d
    test = 1 + float(np.sum(A * (matrices.U_test @ A)) - 2 * np.sum(A * matrices.V_test)) / d
    return drop, test - (1 - drop)


def gap_of(modes: Modes, start: int) -> float:
    """L_gen when the modes from `start` upwards have relaxed and the others have not moved."""
    moved = np.arange(len(modes.eigenvalues)) >= start
    return float(modes.losses(np.array([np.inf]), [lambda u: np.where(moved, 1 / u, 0.0)]).L_gen[0])


def limit_row(model: FeatureModel) -> dict[str, object]:
    """The same from the limit, and its closed forms at large psi."""
    support, drops, closed = bulk_edges(model), group_drops(model), third_group(model)
    end = loss_curves(model, [np.inf])
    return {
        "panel": "limit",
        **base(model),
        "groups": support.labels,
        "shares": drops.drops / drops.drops.sum(),
        "drop": drops.drops.sum(),
        "ranges": support.intervals,
        "L_gen_inf": end.L_gen[0],
        "closed": {
            "center": closed.centers[0],
            "half_width": closed.half_widths[0],
            "share": closed.train_drop[0] / closed.total_drop,
            "L_gen": closed.gap[0],
        },
    }


def base(model: FeatureModel) -> dict[str, object]:
    """The columns that name a model."""
    return {"psi_n": model.psi_n, "psi_p": model.psi_p, "t": model.t}


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Means over seeds with standard errors."""
    keys = sorted({key_of(row) for row in rows if row["panel"] == "finite"})
    means = []
    for key in keys:
        same = [row for row in rows if row["panel"] == "finite" and key_of(row) == key]
        entry = dict(zip(("psi_n", "psi_p", "t", "features", "equal_norms", "dim"), key, strict=True))
        for i, name in enumerate(GROUPS):
            entry[f"share_{name}"] = mean_and_error(row["shares"][i] for row in same)
        entry["retained"] = mean_and_error(row["retained"] for row in same)
        entry["L_gen_inf"] = mean_and_error(row["L_gen_inf"] for row in same)
        entry["gap_share_third"] = mean_and_error(
            1 - row["L_gen_after"][1] / row["L_gen_after"][2] for row in same
        )
        means.append(entry)
    return {"means": means}


def key_of(row: Mapping[str, object]) -> tuple[object, ...]:
    """What is averaged over seeds."""
    return tuple(row[name] for name in ("psi_n", "psi_p", "t", "features", "equal_norms", "dim"))


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/third_group.json. About ten minutes on one core; seconds when tiny."""
    models, seeds = (TINY_MODELS, 2) if tiny else (MODELS, 5)

    def rows() -> Iterator[dict[str, object]]:
        for psi_n, psi_p, t, dims in models:
            model = FeatureModel(psi_n, psi_p, t)
            yield limit_row(model)
            for dim in dims:
                for features, equal_norms in (("equivalent", False), ("true", False), ("true", True)):
                    for seed in range(seeds):
                        yield finite_row(model, dim, seed, features, equal_norms)

    settings = {"models": models, "seeds": list(range(seeds)), "activation": "tanh", "spectrum": "isotropic"}
    return write_record(
        out, "third_group", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
