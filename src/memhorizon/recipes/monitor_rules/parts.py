"""The parts of the recipe: one for each training."""

from functools import partial

from memhorizon.recipes.monitor_rules.seen import Run, Watched
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Samples, Training
from memhorizon.recipes.monitor_rules.truth import SAMPLER, TARGET
from memhorizon.recipes.monitor_rules.watching import BUDGETS, PLANNED, RATIO, watch, watch_planned
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
        "time": "of the processor",
        "snapshot_ratio": RATIO,
        "snapshot_samples": sizes.snapshot,
        "truth_samples": sizes.truth,
    }


def part_of(training: Training, sizes: Samples) -> Part[Run]:
    """The part of one training."""
    own = {"training": encode(training), **settings(sizes)}
    return Part(training.name, own, partial(watch, training, sizes))


def planned_part_of(training: Training, sizes: Samples) -> Part[Watched]:
    """The part of one training with a monitor that knows how long it is to be."""
    own = {"training": encode(training), **settings(sizes), "budgets": [PLANNED], "planned": True}
    return Part(f"{training.name}-planned", own, partial(watch_planned, training, sizes))
