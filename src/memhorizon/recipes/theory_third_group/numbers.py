"""The third group of eigenvalues: in the limit, in the Gaussian equivalent and in the tanh network itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.recipes.theory.rows import Features, ModelRow, place_of
from memhorizon.theory import FeatureModel, bulk_edges, loss_curves
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import FiniteMatrices, finite_matrices, sizes
from memhorizon.theory.third_group import group_drops, third_group
from memhorizon.timescales.pooling import MeanError, mean_and_error

GROUPS = ("third", "first", "second")
NETWORKS: tuple[tuple[Features, bool], ...] = (("equivalent", False), ("true", False), ("true", True))
LARGEST_WHOLE = 1600  # features of the largest matrix that is diagonalised whole, to count its eigenvalues

Parts: TypeAlias = dict[str, slice]


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        models: psi_n, psi_p, t and the dimensions of the networks; p is 3200 at the largest of each.
        seeds: of the networks.
    """

    models: tuple[tuple[float, float, float, tuple[int, ...]], ...]
    seeds: tuple[int, ...]


HERE = Sizes(
    (
        (4.0, 8.0, 0.01, (100, 200, 400)),
        (2.0, 8.0, 0.01, (100, 200, 400)),
        (4.0, 16.0, 0.1, (100, 200)),
        (8.0, 32.0, 0.01, (50, 100)),
    ),
    (0, 1, 2, 3, 4),
)
TINY = Sizes(((4.0, 8.0, 0.01, (20, 30)),), (0, 1))


@dataclass(frozen=True)
class Closed:
    """Closed forms of the third group at large psi.

    Attributes:
        center: of its eigenvalues.
        half_width: of its interval.
        share: of the drop of the train loss.
        L_gen: what it adds to the gap.
    """

    center: float
    half_width: float
    share: float
    L_gen: float


@dataclass(frozen=True, kw_only=True)
class GroupsRow(ModelRow):
    """What the groups of eigenvalues do in one model or network."""

    groups: Annotated[tuple[str, ...], "names of the entries of shares and ranges"]
    shares: Annotated[
        Float[np.ndarray, " k"],
        "share of the drop of the train loss per group; finite: A held to the span of points and V",
    ]
    drop: Annotated[float, "1 - L_train(inf), all directions"]
    ranges: Annotated[
        Float[np.ndarray, "k 2"], "lowest and highest eigenvalue of each group of U on that span"
    ]
    L_gen_inf: Annotated[float, "L_gen at the end of training, all directions"]


@dataclass(frozen=True, kw_only=True)
class LimitRow(GroupsRow):
    """The limit."""

    panel: Annotated[Literal["limit"], "limit: exact high-dimensional limit; finite: one network"]
    closed: Annotated[
        Closed, "large-psi closed forms: center, half-width, share of the drop, L_gen of the third group"
    ]


@dataclass(frozen=True, kw_only=True)
class FiniteRow(GroupsRow):
    """One network."""

    panel: Annotated[Literal["finite"], "limit: exact high-dimensional limit; finite: one network"]
    features: Annotated[
        Features, "true: tanh network, noise averaged exactly; equivalent: its Gaussian equivalent"
    ]
    equal_norms: Annotated[bool, "whether all rows of W have length sqrt(d)"]
    dim: Annotated[int, "d"]
    seed: Annotated[int, "of W and of the data"]
    retained: Annotated[float, "drop of the train loss with A held to that span, over the whole drop"]
    L_gen_after: Annotated[
        Float[np.ndarray, " 3"],
        "L_gen when only the second group has relaxed, then also the first, then all (span)",
    ]
    shares_by_index: Annotated[
        Float[np.ndarray, " 3"] | None,
        "shares by counting eigenvalues of the full U; first entry: all below the first bulk",
    ] = None


Row = LimitRow | FiniteRow
ROWS = (LimitRow, FiniteRow)


def limit_row(model: FeatureModel) -> LimitRow:
    """Shares and ranges of the groups in the limit, and the closed forms at large psi."""
    support = bulk_edges(model)
    drops = group_drops(model).drops
    return LimitRow(
        panel="limit",
        **place_of(model),
        groups=support.labels,
        shares=drops / drops.sum(),
        drop=float(drops.sum()),
        ranges=support.intervals,
        L_gen_inf=float(loss_curves(model, [np.inf]).L_gen[0]),
        closed=closed_forms(model),
    )


def closed_forms(model: FeatureModel) -> Closed:
    """The closed forms of the group that belongs to the one variance of the data."""
    group = third_group(model)
    return Closed(
        center=float(group.centers[0]),
        half_width=float(group.half_widths[0]),
        share=float(group.train_drop[0] / group.total_drop),
        L_gen=float(group.gap[0]),
    )


def finite_row(model: FeatureModel, dim: int, seed: int, features: Features, equal_norms: bool) -> FiniteRow:
    """Count the groups of one network on the span of its points and of V."""
    n, p = sizes(model, dim)
    matrices = finite_matrices(model, dim, seed, features=features, equal_norms=equal_norms)
    drop, gap = end_of_training(matrices)
    modes = Modes.of(matrices.on_span())
    parts = parts_of(n, dim)
    drops = drops_of(modes, parts)
    counted = features == "true" and p <= LARGEST_WHOLE
    return FiniteRow(
        panel="finite",
        **place_of(model),
        features=features,
        equal_norms=equal_norms,
        dim=dim,
        seed=seed,
        groups=GROUPS,
        shares=drops / drops.sum(),
        retained=float(drops.sum() / drop),
        drop=drop,
        ranges=ranges_of(modes, parts),
        L_gen_after=np.array([gap_of(modes, start) for start in (n, dim, 0)]),
        L_gen_inf=gap,
        shares_by_index=shares_by_index(matrices, p - n, p - dim) if counted else None,
    )


def parts_of(n: int, dim: int) -> Parts:
    """Of n + d eigenvalues, ascending: d in the third group, n - d in the first bulk, d in the second."""
    return {"third": slice(0, dim), "first": slice(dim, n), "second": slice(n, n + dim)}


def drops_of(modes: Modes, parts: Parts) -> Float[np.ndarray, " 3"]:
    """What each group takes off the train loss by the end of training."""
    return np.array([modes.drop[parts[name]].sum() for name in GROUPS])


def ranges_of(modes: Modes, parts: Parts) -> Float[np.ndarray, "3 2"]:
    """Lowest and highest eigenvalue of each group."""
    groups = [modes.eigenvalues[parts[name]] for name in GROUPS]
    return np.array([[values.min(), values.max()] for values in groups])


def shares_by_index(matrices: FiniteMatrices, first: int, second: int) -> Float[np.ndarray, " 3"]:
    """Shares of all eigenvalues of U below the index `first`, between `first` and `second`, and above."""
    drop = Modes.of(matrices).drop
    counted = np.array([drop[:first].sum(), drop[first:second].sum(), drop[second:].sum()])
    return counted / counted.sum()


def end_of_training(matrices: FiniteMatrices) -> tuple[float, float]:
    """1 - L_train(inf) and L_gen(inf) of all p directions, by one Cholesky factor."""
    d = matrices.V.shape[1]
    # A = U^-1 V, up to sign and scale: 1 - L_train = tr(A^T V)/d
    A = cho_solve(cho_factor(matrices.U), matrices.V)
    drop = float(np.sum(A * matrices.V)) / d
    # L_test = 1 + tr(A^T U_test A - 2 A^T V_test)/d
    test = 1 + float(np.sum(A * (matrices.U_test @ A)) - 2 * np.sum(A * matrices.V_test)) / d
    return drop, test - (1 - drop)


def gap_of(modes: Modes, start: int) -> float:
    """L_gen when the modes from `start` upwards have relaxed and the others have not moved."""
    moved = np.arange(len(modes.eigenvalues)) >= start
    curves = modes.losses(np.array([np.inf]), [lambda u: np.where(moved, 1 / u, 0.0)])
    return float(curves.L_gen[0])


@dataclass(frozen=True, kw_only=True)
class MeanRow(ModelRow):
    """Means over the seeds of one kind of network."""

    features: Features
    equal_norms: bool
    dim: int
    share_third: MeanError
    share_first: MeanError
    share_second: MeanError
    retained: MeanError
    L_gen_inf: MeanError
    gap_share_third: MeanError


def key_of(row: FiniteRow) -> tuple[float, float, float, str, bool, int]:
    """What the networks of several seeds have in common."""
    return row.psi_n, row.psi_p, row.t, row.features, row.equal_norms, row.dim


def means_of(rows: Sequence[FiniteRow]) -> MeanRow:
    """Means over networks that differ in their seed only."""
    first = rows[0]
    return MeanRow(
        **place_of(first),
        features=first.features,
        equal_norms=first.equal_norms,
        dim=first.dim,
        share_third=mean_and_error([row.shares[0] for row in rows]),
        share_first=mean_and_error([row.shares[1] for row in rows]),
        share_second=mean_and_error([row.shares[2] for row in rows]),
        retained=mean_and_error([row.retained for row in rows]),
        L_gen_inf=mean_and_error([row.L_gen_inf for row in rows]),
        gap_share_third=mean_and_error([1 - row.L_gen_after[1] / row.L_gen_after[2] for row in rows]),
    )


def summarise(rows: Sequence[Row]) -> dict[str, list[MeanRow]]:
    """Means over seeds with standard errors."""
    networks = grouped(of_kind(rows, FiniteRow), key_of)
    return {"means": [means_of(same) for _, same in sorted(networks.items(), key=lambda item: item[0])]}
