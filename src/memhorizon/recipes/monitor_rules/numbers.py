"""What each rule would have done in each training, and whether that was right.

Four demands on a rule, of which the last holds by the counts of 5,000 fresh samples:

1. it stops no earlier than tau_gen, where the loss of test items comes down to a level that all trainings
   of its kind reach;
2. where it stops at most 2 % of the samples are copies;
3. the loss of test items at the checkpoint that it ships is within 5 % of the smallest among the snapshots
   of the training with at most 1 % copies;
4. it gives a certificate, an upper limit of the share of copies of at most 1 %, and that holds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.monitor_rules.parts import part_of, planned_part_of, settings
from memhorizon.recipes.monitor_rules.rules import RULES
from memhorizon.recipes.monitor_rules.seen import Run, Snapshot, Watched
from memhorizon.recipes.monitor_rules.suite import Training, samples, trainings
from memhorizon.recipes.monitor_rules.truth import TARGET
from memhorizon.recipes.parts import Done, do_parts, found_of
from memhorizon.recipes.tables import grouped, of_kind

NAME = "monitor_rules"
TOLERANCE = 0.05  # of the level of tau_gen above the worst of the best losses
MOST_COPIES = 0.02
NEAR_BEST = 1.05
FREE = 0.01  # share of copies up to which a snapshot is without


@dataclass(frozen=True)
class Share:
    """How many of some.

    Attributes:
        count: that have the property.
        total: that were looked at.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.total


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One training along its snapshots."""

    part: Annotated[Literal["training"], "one training along its snapshots"] = "training"
    training: Annotated[str, "its name: data, n, width, prediction, optimizer, learning rate, seed"]
    n_train: Annotated[int, "training items"]
    n_updates: Annotated[int, "length of the training"]
    tau_gen: Annotated[float, "step at which the loss of test items reaches the level of its kind"]
    lowest: Annotated[float, "smallest loss of test items among snapshots with at most 1 % copies"]
    null: Annotated[float, "share of copies that the test allows for among honest samples"]
    step: Annotated[tuple[int, ...], "snapshots"]
    train: Annotated[Float[np.ndarray, " m"], "loss of training items"]
    holdout: Annotated[Float[np.ndarray, " m"], "loss of held-out items, which the rules see"]
    test: Annotated[Float[np.ndarray, " m"], "loss of test items, which they do not"]
    copies: Annotated[tuple[int, ...], "copies among the samples of each snapshot"]
    total: Annotated[int, "samples of each snapshot"]
    seconds: Annotated[float, "time of the training alone"]


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """What a rule did in one training."""

    part: Annotated[Literal["rule"], "what a rule did in one training"] = "rule"
    training: Annotated[str, "name of the training"]
    rule: Annotated[str, "name of the rule; of the monitor with its budget"]
    stop: Annotated[int, "step at which it stopped; the last where it did not"]
    reason: Annotated[str, "why the monitor stopped; empty for the other rules"] = ""
    copies: Annotated[Share, "copies at the stop; of 5,000 samples for the monitor"]
    ships: Annotated[int | None, "step of the checkpoint that it ships; null where it ships none"]
    ratio: Annotated[float | None, "loss of test items there over `lowest`"]
    shipped: Annotated[Share | None, "copies there"]
    upper: Annotated[float | None, "limit of its certificate; null where it gives none"]
    after_tau_gen: Annotated[bool, "demand 1"]
    few_copies: Annotated[bool, "demand 2"]
    near_best: Annotated[bool, "demand 3"]
    certified: Annotated[bool, "demand 4"]
    overhead: Annotated[
        float | None,
        "time of the monitor until the stop over that of the training; of the planned one where it is known",
    ] = None


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """A rule over all trainings."""

    part: Annotated[Literal["summary"], "a rule over all trainings"] = "summary"
    rule: Annotated[str, "name of the rule"]
    after_tau_gen: Annotated[Share, "trainings in which demand 1 is met"]
    few_copies: Annotated[Share, "demand 2"]
    near_best: Annotated[Share, "demand 3"]
    certified: Annotated[Share, "demand 4"]
    every: Annotated[Share, "all four"]
    holds: Annotated[Share | None, "certificates given that hold"]


Row = TrainingRow | RuleRow | SummaryRow
KINDS = (TrainingRow, RuleRow, SummaryRow)


def make(request: Request) -> Found:
    """Do all trainings and read what each rule does."""
    every = trainings(request.size)
    sizes = samples(request.size)
    done = do_parts([part_of(training, sizes) for training in every], Run, request)
    planned = do_parts([planned_part_of(training, sizes) for training in every], Watched, request)
    rows = rows_of(every, done, [one.found for one in planned])
    shared = {**settings(sizes), "most_copies": MOST_COPIES, "near_best": NEAR_BEST, "tolerance": TOLERANCE}
    return found_of(NAME, rows, KINDS, done, settings=shared, summary=summarise(rows))


def rows_of(
    every: Sequence[Training], done: Sequence[Done[Run]], planned: Sequence[Watched] = ()
) -> list[Row]:
    """The rows of all trainings, of all rules in each, and of all rules over all.

    Args:
        every: the trainings.
        done: what was seen in each.
        planned: what the monitors said that knew how long each was to be; none to leave them out.
    """
    informed = dict(zip(every, planned, strict=False))
    runs = {training: one.found for training, one in zip(every, done, strict=True)}
    levels = levels_of(runs)
    of_trainings = [training_row(training, run, levels[kind_of(training)]) for training, run in runs.items()]
    of_rules = [
        row
        for known, (training, run) in zip(of_trainings, runs.items(), strict=True)
        for row in rule_rows(known, training, run, informed.get(training))
    ]
    sums = [summary_row(rule, own) for rule, own in grouped(of_rules, lambda row: row.rule).items()]
    return [*of_trainings, *of_rules, *sums]


def kind_of(training: Training) -> tuple[str, str]:
    """Trainings of one kind have losses in one unit."""
    return training.data, training.prediction


def levels_of(runs: Mapping[Training, Run]) -> dict[tuple[str, str], float]:
    """The level of each kind: a twentieth above the worst of the best losses of its trainings."""
    by_kind = grouped(runs.items(), lambda entry: kind_of(entry[0]))
    return {
        kind: (1 + TOLERANCE) * max(min(shot.test for shot in run.snapshots) for _, run in own)
        for kind, own in by_kind.items()
    }


def first_below(snapshots: Sequence[Snapshot], level: float) -> float:
    """The step at which the loss of test items is first at a level, between snapshots by the logarithm."""
    for before, now in zip(snapshots, snapshots[1:], strict=False):
        if now.test <= level < before.test:
            share = (before.test - level) / (before.test - now.test)
            return before.step * (now.step / before.step) ** share
    return float(snapshots[0].step) if snapshots[0].test <= level else math.inf


def training_row(training: Training, run: Run, level: float) -> TrainingRow:
    """One training."""
    shots = run.snapshots
    free = [shot.test for shot in shots if shot.copies <= FREE * shot.total]
    return TrainingRow(
        training=training.name,
        n_train=training.n_train,
        n_updates=training.n_updates,
        tau_gen=first_below(shots, level),
        lowest=min(free) if free else math.nan,
        null=run.null,
        step=tuple(shot.step for shot in shots),
        train=np.array([shot.train for shot in shots]),
        holdout=np.array([shot.holdout for shot in shots]),
        test=np.array([shot.test for shot in shots]),
        copies=tuple(shot.copies for shot in shots),
        total=shots[0].total,
        seconds=run.train_seconds,
    )


def rule_rows(known: TrainingRow, training: Training, run: Run, planned: Watched | None) -> list[RuleRow]:
    """What each rule did in a training."""
    monitors = [monitor_row(known, one) for one in run.watched]
    if planned is not None:
        name = f"{monitor_name(planned.budget)} of the planned length"
        monitors.insert(0, replace(monitor_row(known, planned), rule=name))
    others = [other_row(known, name, training, run) for name in RULES]
    return [*monitors, *others]


def monitor_row(known: TrainingRow, one: Watched) -> RuleRow:
    """What a monitor did."""
    best = one.best
    ratio = None if best is None else best.test / known.lowest
    holds = best is not None and one.upper <= TARGET and best.copies <= one.upper * best.total
    return RuleRow(
        training=known.training,
        rule=monitor_name(one.budget),
        stop=one.stop.step,
        reason=one.reason,
        copies=Share(one.stop.copies, one.stop.total),
        ships=None if best is None else best.step,
        ratio=ratio,
        shipped=None if best is None else Share(best.copies, best.total),
        upper=None if best is None else one.upper,
        after_tau_gen=one.stop.step >= known.tau_gen,
        few_copies=one.stop.copies <= MOST_COPIES * one.stop.total,
        near_best=ratio is not None and ratio <= NEAR_BEST,
        certified=holds,
        overhead=one.overhead_at_stop,
    )


def monitor_name(budget: float) -> str:
    """The name of the monitor with a budget."""
    return f"monitor, budget {100 * budget:g} %"


def other_row(known: TrainingRow, name: str, training: Training, run: Run) -> RuleRow:
    """What one of the other rules did."""
    choice = RULES[name](training, run)
    ratio = choice.ships.test / known.lowest
    return RuleRow(
        training=known.training,
        rule=name,
        stop=choice.stop.step,
        copies=Share(choice.stop.copies, choice.stop.total),
        ships=choice.ships.step,
        ratio=ratio,
        shipped=Share(choice.ships.copies, choice.ships.total),
        upper=None,
        after_tau_gen=choice.stop.step >= known.tau_gen,
        few_copies=choice.stop.copies <= MOST_COPIES * choice.stop.total,
        near_best=ratio <= NEAR_BEST,
        certified=False,
    )


def summary_row(rule: str, rows: Sequence[RuleRow]) -> SummaryRow:
    """A rule over all trainings."""
    given = [row for row in rows if row.upper is not None and row.upper <= TARGET]
    return SummaryRow(
        rule=rule,
        after_tau_gen=_share(rows, lambda row: row.after_tau_gen),
        few_copies=_share(rows, lambda row: row.few_copies),
        near_best=_share(rows, lambda row: row.near_best),
        certified=_share(rows, lambda row: row.certified),
        every=_share(rows, _meets_every),
        holds=_share(given, lambda row: row.certified) if given else None,
    )


def _share(rows: Sequence[RuleRow], meets: Callable[[RuleRow], bool]) -> Share:
    return Share(sum(meets(row) for row in rows), len(rows))


def _meets_every(row: RuleRow) -> bool:
    return row.after_tau_gen and row.few_copies and row.near_best and row.certified


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """Each rule, as in its row."""
    every = of_kind(rows, SummaryRow)
    return {
        row.rule: {name: value for name, value in vars(row).items() if name not in ("part", "rule")}
        for row in every
    }
