"""The page of a forecast: the answer in three units, the picture, what it rests on, the pilot to run next."""

from memhorizon.figures.forecast import forecast as drawn
from memhorizon.forecasting.answers import Forecast, PilotTime, interval_text
from memhorizon.records.forecast import ForecastRecord
from memhorizon.report.page import Page, document
from memhorizon.report.parts import advice, folded, paragraphs, picture, section, table_of_runs, text_of
from memhorizon.report.words import counted

HEADS = ("pilot", "n", "batch", "width", "learning rate", "tau_gen", "tau_mem")


def sentence(record: ForecastRecord) -> str:
    """Say in one sentence what was found."""
    return sentence_of(record.forecast)


def sentence_of(found: Forecast) -> str:
    """Say in one sentence what was forecast."""
    answer = found.tau_mem
    if not answer.known:
        return f"The pilots cannot tell when n = {found.n_train:,} begins to copy: {answer.note}."
    return f"A run of n = {found.n_train:,} begins to copy after {interval_text(answer.step)} steps."


def html(record: ForecastRecord) -> str:
    """Write the page of a forecast."""
    found = record.forecast
    parts = [
        f'<p class="found">{text_of(sentence(record))}</p>',
        advice([found.tau_mem.status]),
        left_out(found),
        _picture(found),
        section("In numbers", paragraphs([text_of(line) for line in found.summary().splitlines()])),
        section("Pilots", table_of_runs(HEADS, [_cells(pilot) for pilot in found.pilots])),
        section("Command", f"<p><code>{text_of(record.command)}</code></p>" if record.command else ""),
    ]
    return document(record.name or "memhorizon forecast", parts)


def _picture(found: Forecast) -> str:
    caption = (
        "Times of the pilots with their intervals (arrows: not reached), the law through them, and the run "
        "that is asked for. Shaded, and the thick bar: where one more run lies."
    )
    return picture("forecast", lambda: drawn(found), caption, "Times of pilots against n, and the forecast.")


def left_out(found: Forecast) -> str:
    """Runs that are not among the pilots; empty where all are."""
    if not found.left_out:
        return ""
    title = f"{counted(len(found.left_out), 'run')} left out"
    runs = paragraphs([text_of(run) for run in found.left_out])
    return paragraphs([folded(title, runs)], kind="notes")


def _cells(pilot: PilotTime) -> tuple[object, ...]:
    setting = [_known(value) for value in (pilot.batch_size, pilot.width, pilot.lr)]
    return pilot.key, pilot.n_train, *setting, pilot.tau_gen, pilot.tau_mem


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


PAGE = Page(ForecastRecord, html, sentence)
