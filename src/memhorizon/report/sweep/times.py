"""Both times of every run: curves, images early and late, a table, losses."""

from collections.abc import Sequence

from memhorizon.figures import registry
from memhorizon.records.reading import has_images, last_step, unfinished
from memhorizon.records.sweep import RunRecord
from memhorizon.report.parts import advice, paragraphs, table_of_runs, text_of
from memhorizon.report.sweep.part import Part
from memhorizon.report.sweep.rules import short_rules
from memhorizon.report.words import status_text, time_text
from memhorizon.results import Time

MISSING = "–"
HEADS = ("τ_gen", "τ_mem", "minimum of quality", "loss gap opens", "copies at the end", "measured up to")
OTHERS = ("argmin", "gap_opening")  # times in the columns after tau_mem


def times(part: Part) -> str:
    """Curves and times of all runs in one picture."""
    caption = (
        "Above: quality on held-out data; τ_gen is read where it comes down to the grey line. Middle: share "
        "of generated samples that are copies of a training item, and the share that held-out data show by "
        f"the same rule (null); copying begins {100 * part.record.rules.memorized:g} % above it. Below: "
        "both times with 95 % intervals; an arrow is a time that lies outside of the steps looked at."
    )
    alt = "Quality and memorized fraction against training step, with both times"
    shown = part.picture("times", lambda: registry.timescales(part.record), caption, alt)
    return part.section("Training times τ_gen and τ_mem", shown)


def window(part: Part) -> str:
    """Quality and copies on one axis, and samples as a person sees them, where both can be drawn."""
    if not registry.has_window(part.record):
        return ""
    shown = _curves_and_window(part)
    seen = _images_in_window(part) if has_images(part.record) else ""
    return part.section("From good samples to copies", shown, seen)


def _curves_and_window(part: Part) -> str:
    caption = (
        "Quality of samples (solid, left) and share of copies (dashed, right) of every run, with the levels "
        "at which τ_gen and τ_mem are read; shaded: from τ_gen to τ_mem, or to the last look."
    )
    alt = "Quality of samples and memorized fraction against the training step"
    return part.picture("window", lambda: registry.window(part.record), caption, alt)


def _images_in_window(part: Part) -> str:
    caption = (
        "Samples of the first seed of each setting in the order of their seeds, none chosen: at the "
        "first snapshot from τ_gen on, half way between both times, and at the last one. Framed ones "
        "count as copies."
    )
    alt = "Samples at the generalization time, in the window and after copying began"
    return part.picture("sheets", lambda: registry.sheets(part.record, part.runs), caption, alt)


def samples(part: Part) -> str:
    """Generated images beside training images."""
    if not has_images(part.record):
        return ""
    caption = (
        "Left: the snapshot nearest to the best quality. Right: the last snapshot. Of the samples kept "
        "the eight that lie closest to a training image are shown, on both sides by the same rule; framed "
        "ones count as copies. First seed of each setting."
    )
    alt = "Generated images and their nearest training images, early and late"
    shown = part.picture("samples", lambda: registry.samples(part.record, part.runs), caption, alt)
    return part.section("Generated images beside their nearest training images", shown)


def times_of_runs(part: Part) -> str:
    """The times of every run in numbers, with the rules that they are read by and what to try."""
    late = {run.key for run in unfinished(part.record)}
    rows = [
        [*part.setting_cells(run), *_cells(run, finished=run.key not in late)] for run in part.record.runs
    ]
    listed = table_of_runs([*part.setting_heads, *HEADS], rows)
    note = (
        "<p>Training steps with 95 % intervals; “&gt; 1,000” was not reached by step 1,000, “&lt; 50” lies "
        f"before the first snapshot. {text_of(short_rules(part.record))}</p>"
    )
    shown = [time for run in part.record.runs for time in _times(run) if time is not None]
    tried = advice(sorted(time.status for time in shown))
    return part.section("Times of every run", listed, note, _reasons(shown), tried)


def _reasons(shown: Sequence[Time]) -> str:
    """Why times are not known, each reason once."""
    unknown = [time for time in shown if not time.known and time.rule]
    reasons = dict.fromkeys(status_text(time.status, time.rule) for time in unknown)
    return paragraphs([text_of(reason) for reason in reasons], kind="reasons")


def _times(run: RunRecord) -> list[Time | None]:
    """The times in the columns of the table."""
    found = run.timescales
    return [found.tau_gen, found.tau_mem, *(found.others.get(name) for name in OTHERS)]


def _cells(run: RunRecord, *, finished: bool) -> list[str]:
    copies = run.curves.get("memorized")
    return [
        *(MISSING if time is None else time_text(time) for time in _times(run)),
        MISSING if copies is None else f"{float(copies.value[-1]):.3f}",
        f"step {last_step(run):,}" + ("" if finished else ", not finished"),
    ]


def losses(part: Part) -> str:
    """Losses at all diffusion times."""
    if not any(name.startswith("train@") for run in part.record.runs for name in run.curves):
        return ""
    caption = (
        "Denoising loss on fixed noise at several diffusion times t (small t: little noise), solid on "
        "held-out and dashed on training data, and the difference; it opens where the network begins to know "
        "its training items."
    )
    shown = part.picture("losses", lambda: registry.losses(part.record), caption, "Losses against step")
    return part.section("Losses", shown)
