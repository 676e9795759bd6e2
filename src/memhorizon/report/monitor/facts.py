"""All looks, what counts as a copy, what the monitor cost, and where its record comes from."""

import math

from memhorizon.records.monitor import Look, MonitorRecord, percent
from memhorizon.report.audit.words import share_of, share_text_of, two_digits_text
from memhorizon.report.parts import facts_list, folded, paragraphs, section, table, text_of

LONG = 15  # looks from which on their table is folded
HEADS = ("step", "verdict", "training loss", "held-out loss", "gap", "copies", "limit", "stable rank", "note")


def looks(record: MonitorRecord) -> str:
    """A row for each look."""
    if not record.looks:
        return ""
    listed = table(HEADS, [_row(look) for look in record.looks])
    count = len(record.looks)
    return section("All looks", folded(f"{count:,} looks", listed) if count > LONG else listed)


def _row(look: Look) -> list[str]:
    sure = " (certified)" if look.certified else ""
    return [
        f"{look.step:,}",
        look.phase.value,
        _number(look.train_loss),
        _number(look.holdout_loss),
        "–" if math.isnan(look.gap) else f"{100 * look.gap:.1f} %",
        "–" if look.copies is None else share_text_of(look.copies),
        "–" if math.isnan(look.upper) else f"{percent(look.upper)}{sure}",
        _number(look.stable_rank),
        look.note or "–",
    ]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def rule(record: MonitorRecord) -> str:
    """What counts as a copy, and how often honest items would."""
    found = record.rule
    lines = [
        f"A sample counts as a copy where {found.rule}.",
        f"Honest items that would count: {share_of(found.null)}. The test for the stop allows for "
        f"{100 * found.allowed:.2g} %.",
    ]
    if found.duplicates:
        lines.append(f"{found.duplicates:,} training items are duplicates of another one and count as one.")
    if record.shared:
        lines.append(f"{record.shared:,} held-out items are in the training set as well, and were left out.")
    if not record.n_holdout:
        lines.append(
            "No items were held out: there is no held-out loss, so of the checkpoints with a certificate the "
            "latest is the best."
        )
    return section("What counts as a copy", paragraphs([text_of(line) for line in lines]))


def cost(record: MonitorRecord) -> str:
    """What the monitor took, beside its budget, and what failed."""
    took = f"The monitor took {_seconds(record.monitor_seconds)}{_share_text(record)}; {_budget(record)}."
    return section("What it cost", f"<p>{text_of(took)}</p>", *_failures(record))


def _share_text(record: MonitorRecord) -> str:
    if math.isnan(record.overhead):
        return ""
    return f", {100 * record.overhead:.1f} % of the {_seconds(record.train_seconds)} of training"


def _budget(record: MonitorRecord) -> str:
    return "no limit was set" if record.budget is None else f"the budget is {100 * record.budget:g} %"


def _failures(record: MonitorRecord) -> list[str]:
    if not record.failures:
        return []
    failed = paragraphs([text_of(failure) for failure in record.failures], kind="notes")
    return ["<p>What failed (the training went on):</p>", failed]


def _seconds(seconds: float) -> str:
    return f"{two_digits_text(seconds)} s" if seconds < 100 else f"{seconds:,.0f} s"


def origin(record: MonitorRecord) -> str:
    """Facts from which the watching can be done again."""
    shape = " x ".join(str(side) for side in record.item_shape)
    environment = ", ".join(f"{name} {value}" for name, value in record.environment.items())
    lines = {
        "Training set": f"{record.n_train:,} items of {shape}",
        "Held out": f"{record.n_holdout:,} items" if record.n_holdout else "none",
        "Sampler": text_of(record.sampler),
        "Target": f"at most {100 * record.target:g} % copies, {100 * record.confidence:g} % confidence",
        "Seed": str(record.seed),
        "Protocol": f"version {record.protocol}",
        "Made with": text_of(environment or "not recorded"),
        "Command": f"<code>{text_of(record.command)}</code>" if record.command else "not recorded",
    }
    return section("Where it comes from", facts_list(lines))
