"""The verdict of a monitored training in words, what to do, and the checkpoint that is worth shipping."""

import math

from memhorizon.records.monitor import Best, MonitorRecord, Phase, Stop, percent
from memhorizon.report.audit.words import share_of
from memhorizon.report.parts import facts_list, folded, section, text_of

HEADS = {
    Phase.LEARNING: "Still learning",
    Phase.WINDOW: "In the window",
    Phase.MEMORIZING: "Memorizing",
    Phase.CANNOT_TELL: "Cannot tell",
}


def sentence(record: MonitorRecord) -> str:
    """Say in one or two sentences where the training is, and which checkpoint to use."""
    return f"{record.verdict}{_end(record.verdict.reason)} {best_text(record)}"


def _end(text: str) -> str:
    """A full stop where a text has none."""
    return "" if text.endswith((".", "!", "?")) else "."


def best_text(record: MonitorRecord) -> str:
    """Which checkpoint is worth shipping, in a sentence."""
    best = record.best
    if best is None:
        return f"No checkpoint has a certificate of at most {100 * record.target:g} % copies."
    which = f"Use the checkpoint of step {best.step:,}"
    if _is_learning(record):
        which = f"The best checkpoint so far, of step {best.step:,}, may still have poor samples"
    use = (
        f"{which}: at most {percent(best.certificate.upper)} of its "
        f"samples are copies, with {100 * best.certificate.confidence:g} % confidence."
    )
    return f"{use} {best.note}" if best.note else use


def _is_learning(record: MonitorRecord) -> bool:
    """Whether later checkpoints will be better."""
    return record.verdict.phase is Phase.LEARNING and record.verdict.stop is Stop.NO


def verdict(record: MonitorRecord) -> list[str]:
    """The phase, its reason, and what to do."""
    found = record.verdict
    do = found.stop.sentence if found.stop is not Stop.NO else found.phase.advice
    reason = f"{found.reason}{_end(found.reason)}"
    looks = f"{len(record.looks):,} look{'' if len(record.looks) == 1 else 's'}"
    name = f"{text_of(record.name)}, " if record.name else ""
    return [
        f'<p class="number">{_head(record)} <span>after step {found.step:,}</span></p>',
        f'<p class="of">{name}{looks} at a training on {record.n_train:,} items</p>',
        f'<p class="found">{text_of(reason)}</p>',
        f"<p><b>{'Stop.' if found.stop is not Stop.NO else 'What to do.'}</b> {text_of(do)}</p>",
        _evidence(record),
    ]


def _head(record: MonitorRecord) -> str:
    """The verdict in a few words."""
    if record.verdict.is_past:
        return "Past its best"
    return HEADS[record.verdict.phase]


def _evidence(record: MonitorRecord) -> str:
    """The numbers that the verdict rests on."""
    known = {name: value for name, value in record.verdict.evidence.items() if not math.isnan(value)}
    facts = facts_list({text_of(name.replace("_", " ")): f"{value:,.4g}" for name, value in known.items()})
    return folded("The numbers behind it", facts) if facts else ""


def certificate(record: MonitorRecord) -> str:
    """The checkpoint that is worth shipping, with what is guaranteed of it."""
    title = "The best checkpoint so far" if _is_learning(record) else "The checkpoint worth shipping"
    if record.best is None:
        return section(title, f"<p>{text_of(best_text(record))} {_why_none(record)}</p>")
    return section(title, _facts(record, record.best), f"<p>{text_of(_meaning(record))}</p>")


def _why_none(record: MonitorRecord) -> str:
    if not record.certificates:
        return (
            "No look was large enough for one: it takes samples, and they take time, which the budget "
            "limits. monitor.finish(model) draws them when the training is over."
        )
    return (
        f"{record.certificates} of at most {record.most_certificates} large looks were taken; none was below."
    )


def _facts(record: MonitorRecord, best: Best) -> str:
    found = best.certificate
    lines = {
        "Step": f"{best.step:,}",
        "Certificate": f"at most {percent(found.upper)} of its samples are copies, "
        f"{100 * found.confidence:g} % confidence (one-sided)",
        "Seen": f"{share_of(found.copies)} were copies",
        "Held-out loss": "not known, there are no held-out items"
        if math.isnan(best.quality)
        else f"{best.quality:.4g}",
        "Weights": text_of(best.path) if best.path else text_of(best.note or "were not kept by the monitor"),
    }
    return facts_list(lines, "facts certificate")


def _meaning(record: MonitorRecord) -> str:
    how = "the smallest held-out loss" if record.n_holdout else "for want of held-out items the latest step"
    limits = record.best.certificate.candidates if record.best else record.most_certificates
    level = f"{100 * (1 - record.confidence):.2g} % / {limits}"
    return (
        f"Of the large looks whose limit is below the target of {100 * record.target:g} % it has {how}. The "
        f"limit allows for the choice: it is one of at most {limits} (Clopper and Pearson at {level}). "
        "Copies are counted in pixel space: flipped, shifted or partial copies are not, for which "
        "there is memhorizon audit."
    )
