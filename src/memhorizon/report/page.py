"""A sweep as one self-contained HTML page: no script, nothing loaded from elsewhere, same record same bytes."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memhorizon import figures
from memhorizon.experiments.rundir import RunDir
from memhorizon.figures.laws import varied
from memhorizon.figures.records import (
    curve_of,
    estimate_of,
    images,
    last_step,
    null_of,
    sweep_of,
    time_of,
    unfinished,
)
from memhorizon.report.style import CSS
from memhorizon.report.words import sentence, time_text
from memhorizon.results import InputError

Row = Mapping[str, Any]


def report(record: Mapping[str, Any], runs: Sequence[RunDir] = ()) -> str:
    """Write the page.

    Args:
        record: of a sweep, as `experiments.record.record` makes it.
        runs: its run directories, for the generated images; without them that part says so.

    Returns:
        HTML text.

    Raises:
        InputError: if the record is no sweep or lacks an entry.
    """
    sweep_of(record)
    name = record.get("name") or "memhorizon"
    parts = [
        f"<h1>{_text(name)}</h1>",
        f'<p class="found">{_text(sentence(record))}</p>',
        *(_clocks(record), _samples(record, runs), _times(record), _laws(record), _losses(record)),
        *(_rules(record), _origin(record)),
    ]
    head = f'<meta charset="utf-8"><title>{_text(name)}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{view}<style>{CSS}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _text(value: Any) -> str:
    return html.escape(str(value))


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2>\n" + "\n".join(parts) + "\n</section>"


def _picture(name: str, picture: figures.Picture, caption: str, alt: str) -> str:
    """A picture inside the page, its internal names made unique."""
    text = figures.svg(picture)
    text = text[text.index("<svg") :]
    text = re.sub(r"\sxmlns(:xlink)?=\"[^\"]*\"", "", text)
    text = re.sub(r"\bid=\"", f'id="{name}-', text)
    text = re.sub(r"xlink:href=\"#", f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = re.sub(r"^<svg ", f'<svg role="img" aria-label="{_text(alt)}" ', text)
    return f"<figure>{text}<figcaption>{caption}</figcaption></figure>"


def _clocks(record: Row) -> str:
    rules = record["rules"]
    caption = (
        "Above: quality on held-out data; it is read as good at or below the grey line. Middle: share of generated "
        "samples that are copies of a training item, with the share that held-out data show under the same rule "
        f"(null); copying begins {rules['memorized']:.0%} above it. Below: both times with 95 % intervals; an arrow "
        "is a time that lies outside of the steps looked at."
    )
    alt = "Quality and memorized fraction against training step, with both times"
    return _section("The two clocks", _picture("clocks", figures.clocks(record), caption, alt))


def _samples(record: Row, runs: Sequence[RunDir]) -> str:
    if not images(record):
        return ""
    title = "Generated images beside their nearest training images"
    try:
        picture = figures.samples(record, runs)
    except InputError as error:
        return _section(title, f"<p>Not shown: {_text(error)}.</p>")
    caption = (
        "Left: the snapshot nearest to the first good samples. Right: the last snapshot. Of the samples kept, the "
        "eight that lie closest to a training image are shown, on both sides by the same rule; framed ones count "
        "as copies. First seed of each setting."
    )
    alt = "Generated images and their nearest training images, early and late"
    return _section(title, _picture("samples", picture, caption, alt))


def _times(record: Row) -> str:
    late = {run["key"] for run in unfinished(record)}
    cells = []
    for run in record["runs"]:
        times = run["times"]
        others = {name: time_of(entry) for name, entry in times.get("others", {}).items()}
        cells.append(
            [
                f"{run['n_train']:,}",
                *([f"{run['width']}"] if "width" in varied(record) else []),
                str(run["seed"]),
                time_text(time_of(times["tau_gen"])),
                time_text(time_of(times["tau_mem"])),
                *(time_text(others[n]) if n in others else "–" for n in ("argmin", "gap_opening")),
                f"{float(curve_of(run, 'memorized').value[-1]):.3f}",
                f"step {last_step(run):,}" + (", not finished" if run["key"] in late else ""),
            ]
        )
    width = ["width"] if "width" in varied(record) else []
    heads = [
        "n",
        *width,
        "seed",
        "τ_gen",
        "τ_mem",
        "minimum of quality",
        "loss gap opens",
        "copies at the end",
    ]
    note = (
        "<p>Training steps with 95 % intervals; “&gt; 1,000” was not reached by step 1,000, “&lt; 50” lies before "
        "the first snapshot.</p>"
    )
    return _section("Times of every run", _table([*heads, "measured up to"], cells), note)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(entry)}</th>" for entry in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{_text(entry)}</td>" for entry in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _laws(record: Row) -> str:
    if not varied(record):
        return ""
    rows = []
    for clock, name in (("tau_gen", "τ_gen"), ("tau_mem", "τ_mem")):
        law = record.get("laws", {}).get(clock)
        for factor, entry in (law or {}).get("exponents", {}).items():
            e = None if entry["value"] is None else estimate_of(entry)
            rows.append([name, factor, str(e) if e else "–", law["observed"], law["censored"], law["status"]])
    parts = [_table(["time", "factor", "exponent", "observed", "censored", "status"], rows)] if rows else []
    caption = (
        "Every run with its interval, the fitted power law with the 95 % interval of the line, and a line of slope "
        "1 to compare with. Arrows are times that were not reached, or lay before the first look."
    )
    parts.insert(0, _picture("laws", figures.laws(record), caption, "Times against n on logarithmic axes"))
    if record.get("collapse"):
        caption = (
            "The memorized fractions against the step, and against the step divided by n. The spread left is the "
            "variance between the curves after dividing, over that before: 0 is a perfect collapse, 1 none."
        )
        if status := record["collapse"].get("status"):
            caption += f" Not computed: {_text(status)}."
        parts.append(_picture("collapse", figures.collapse(record), caption, "Collapse of the curves"))
    return _section("How the times grow", *parts)


def _losses(record: Row) -> str:
    if not any(name.startswith("train@") for run in record["runs"] for name in run["curves"]):
        return ""
    caption = (
        "Denoising loss on fixed noise at several diffusion times t (small t: little noise), solid on held-out and "
        "dashed on training data, and the difference; it opens where the network begins to know its training items."
    )
    return _section("Losses", _picture("losses", figures.losses(record), caption, "Losses against step"))


def _rules(record: Row) -> str:
    run, rules = record["runs"][0], record["rules"]
    measure = run.get("config", {}).get("measure", {})
    totals = {int(t) for r in record["runs"] for t in r["curves"]["memorized"]["total"] or ()}
    threshold = measure.get("threshold", 1 / 3)
    lines = [
        f"A generated sample counts as a copy where its distance to the nearest training item is below {threshold:.3g} "
        "times that to the second nearest.",
        f"Samples per snapshot: {', '.join(f'{t:,}' for t in sorted(totals))}"
        + (f", by {measure['sampler'].upper()} in {measure['sampler_steps']} steps." if measure else "."),
        f"Null, the share of held-out items under the same rule: {_nulls(record)}.",
        f"tau_gen: {time_of(run['times']['tau_gen']).rule}; this level is {rules['tolerance']:.0%} above the worst "
        "of the runs’ best values, the same for all runs.",
        f"tau_mem: the memorized fraction reaches {rules['memorized']:g} above the null, interpolated in the "
        "logarithm of the step.",
        "Intervals are nominal 95 %: exact binomial for fractions, normal for losses.",
    ]
    return _section(
        "How it was read", "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>"
    )


def _nulls(record: Row) -> str:
    values = sorted({null_of(run) for run in record["runs"]})
    return f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} to {values[-1]:.4f}"


def _origin(record: Row) -> str:
    places: dict[str, int] = {}
    for run in record["runs"]:
        text = ", ".join(f"{name} {value}" for name, value in run.get("environment", {}).items())
        places[text or "not recorded"] = places.get(text or "not recorded", 0) + 1
    lines = [f"<p>{count} run{'s' * (count > 1)}: {_text(text)}</p>" for text, count in places.items()]
    if record.get("command"):
        lines.insert(0, f"<p>Made by <code>{_text(record['command'])}</code></p>")
    keys = "".join(f"<li><code>{_text(run['key'])}</code></li>" for run in record["runs"])
    return _section(
        "Where it comes from", *lines, f"<details><summary>Run directories</summary><ul>{keys}</ul></details>"
    )
