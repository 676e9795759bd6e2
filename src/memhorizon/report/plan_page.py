"""The page of a plan: the answer or what it would cost, the images, the theory's guess, the pilots."""

import math

from memhorizon.figures.forecast import forecast as drawn
from memhorizon.records.plan import PlanRecord, TheoryGuess
from memhorizon.report.forecast_page import left_out, sentence_of
from memhorizon.report.page import Page, document
from memhorizon.report.parts import advice, paragraphs, picture, section, table, text_of


def sentence(record: PlanRecord) -> str:
    """Say in one sentence what was found, or what it would take."""
    if record.forecast is not None:
        return sentence_of(record.forecast)
    sizes = ", ".join(str(one.n_train) for one in record.pilots)
    minutes = f"about {math.ceil(record.wall_seconds / 60)} min on {record.cores} cores"
    return f"Pilots on {sizes} of the {record.facts.n:,} images would tell: {minutes}."


def lines(record: PlanRecord) -> list[str]:
    """The plan in words: images, theory, pilots, the answer."""
    found = [*fact_lines(record), *theory_lines(record.theory)]
    found += [
        f"pilots: {one.seeds} of n = {one.n_train}, {one.n_updates:,} steps: {one.seconds / 60:.1f} core-min"
        for one in record.pilots
    ]
    if not math.isnan(record.minutes):
        found.append(f"chosen for {record.minutes:g} minutes")
    found += record.notes
    return found + ([] if record.forecast is None else record.forecast.summary().splitlines())


def fact_lines(record: PlanRecord) -> list[str]:
    """What matters of the images."""
    facts = record.facts
    shape = " x ".join(str(side) for side in facts.shape)
    duplicates = "no duplicates" if not facts.duplicates else f"{facts.duplicates:,} duplicates"
    dimension = f"{facts.dimension.value:.1f} [{facts.dimension.low:.1f}, {facts.dimension.high:.1f}]"
    return [
        f"{facts.n:,} images of {shape}, {duplicates}",
        f"intrinsic dimension {dimension}; {facts.main_directions} main directions hold 95 % of the variance "
        f"(participation ratio {facts.participation:.1f})",
    ]


def theory_lines(guess: TheoryGuess | None) -> list[str]:
    """The first guess, and how far it was off elsewhere."""
    if guess is None:
        return ["the random-features theory has no time for these images"]
    return [
        f"random-features theory: tau_mem = {guess.ratio:,.0f} tau_gen, tau_mem ~ n^{guess.exponent:.2f}; "
        f"beside trained networks the ratio was off by up to a factor of {guess.off:.0f} ({guess.evidence})"
    ]


def html(record: PlanRecord) -> str:
    """Write the page of a plan."""
    heads = ("n", "seeds", "steps (guess)", "core-minutes")
    rows = [(one.n_train, one.seeds, one.n_updates, f"{one.seconds / 60:.1f}") for one in record.pilots]
    parts = [
        f'<p class="found">{text_of(sentence(record))}</p>',
        _answer(record),
        section("The images", paragraphs([text_of(line) for line in fact_lines(record)])),
        section(
            "The theory's first guess", paragraphs([text_of(line) for line in theory_lines(record.theory)])
        ),
        section(
            "The pilots", table(heads, rows), paragraphs([text_of(line) for line in _about_pilots(record)])
        ),
    ]
    return document(record.name or "memhorizon plan", parts)


def _answer(record: PlanRecord) -> str:
    """The forecast from the pilots that have run."""
    found = record.forecast
    if found is None:
        return ""
    caption = (
        "Times of the pilots, the law through them, and a run on all images. Shaded: where one more run lies."
    )
    shown = picture("forecast", lambda: drawn(found), caption, "Times of pilots against n, and the forecast.")
    numbers = paragraphs([text_of(line) for line in found.summary().splitlines()])
    return section("The answer", advice([found.tau_mem.status]), left_out(found), shown, numbers)


def _about_pilots(record: PlanRecord) -> list[str]:
    """What the answer holds for, and what the pilots took."""
    network = record.config.get("model")
    width = network.get("width") if isinstance(network, dict) else None
    told = [
        f"the answer is for this network and training: a small U-Net of width {width}, "
        f"Adam, pictures of {' x '.join(str(side) for side in record.facts.shape)}",
        *record.notes,
    ]
    if not math.isnan(record.seconds):
        told.append(f"the pilots took {record.seconds / 60:.1f} min, added up over the runs")
    return told


PAGE = Page(PlanRecord, html, sentence)
