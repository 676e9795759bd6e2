"""The rules that people use, each read off the snapshots of one training.

| rule | as it is used here |
|---|---|
| held-out minimum | train to the end, ship the snapshot with the smallest held-out loss |
| early stopping | stop at the third snapshot in a row above the smallest held-out loss, ship that one |
| loss gap | stop where the gap is above two standard errors at two snapshots in a row |
| DVAR | stop where the variance of the loss on fixed inputs over 310 steps is below 15 % of that so far |
| stable rank | stop where the stable rank of the weights is 5 % below its largest value |
| Frechet distance | train to the end, ship the snapshot whose samples are nearest to the training images |
| 100 steps per image | stop after 100 n steps |
| 2,000 steps | stop after 2,000 steps |

A rule that never stops in a training trains to its end.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from memhorizon.recipes.monitor_rules.suite import Training
from memhorizon.recipes.monitor_rules.watching import Run, Snapshot

PATIENCE = 3
ERRORS = 2.0
FALL = 0.05


@dataclass(frozen=True)
class Choice:
    """What a rule does with one training.

    Attributes:
        stop: snapshot at which it stops.
        ships: snapshot that it ships.
    """

    stop: Snapshot
    ships: Snapshot


Rule = Callable[[Training, Run], Choice]


def held_out_minimum(training: Training, run: Run) -> Choice:
    """Ship the smallest held-out loss of the whole training."""
    best = min(run.snapshots, key=lambda shot: shot.holdout)
    return Choice(best, best)


def early_stopping(training: Training, run: Run) -> Choice:
    """Stop at the third snapshot in a row above the smallest held-out loss so far."""
    best = run.snapshots[0]
    waited = 0
    for shot in run.snapshots[1:]:
        waited = 0 if shot.holdout < best.holdout else waited + 1
        best = min(best, shot, key=lambda one: one.holdout)
        if waited == PATIENCE:
            return Choice(shot, best)
    return Choice(run.snapshots[-1], best)


def loss_gap(training: Training, run: Run) -> Choice:
    """Stop where the training and the held-out curve have come apart."""
    apart = [shot.gap > ERRORS * shot.gap_error for shot in run.snapshots]
    pairs = zip(run.snapshots[1:], apart, apart[1:], strict=False)
    return _at_first(shot for shot, before, now in pairs if before and now)(run)


def dvar(training: Training, run: Run) -> Choice:
    """Stop where the loss on fixed inputs has settled."""
    return _at_step(run, run.dvar if run.dvar >= 0 else training.n_updates)


def stable_rank(training: Training, run: Run) -> Choice:
    """Stop where the stable rank has fallen."""
    largest = 0.0
    for shot in run.snapshots:
        largest = max(largest, shot.stable_rank)
        if shot.stable_rank < (1 - FALL) * largest:
            return Choice(shot, shot)
    return Choice(run.snapshots[-1], run.snapshots[-1])


def frechet(training: Training, run: Run) -> Choice:
    """Ship the samples that are nearest to the training images."""
    best = min(run.snapshots, key=lambda shot: shot.frechet)
    return Choice(best, best)


def steps_per_image(training: Training, run: Run) -> Choice:
    """Stop after 100 steps for each image."""
    return _at_step(run, 100 * training.n_train)


def fixed_steps(training: Training, run: Run) -> Choice:
    """Stop after 2,000 steps."""
    return _at_step(run, 2000)


RULES: dict[str, Rule] = {
    "held-out minimum": held_out_minimum,
    "early stopping": early_stopping,
    "loss gap": loss_gap,
    "DVAR": dvar,
    "stable rank": stable_rank,
    "Frechet distance": frechet,
    "100 steps per image": steps_per_image,
    "2,000 steps": fixed_steps,
}


def _at_first(found: Iterable[Snapshot]) -> Callable[[Run], Choice]:
    """The first of these snapshots; the last of the training where there is none."""
    first = next(iter(found), None)

    def choice(run: Run) -> Choice:
        shot = run.snapshots[-1] if first is None else first
        return Choice(shot, shot)

    return choice


def _at_step(run: Run, step: int) -> Choice:
    """The last snapshot up to a step; the first one where all are later."""
    earlier: Sequence[Snapshot] = [shot for shot in run.snapshots if shot.step <= step]
    shot = earlier[-1] if earlier else run.snapshots[0]
    return Choice(shot, shot)
