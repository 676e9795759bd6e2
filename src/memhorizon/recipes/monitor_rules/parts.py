"""The parts of the recipe: one for each training."""

from functools import partial

from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Training
from memhorizon.recipes.monitor_rules.watching import (
    BUDGETS,
    N_SNAPSHOT,
    N_TRUTH,
    RATIO,
    SAMPLER,
    TARGET,
    Run,
    watch,
)
from memhorizon.recipes.parts import Part
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain


def settings() -> dict[str, Plain]:
    """What all trainings share."""
    return {
        "n_holdout": N_HOLDOUT,
        "sampler": encode(SAMPLER),
        "target": TARGET,
        "budgets": list(BUDGETS),
        "snapshot_ratio": RATIO,
        "snapshot_samples": N_SNAPSHOT,
        "truth_samples": N_TRUTH,
    }


def part_of(training: Training) -> Part[Run]:
    """The part of one training."""
    own = {"training": encode(training), **settings()}
    return Part(training.name, own, partial(watch, training))
