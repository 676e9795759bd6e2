"""What the times depend on: power laws, collapse, phases, and contrasts of a hyperparameter."""

import math

from memhorizon.figures import registry
from memhorizon.figures.labels import label_of
from memhorizon.figures.reading import TIMESCALE_NAMES, varied
from memhorizon.figures.style import signed
from memhorizon.records.sweep import Contrast, SweepRecord
from memhorizon.report.parts import advice, paragraphs, table, text_of
from memhorizon.report.sweep.part import Part
from memhorizon.report.words import status_text
from memhorizon.results import Estimate, ScalingLaw

SYMBOLS = {"tau_gen": "τ_gen", "tau_mem": "τ_mem"}
LAW_HEADS = ("time", "factor", "exponent", "observed", "censored", "no time", "status")


def growth(part: Part) -> str:
    """How the times grow with what was varied, where times are powers of it."""
    factors = varied(part.record)
    if not factors:
        return ""
    parts = [_laws(part), _law_table(part.record)]
    if part.record.collapse or part.record.collapse_note:
        parts.append(_collapse(part))
    if {"n_train", "width"} <= set(factors):
        parts.append(_phases(part))
    return part.section("How the times grow", *parts)


def contrasts(part: Part) -> str:
    """What one hyperparameter does that no power law describes."""
    record = part.record
    if not record.contrasts:
        return ""
    caption = (
        "Both times over those at the smallest value, seed by seed, with 95 % intervals; censored times are "
        "taken in as bounds. Dashed: no effect."
    )
    alt = "Ratios of times, by value of the hyperparameter"
    shown = part.picture("contrasts", lambda: registry.contrasts(record), caption, alt)
    missing = [contrast for contrast in record.contrasts if not _known(contrast)]
    tries = advice([contrast.status for contrast in missing])
    reasons = paragraphs([text_of(_missing(contrast)) for contrast in missing])
    return part.section("What the hyperparameter does", shown, reasons, tries)


def _known(contrast: Contrast) -> bool:
    return contrast.ratio is not None and math.isfinite(contrast.ratio.value)


def _missing(contrast: Contrast) -> str:
    """Why a ratio is not known, and what bounds it."""
    which = f"{SYMBOLS[contrast.timescale]} at {label_of(contrast.factor)} = {contrast.value:g}"
    bound = "" if contrast.at_least is None else f"; at least {contrast.at_least:.2f} times as long"
    return f"{which}: {status_text(contrast.status, contrast.note)}{bound}"


def _laws(part: Part) -> str:
    caption = (
        "Every run with its interval, the fitted power law with the 95 % interval of the line, and a line of "
        "slope 1 to compare with. Arrows are times that were not reached, or lay before the first look."
    )
    alt = "Times against what was varied on logarithmic axes"
    return part.picture("laws", lambda: registry.laws(part.record), caption, alt)


def _law_table(record: SweepRecord) -> str:
    """The exponents of both laws, why one has none, and what to try."""
    laws = {name: record.laws[name] for name in TIMESCALE_NAMES if name in record.laws}
    if not laws:
        return ""
    rows = [row for name, law in laws.items() for row in _law_rows(SYMBOLS[name], law)]
    reasons = [
        f"{SYMBOLS[name]}: {status_text(law.status, law.note)}" for name, law in laws.items() if law.note
    ]
    tries = advice([law.status for law in laws.values()])
    return table(LAW_HEADS, rows) + paragraphs([text_of(reason) for reason in reasons]) + tries


def _law_rows(symbol: str, law: ScalingLaw) -> list[list[object]]:
    """A row for each exponent of a law."""
    counts = [law.observed, law.censored, law.left_out]
    return [
        [symbol, label_of(factor), _exponent(e), *counts, law.status] for factor, e in law.exponents.items()
    ]


def _exponent(e: Estimate) -> str:
    if not math.isfinite(e.value):
        return "–"
    return f"{signed(e.value)} [{signed(e.low)}, {signed(e.high)}]"


def _collapse(part: Part) -> str:
    caption = (
        "The memorized fractions against the step, and against the step divided by n (by n/W where the "
        "width W is varied too). The spread left "
        "is the variance between the curves after dividing, over that before: 0 is a perfect collapse, "
        "1 none."
    )
    if part.record.collapse_note:
        caption += f" Not computed: {text_of(part.record.collapse_note)}."
    return part.picture("collapse", lambda: registry.collapse(part.record), caption, "Collapse of the curves")


def _phases(part: Part) -> str:
    caption = (
        "Who has copied by the time that quality reaches its level in the same run, and by multiples of "
        "it: runs that have, of those that were looked at long enough. Hatched: not all were."
    )
    return part.picture(
        "phase", lambda: registry.phase(part.record), caption, "Copied or not, over n and width"
    )
