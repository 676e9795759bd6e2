"""The page of a forecast: the answer in three units, the picture, what it rests on, the pilot to run next."""

import math
from collections.abc import Sequence

from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.forecast import forecast as drawn
from memhorizon.forecasting.answers import Forecast, ForecastTime, NextPilot, interval_text, number_text
from memhorizon.records.forecast import ForecastRecord
from memhorizon.report.page import Page, document
from memhorizon.report.parts import advice, paragraphs, picture, section, table_of_runs, text_of
from memhorizon.results import Estimate

NAMES = {"tau_mem": "copies", "tau_gen": "is good"}
SURPRISING = 0.05  # probability below which pilots are told to contradict the prior


def sentence(record: ForecastRecord) -> str:
    """Say in one sentence what was found."""
    return sentence_of(record.forecast)


def sentence_of(found: Forecast) -> str:
    """Say in one sentence what was forecast."""
    answer = found.tau_mem
    if not answer.known:
        return f"The pilots cannot tell when n = {found.n_train:,} begins to copy: {answer.note}."
    return f"A run of n = {found.n_train:,} begins to copy after {interval_text(answer.step)} steps."


def lines_of(found: Forecast) -> list[str]:
    """The answer in words, a line for each thing that is to be known."""
    lines = [*_answer_lines(found, "tau_mem"), *_answer_lines(found, "tau_gen")]
    if found.tau_mem.known:
        safe = f"{number_text(found.tau_mem.step.low)} steps"
        lines.append(f"up to {safe} it copies in at most {(1 - found.confidence) / 2:.0%} of such runs")
    lines += _evidence_lines(found.tau_mem)
    lines += _rule_lines(found)
    if found.next_pilot is not None:
        lines.append(next_line(found.next_pilot))
    return lines


def _answer_lines(found: Forecast, name: str) -> list[str]:
    answer = found.tau_mem if name == "tau_mem" else found.tau_gen
    if not answer.known:
        reason = f": {answer.note}" if answer.note else ""
        return [f"{name}({found.n_train:,}): {answer.status}{reason}"]
    units = [f"{interval_text(answer.step)} steps"]
    if not math.isnan(answer.epochs.value):
        units += [f"{interval_text(answer.epochs)} epochs", f"{interval_text(answer.items)} items seen"]
    note = f" ({answer.note})" if answer.note else ""
    return [f"{name}({found.n_train:,}) = {' = '.join(units)}{note}"]


def _evidence_lines(answer: ForecastTime) -> list[str]:
    """Exponents beside what was believed, and how well the smaller pilots tell of the largest."""
    lines = [
        f"exponent of {name}: {_short(found)}; believed before: {_short(answer.prior[name])}"
        for name, found in answer.exponents.items()
    ]
    if answer.alone is not None:
        verdict = "contradict" if answer.conflict < SURPRISING else "agree with"
        chance = f"p = {answer.conflict:.2g}"
        lines.append(
            f"the pilots alone: n^{_short(answer.alone)}; they {verdict} what was believed ({chance})"
        )
    if answer.left_out is not None:
        lines.append(f"largest pilots over their forecast from the smaller ones: {_short(answer.left_out)}")
    if answer.widened > 1:
        lines.append(
            f"widened by {answer.widened:.2f}, as such forecasts of the pilots were wrong (conformal)"
        )
    return lines


def _rule_lines(found: Forecast) -> list[str]:
    """How the times of the pilots were read."""
    lines = []
    for name in NAMES:
        times = [pilot.tau_mem if name == "tau_mem" else pilot.tau_gen for pilot in found.pilots]
        rules = sorted({time.rule for time in times if time.known and time.rule})
        if rules:
            others = f", and {len(rules) - 1} rules more" if len(rules) > 1 else ""
            lines.append(f"{name} of the pilots: {rules[0]}{others}")
    return lines


def next_line(pilot: NextPilot) -> str:
    """The pilot to run next, in words."""
    what = f"run next: n = {pilot.n_train:,} for {pilot.n_updates:,} steps"
    about = "" if math.isnan(pilot.seconds) else f", about {pilot.seconds / 60:.0f} min"
    if math.isnan(pilot.factor):
        return f"{what}{about}: {pilot.note}"
    return f"{what}{about}: high over low falls from {pilot.before:.1f} to about {pilot.factor:.1f}"


def _short(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def html(record: ForecastRecord, runs: Sequence[RunDir] = ()) -> str:
    """Write the page of a forecast; run directories have nothing to add."""
    found = record.forecast
    caption = (
        "Times of the pilots with their intervals (arrows: not reached), the law through them, and the run "
        "that is asked for. Shaded, and the thick bar: where one more run lies."
    )
    shown = picture("forecast", lambda: drawn(found), caption, "Times of pilots against n, and the forecast.")
    heads = ("pilot", "n", "batch", "width", "learning rate", "tau_gen", "tau_mem")
    rows = [
        (p.key, p.n_train, _known(p.batch_size), _known(p.width), _known(p.lr), p.tau_gen, p.tau_mem)
        for p in found.pilots
    ]
    parts = [
        f'<p class="found">{text_of(sentence(record))}</p>',
        advice([found.tau_mem.status]),
        shown,
        section("In numbers", paragraphs([text_of(line) for line in lines_of(found)])),
        section("Pilots", table_of_runs(heads, rows)),
        section("Command", f"<p><code>{text_of(record.command)}</code></p>" if record.command else ""),
    ]
    return document(record.name or "memhorizon forecast", parts)


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


PAGE = Page(ForecastRecord, html, sentence)
