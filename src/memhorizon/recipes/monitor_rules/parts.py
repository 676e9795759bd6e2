"""The parts of the recipe: one for each training."""

from functools import partial

from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Samples, Training
from memhorizon.recipes.monitor_rules.watching import (
    BUDGETS,
    RATIO,
    SAMPLER,
    TARGET,
    Run,
    watch,
)
from memhorizon.recipes.parts import Part
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain


def settings(sizes: Samples) -> dict[str, Plain]:
    """What all trainings share."""
    return {
        "n_holdout": N_HOLDOUT,
        "sampler": encode(SAMPLER),
        "target": TARGET,
        "budgets": list(BUDGETS),
        "snapshot_ratio": RATIO,
        "snapshot_samples": sizes.snapshot,
        "truth_samples": sizes.truth,
    }


def part_of(training: Training, sizes: Samples) -> Part[Run]:
    """The part of one training."""
    own = {"training": encode(training), **settings(sizes)}
    return Part(training.name, own, partial(watch, training, sizes))
