"""The rules that people use (`memhorizon.monitor.rules`), each read off the snapshots of one training.

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

from collections.abc import Callable
from dataclasses import dataclass

from memhorizon.monitor import rules
from memhorizon.recipes.monitor_rules.seen import Run, Snapshot
from memhorizon.recipes.monitor_rules.suite import Training


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
    return _at(run, rules.held_out_minimum(run.snapshots))


def early_stopping(training: Training, run: Run) -> Choice:
    """Stop at the third snapshot in a row above the smallest held-out loss so far."""
    stop = rules.out_of_patience(run.snapshots) or run.snapshots[-1]
    best = rules.held_out_minimum([shot for shot in run.snapshots if shot.step <= stop.step])
    return Choice(stop, best or stop)


def loss_gap(training: Training, run: Run) -> Choice:
    """Stop where the training and the held-out curve have come apart."""
    return _at(run, rules.gap_opens(run.snapshots))


def dvar(training: Training, run: Run) -> Choice:
    """Stop where the loss on fixed inputs has settled."""
    return _at_step(run, run.dvar if run.dvar >= 0 else training.n_updates)


def stable_rank(training: Training, run: Run) -> Choice:
    """Stop where the stable rank has fallen."""
    return _at(run, rules.stable_rank_falls(run.snapshots))


def frechet(training: Training, run: Run) -> Choice:
    """Ship the samples that are nearest to the training images."""
    return _at(run, rules.frechet_minimum(run.snapshots))


def steps_per_image(training: Training, run: Run) -> Choice:
    """Stop after 100 steps for each image."""
    return _at_step(run, rules.PER_ITEM * training.n_train)


def fixed_steps(training: Training, run: Run) -> Choice:
    """Stop after 2,000 steps."""
    return _at_step(run, rules.FIXED)


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


def _at(run: Run, found: Snapshot | None) -> Choice:
    """Stop at a snapshot and ship it; the last one where none is found."""
    shot = found or run.snapshots[-1]
    return Choice(shot, shot)


def _at_step(run: Run, step: int) -> Choice:
    """Stop at the last snapshot up to a step; the first one where all are later."""
    return _at(run, rules.up_to(run.snapshots, step) or run.snapshots[0])
