"""What a monitor answers, from what it remembers: the best checkpoint, the record, numbers by name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from memhorizon.monitor.choice import best_look
from memhorizon.monitor.keeping import BEST, is_of
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.state import Memory
from memhorizon.records.monitor import Best, Certificate, CopyRule, Look, MonitorRecord, Phase, Stop
from memhorizon.records.plain import Plain
from memhorizon.results import Fraction


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers from what a monitor remembers.

    Attributes:
        settings: of the monitor.
        sets: that the training is compared with.
        rule: what counts as a copy.
        root: folder of the weights; None where none are kept.
        name: of the training.
        environment: versions, system and machine.
    """

    settings: MonitorSettings
    sets: MonitorSets
    rule: CopyRule
    root: Path | None
    name: str
    environment: Mapping[str, Plain]

    def best(self, memory: Memory) -> Best | None:
        """The checkpoint that is worth shipping, with its certificate; None where none has one."""
        look = best_look(memory.looks, self.settings.target)
        if look is None or look.copies is None:
            return None
        found = Best(look.step, look.holdout_loss, look.copies, self._certificate(look, look.copies))
        return found if self.root is None else self._with_file(found, memory, look)

    def _certificate(self, look: Look, copies: Fraction) -> Certificate:
        return Certificate(
            look.step,
            copies,
            look.upper,
            self.settings.confidence,
            self.settings.candidates,
            self.rule.threshold,
        )

    def _with_file(self, best: Best, memory: Memory, look: Look) -> Best:
        """The checkpoint with the file of its weights, or why there is none."""
        assert self.root is not None
        place = self.root / BEST
        is_there = memory.kept == look.step
        if is_there and is_of(place, look):
            return replace(best, path=str(place))
        why = "another checkpoint lies there" if is_there else "the failures say why"
        return replace(best, note=f"Its weights could not be kept: {why}.")

    def record(self, memory: Memory) -> MonitorRecord:
        """Everything that was seen, as it is written to a file."""
        settings = self.settings
        sampler = settings.sampler
        return MonitorRecord(
            looks=tuple(memory.looks),
            verdict=memory.verdict,
            best=self.best(memory),
            rule=self.rule,
            target=settings.target,
            confidence=settings.confidence,
            budget=settings.budget,
            n_train=len(self.sets.train),
            n_holdout=0 if self.sets.holdout is None else len(self.sets.holdout),
            shared=self.sets.shared,
            item_shape=self.sets.item_shape,
            sampler=f"{sampler.method}, {sampler.n_solver_steps} steps",
            certificates=memory.certificates,
            most_certificates=settings.most_certificates,
            train_seconds=memory.purse.train_seconds,
            monitor_seconds=memory.purse.spent,
            sheets=tuple(memory.sheets),
            failures=tuple(memory.failures),
            seed=settings.seed,
            name=self.name,
            environment=self.environment,
        )


def overhead_of(memory: Memory) -> float:
    """Time of the monitor as a share of the time of training; NaN before the first look."""
    purse = memory.purse
    return purse.spent / purse.train_seconds if purse.train_seconds else math.nan


def tags_of(look: Look, memory: Memory) -> dict[str, float]:
    """The numbers of a look under flat names; those that are not known are left out."""
    numbers = {
        "loss_gap": look.gap,
        "holdout_loss": look.holdout_loss,
        "train_loss": look.train_loss,
        "stable_rank": look.stable_rank,
        "log_e": look.log_e,
        "copied_upper": look.upper,
        "overhead": overhead_of(memory),
        "should_stop": float(look.stop is not Stop.NO),
        "phase": float(list(Phase).index(look.phase)),
    }
    if look.copies is not None:
        numbers["copied_fraction"] = look.copies.value
    numbers |= _quantiles(look)
    return {f"memhorizon/{name}": value for name, value in numbers.items() if not math.isnan(value)}


def _quantiles(look: Look) -> dict[str, float]:
    """The losses at each level, held out and trained on."""
    numbers = {}
    for level in look.losses:
        numbers[f"loss_quantile_{level.quantile:.2f}"] = level.holdout
        numbers[f"train_loss_quantile_{level.quantile:.2f}"] = level.train
    return numbers
