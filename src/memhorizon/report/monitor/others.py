"""What the rules that people use would have done in the same training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memhorizon.monitor import rules
from memhorizon.records.monitor import Look, MonitorRecord
from memhorizon.report.audit.words import share_text_of
from memhorizon.report.parts import section, table


@dataclass(frozen=True)
class Choice:
    """What a rule chooses.

    Attributes:
        rule: in words.
        look: the look whose checkpoint it takes; None where it chooses none.
        why_none: where it chooses none.
    """

    rule: str
    look: Look | None
    why_none: str = ""


def choices(record: MonitorRecord) -> list[Choice]:
    """What each rule chooses among the looks; those that need what was not measured are left out."""
    looks = record.looks
    gap = f"stop where the loss gap opens ({rules.ERRORS:g} standard errors, twice in a row)"
    found: list[Choice] = []
    if any(math.isfinite(look.holdout_loss) for look in looks):
        found.append(Choice("smallest held-out loss", rules.held_out_minimum(looks)))
    if any(math.isfinite(look.gap_error) for look in looks):
        found.append(Choice(gap, rules.gap_opens(looks), "has not opened"))
    if any(math.isfinite(look.frechet) for look in looks):
        found.append(Choice("smallest Fréchet distance to held-out items", rules.frechet_minimum(looks)))
    return [
        *found,
        _at(f"{rules.PER_ITEM} steps per training item", looks, rules.PER_ITEM * record.n_train),
        _at(f"always {rules.FIXED:,} steps", looks, rules.FIXED),
        Choice("the last checkpoint", looks[-1]),
    ]


def _at(rule: str, looks: Sequence[Look], step: int) -> Choice:
    """The last look up to a step, where the training went that far."""
    if looks[-1].step < step:
        return Choice(rule, None, f"step {step:,} was not reached")
    return Choice(rule, rules.up_to(looks, step), f"step {step:,} was not looked at")


def others(record: MonitorRecord) -> str:
    """A table: each rule, the step that it takes, copies there, and the held-out loss there."""
    if not record.looks:
        return ""
    losses = [look.holdout_loss for look in record.looks if math.isfinite(look.holdout_loss)]
    lowest = min(losses, default=math.nan)
    found = choices(record)
    if record.best is not None:
        best = next((look for look in record.looks if look.step == record.best.step), None)
        found = [Choice("this monitor: the best certified checkpoint", best), *found]
    rows = [_row(record, one, lowest) for one in found]
    heads = ["rule", "step", "copies there", "looked at", "held-out loss over its best"]
    note = (
        "Copies are those of the look nearest to that step with samples. A rule that takes the right "
        "checkpoint here need not do so elsewhere: none of them counts copies."
    )
    return section("What other rules would have done", table(heads, rows), f"<p>{note}</p>")


def _row(record: MonitorRecord, one: Choice, lowest: float) -> list[str]:
    if one.look is None:
        return [one.rule, f"– ({one.why_none})" if one.why_none else "–", "–", "–", "–"]
    step = one.look.step
    drawn = [look for look in record.looks if look.copies is not None]
    near = min(drawn, key=lambda look: abs(math.log(max(look.step, 1) / max(step, 1))), default=None)
    over = one.look.holdout_loss / lowest - 1
    share = share_text_of(near.copies) if near is not None and near.copies is not None else "not known"
    return [
        one.rule,
        f"{step:,}",
        share,
        "–" if near is None else f"step {near.step:,}",
        f"{100 * over:+.1f} %" if math.isfinite(over) else "not known",
    ]
