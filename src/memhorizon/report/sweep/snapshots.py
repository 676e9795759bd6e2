"""Which snapshot to use, of one run in words and of several in a table."""

from memhorizon.figures.reading import quality_label
from memhorizon.records.reading import known_curves, measured_by
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.report.parts import table_of_runs, text_of
from memhorizon.report.sweep.choice import Choice, choice_of
from memhorizon.report.sweep.part import Part
from memhorizon.report.words import measured_text, share_text

MISSING = "–"


def snapshot_to_use(record: SweepRecord) -> str:
    """Of a single run: between which steps nothing was copied, and which snapshot to use."""
    if len(record.runs) != 1:
        return ""
    run = record.runs[0]
    if "memorized" not in run.curves:
        return ""
    found = choice_of(run, record.rules.curve)
    if found is None:
        return "<p>Copies are above the null from the first snapshot on: no snapshot is free of them.</p>"
    return f"<p>{text_of(_window(found))} {_recommended(record, run, found)}</p>"


def _window(found: Choice) -> str:
    """The steps without copies."""
    what = "nothing was copied" if found.none_at_all else "no more was copied than held-out items show"
    end = "" if found.ended else ", the last one measured"
    if found.good is None:
        return f"Up to step {found.last:,}{end}, {what}; the level of quality (τ_gen) was not reached before."
    first = f"step {found.good:,}, where quality reaches its level (τ_gen),"
    return f"Between {first} and step {found.last:,}{end}, {what}."


def _recommended(record: SweepRecord, run: RunRecord, found: Choice) -> str:
    """The snapshot to use and where its weights are."""
    if found.step is None or found.quality is None or found.copies is None:
        return "Which of these snapshots is best is not known: quality was not measured."
    if found.good is None:
        return (
            "None of these snapshots is known to reach the level of quality, so none is recommended; the "
            f"best so far is that of step {found.step:,}. Longer training may bring one."
        )
    return (
        f"<strong>The snapshot to use is that of step {found.step:,}</strong>: the best "
        f"{text_of(quality_label(record))} up to there, {measured_text(found.quality)}, "
        f"with {share_text(found.copies)} copies. "
        f"{_weights(run, found.step)}"
    )


def _weights(run: RunRecord, step: int) -> str:
    if not _kept(run):
        return "Its weights were not kept (<code>measure.keep</code> was off)."
    return f"Its weights: <code>snapshots/{step}.safetensors</code> in <code>{text_of(run.key)}</code>."


def _kept(run: RunRecord) -> bool:
    """Whether the weights of snapshots were kept; so it is where the record does not tell."""
    measured = measured_by(run)
    return measured is None or measured.keep


def choices(part: Part) -> str:
    """Of several runs: the same, a row each."""
    record = part.record
    if len(record.runs) < 2 or not known_curves(record.runs, "memorized"):
        return ""
    heads = [
        *part.setting_heads,
        "level of quality from step",
        "free of copies to step",
        "use step",
        quality_label(record),
        "copies there",
    ]
    rows = [[*part.setting_cells(run), *_cells(choice_of(run, record.rules.curve))] for run in record.runs]
    return part.section("Which snapshot to use", table_of_runs(heads, rows), _note(record))


def _note(record: SweepRecord) -> str:
    """What the columns mean, and where the weights are."""
    where = (
        "its weights are <code>snapshots/STEP.safetensors</code> in the directory of the run"
        if all(_kept(run) for run in record.runs)
        else "weights of snapshots were not kept in all runs (<code>measure.keep</code>)"
    )
    return (
        "<p>From the first snapshot at the level of quality (τ_gen) to the last one up to which copies are "
        "not above those among held-out items (exact test, one-sided, 5 % over all snapshots of a run). "
        f"The snapshot to use is the best of quality up to there; {where}. In brackets: the level was not "
        "reached, so that it is only the best so far.</p>"
    )


def _cells(found: Choice | None) -> list[str]:
    if found is None:
        return [MISSING] * 5
    good = MISSING if found.good is None else f"{found.good:,}"
    last = f"{found.last:,}" + ("" if found.ended else " (end)")
    if found.step is None or found.quality is None or found.copies is None:
        return [good, last, MISSING, MISSING, MISSING]
    step = f"{found.step:,}" if found.good is not None else f"({found.step:,})"
    return [good, last, step, measured_text(found.quality), share_text(found.copies)]
