"""Published formulas, computed here: they need no package, or theirs takes too long on this many columns.

Those for tables and features get the images along the main directions of the training images.
Those of the research codes know nothing of duplicates, where `memhorizon.metrics` groups them.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from memhorizon import metrics
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.neighbors import nearest_of
from memhorizon.recipes.planted_copies.suite import Case
from memhorizon.recipes.planted_copies.tools import HERE, Tool, Verdict

THRESHOLD = 1 / 3  # of f_mem
ALPHA = 0.5  # of calibrated L2
TOLERANCE = 0.01  # of SDMetrics' NewRowSynthesis, relative to the value of the sample
TILE = 4096  # records compared at once with one sample; what is held fits a cache


def f_mem(case: Case) -> Verdict:
    """d1 / d2 < 1/3, where 0 / 0 is not."""
    distance, _ = case.nearest
    return Verdict.of_flags(distance[:, 0] < THRESHOLD * distance[:, 1])


def f_mem_of_groups(case: Case) -> Verdict:
    """The same with d2 to the nearest of another group of near-duplicates."""
    ratio = gap_ratios(case.samples, case.real.train, group=case.real.group)
    return Verdict.of_flags(ratio < THRESHOLD)


def calibrated_l2(case: Case) -> Verdict:
    """d1 < alpha (d1 + ... + dk) / k with alpha = 1/2, k = 50."""
    distance, _ = case.nearest
    return Verdict.of_flags(distance[:, 0] < ALPHA * distance.mean(1))


def auth_pct(case: Case) -> Verdict:
    """Not authentic: |y - x| <= |x - x'|, x the nearest training image and x' the next one to it."""
    distance, index = case.nearest
    return Verdict.of_flags(distance[:, 0] <= case.real.spacing[index[:, 0]])


def near_duplicates(case: Case) -> Verdict:
    """d1 below the median distance of training images to their nearest."""
    distance, _ = case.nearest
    return Verdict.of_flags(distance[:, 0] < case.real.spacing.median())


def mifid(case: Case) -> Verdict:
    """The Frechet distance with the penalty of the paper."""
    return Verdict(float(metrics.mifid(case.table, case.real.table)))


def c_t(case: Case) -> Verdict:
    """The z-score of distances to training images, samples against held-out ones."""
    return Verdict(float(metrics.c_t(case.table, case.real.table, holdout=case.real.holdout_table)))


def generalization_gap(case: Case) -> Verdict:
    """Difference of two likelihood divergences."""
    found = metrics.generalization_gap(case.table, case.real.table, holdout=_some_held_out(case))
    return Verdict(float(found))


def _some_held_out(case: Case) -> Tensor:
    """As many held-out images as samples: the likelihoods of more take minutes."""
    return case.real.holdout_table[: len(case.table)]


def closer_to_training(case: Case) -> Verdict:
    """min(1, 2 (1 - share of samples that are closer to the training set than to the held-out set))."""
    to_train = closest_record(case.table, case.real.table)
    to_holdout = closest_record(case.table, case.real.holdout_table)
    share = float((to_train < to_holdout).double().mean())
    return Verdict(min(2 * (1 - share), 1.0))


def closest_record(samples: Float[Tensor, "m d"], reference: Float[Tensor, "n d"]) -> Float[Tensor, " m"]:
    """SDMetrics' distance to the closest record: mean over columns of min(|x - y| / range of the column, 1).

    A column that is constant in the reference counts 1 where the sample has another value.
    """
    low, high = reference.aminmax(dim=0)
    is_constant = high == low
    weight = torch.where(is_constant, 0, 1 / (high - low))
    closest = [_closest(sample, reference, weight) for sample in samples]
    others = ((samples != low) & is_constant).sum(1)
    return (torch.stack(closest) + others) / samples.shape[1]


def _closest(
    sample: Float[Tensor, " d"], reference: Float[Tensor, "n d"], weight: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    """The smallest sum of clipped differences."""
    nearest = [
        (tile - sample).abs_().mul_(weight).clamp_(max=1).sum(1).min() for tile in reference.split(TILE)
    ]
    return torch.stack(nearest).min()


def same_rows(case: Case) -> Verdict:
    """SDMetrics' NewRowSynthesis: a training record equals the sample within 1 % in every column.

    Such a record is looked for among the two nearest.
    """
    nearest = case.real.table[nearest_of(case.table, case.real.table, 2)[1]]
    return Verdict.of_flags(_within(nearest, case.table[:, None]).any(1))


def _within(x: Float[Tensor, "m k d"], y: Float[Tensor, "m 1 d"]) -> Bool[Tensor, "m k"]:
    return ((x - y).abs() <= TOLERANCE * y.abs()).all(-1)


TOOLS = (
    Tool("f_mem, 1/3", HERE, "d1/d2 < 1/3, as in research codes", f_mem),
    Tool("f_mem, 1/3, groups", HERE, "the same, d2 to another group of near-duplicates", f_mem_of_groups),
    Tool("calibrated L2", HERE, "d1 < mean(d1, ..., d50) / 2, as in dgm-eval", calibrated_l2),
    Tool("AuthPct", HERE, "d1 < d1 of the nearest training image, as in dgm-eval and fld", auth_pct),
    Tool("m3 memorization", HERE, "d1 < median d1 within training, as in m3-score 0.1.0", near_duplicates),
    Tool("SDMetrics new rows", HERE, "NewRowSynthesis' rule of sdmetrics 0.32.0", same_rows),
    Tool("MiFID, as published", HERE, "memhorizon.metrics.mifid", mifid),
    Tool("C_T", HERE, "memhorizon.metrics.c_t, as in data-copying and dgm-eval", c_t, -1),
    Tool(
        "FLD gap",
        HERE,
        "memhorizon.metrics.generalization_gap, as in fld",
        generalization_gap,
        -1,
        "likelihood",
    ),
    Tool(
        "SDMetrics DCR",
        HERE,
        "DCROverfittingProtection's formula of sdmetrics 0.32.0",
        closer_to_training,
        -1,
        "slow",
    ),
)
