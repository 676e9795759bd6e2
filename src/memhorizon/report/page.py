"""A sweep as one self-contained HTML page: no script, nothing loaded from elsewhere, same bytes each time."""

from collections.abc import Mapping, Sequence
from typing import Any

from memhorizon import figures
from memhorizon.experiments.record import varied
from memhorizon.experiments.rundir import RunDir
from memhorizon.figures.records import (
    FACTOR_NAMES,
    curve_of,
    estimate_of,
    images,
    last_step,
    null_of,
    sweep_of,
    time_of,
    unfinished,
)
from memhorizon.figures.style import signed
from memhorizon.report.parts import picture_of, section, table, text_of
from memhorizon.report.style import CSS
from memhorizon.report.words import sentence, time_text
from memhorizon.results import Estimate, InputError

Row = Mapping[str, Any]
TAU = "<i>τ</i><sub>{}</sub>"
LONG = 15  # rows from which on a table is folded


def report(record: Any, runs: Sequence[RunDir] = ()) -> str:
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
        f"<h1>{text_of(name)}</h1>",
        f"<p>The claim: {text_of(record['claim'])}</p>" if record.get("claim") else "",
        f'<p class="found">{text_of(sentence(record))}</p>',
        *(_clocks(record), _samples(record, runs), _times(record), _laws(record), _contrasts(record)),
        *(_losses(record), _rules(record), _origin(record)),
    ]
    head = f'<meta charset="utf-8"><title>{text_of(name)}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(part for part in parts if part)
    body = (
        body.replace(" %", "\u00a0%").replace("τ_gen", TAU.format("gen")).replace("τ_mem", TAU.format("mem"))
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{view}<style>{CSS}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _clocks(record: Row) -> str:
    rules = record["rules"]
    caption = (
        "Above: quality on held-out data; τ_gen is read where it comes down to the grey line. Middle: share "
        "of generated samples that are copies of a training item, and the share that held-out data show by "
        f"the same rule (null); copying begins {100 * rules['memorized']:g} % above it. Below: both times "
        "with 95 % intervals; an arrow is a time that lies outside of the steps looked at."
    )
    alt = "Quality and memorized fraction against training step, with both times"
    return section("The two clocks", picture_of("clocks", figures.clocks(record), caption, alt))


def _samples(record: Row, runs: Sequence[RunDir]) -> str:
    if not images(record):
        return ""
    title = "Generated images beside their nearest training images"
    try:
        picture = figures.samples(record, runs)
    except InputError as error:
        return section(title, f"<p>Not shown: {text_of(error)}.</p>")
    caption = (
        "Left: the snapshot nearest to the best quality. Right: the last snapshot. Of the samples kept "
        "the eight that lie closest to a training image are shown, on both sides by the same rule; framed "
        "ones count as copies. First seed of each setting."
    )
    alt = "Generated images and their nearest training images, early and late"
    return section(title, picture_of("samples", picture, caption, alt))


def _times(record: Row) -> str:
    late = {run["key"] for run in unfinished(record)}
    knobs = dict.fromkeys(row["factor"] for row in record.get("contrasts", ()))
    factors = [factor for factor in (*varied(record["runs"]), *knobs) if factor != "n_train"]
    cells = []
    for run in record["runs"]:
        times = run["times"]
        others = {name: time_of(entry) for name, entry in times.get("others", {}).items()}
        cells.append(
            [
                f"{run['n_train']:,}",
                *(f"{run[factor]:g}" for factor in factors),
                str(run["seed"]),
                time_text(time_of(times["tau_gen"])),
                time_text(time_of(times["tau_mem"])),
                *(time_text(others[n]) if n in others else "–" for n in ("argmin", "gap_opening")),
                f"{float(curve_of(run, 'memorized').value[-1]):.3f}",
                f"step {last_step(run):,}" + (", not finished" if run["key"] in late else ""),
            ]
        )
    heads = [
        "n",
        *(FACTOR_NAMES[factor] for factor in factors),
        "seed",
        "τ_gen",
        "τ_mem",
        "minimum of quality",
        "loss gap opens",
        "copies at the end",
    ]
    note = (
        "<p>Training steps with 95 % intervals; “&gt; 1,000” was not reached by step 1,000, “&lt; 50” lies "
        "before the first snapshot.</p>"
    )
    listed = table([*heads, "measured up to"], cells)
    if len(cells) > LONG:
        listed = f"<details><summary>{len(cells)} runs</summary>{listed}</details>"
    return section("Times of every run", listed, note)


def _contrasts(record: Row) -> str:
    if not record.get("contrasts"):
        return ""
    caption = (
        "Both times over those at the smallest value, seed by seed, with 95 % intervals; censored times are "
        "taken in as bounds. Dashed: no effect."
    )
    return section(
        "What the knob does",
        picture_of("contrasts", figures.contrasts(record), caption, "Ratios of times, by value of the knob"),
    )


def _laws(record: Row) -> str:
    if not varied(record["runs"]):
        return ""
    rows = []
    for clock, name in (("tau_gen", "τ_gen"), ("tau_mem", "τ_mem")):
        law = record.get("laws", {}).get(clock)
        for factor, entry in (law or {}).get("exponents", {}).items():
            e = "–" if entry["value"] is None else _exponent(estimate_of(entry))
            rows.append([name, FACTOR_NAMES[factor], e, law["observed"], law["censored"], law["status"]])
    parts = [table(["time", "factor", "exponent", "observed", "censored", "status"], rows)] if rows else []
    caption = (
        "Every run with its interval, the fitted power law with the 95 % interval of the line, and a line of "
        "slope 1 to compare with. Arrows are times that were not reached, or lay before the first look."
    )
    parts.insert(0, picture_of("laws", figures.laws(record), caption, "Times against n on logarithmic axes"))
    if record.get("collapse"):
        caption = (
            "The memorized fractions against the step, and against the step divided by n (by n/W where the "
            "width W is varied too). The spread left "
            "is the variance between the curves after dividing, over that before: 0 is a perfect collapse, "
            "1 none."
        )
        if status := record["collapse"].get("status"):
            caption += f" Not computed: {text_of(status)}."
        parts.append(picture_of("collapse", figures.collapse(record), caption, "Collapse of the curves"))
    if {"n_train", "width"} <= set(varied(record["runs"])):
        caption = (
            "Who has copied by the time of its own first good samples, and by multiples of it: runs that "
            "have, of those that were looked at long enough. Hatched: not all were."
        )
        parts.append(picture_of("phase", figures.phase(record), caption, "Copied or not, over n and width"))
    return section("How the times grow", *parts)


def _exponent(e: Estimate) -> str:
    return f"{signed(e.value)} [{signed(e.low)}, {signed(e.high)}]"


def _losses(record: Row) -> str:
    if not any(name.startswith("train@") for run in record["runs"] for name in run["curves"]):
        return ""
    caption = (
        "Denoising loss on fixed noise at several diffusion times t (small t: little noise), solid on "
        "held-out and dashed on training data, and the difference; it opens where the network begins to know "
        "its training items."
    )
    return section("Losses", picture_of("losses", figures.losses(record), caption, "Losses against step"))


def _rules(record: Row) -> str:
    run, rules = record["runs"][0], record["rules"]
    measure = run.get("config", {}).get("measure", {})
    totals = {int(t) for r in record["runs"] for t in r["curves"]["memorized"]["total"] or ()}
    threshold = measure.get("threshold", 1 / 3)
    lines = [
        "A generated sample counts as a copy where its distance to the nearest training item is below "
        f"{threshold:.3g} times that to the second nearest.",
        f"Samples per snapshot: {', '.join(f'{t:,}' for t in sorted(totals))}"
        + (f", by {measure['sampler'].upper()} in {measure['sampler_steps']} steps." if measure else "."),
        f"Null, the share of held-out items under the same rule: {_nulls(record)}.",
        f"τ_gen: {time_of(run['times']['tau_gen']).rule}; this level is {100 * rules['tolerance']:g} % above "
        "the worst of the runs’ best values, the same for all runs.",
        f"τ_mem: the memorized fraction reaches {rules['memorized']:g} above the null, interpolated in the "
        "logarithm of the step.",
        "Intervals are nominal 95 %: exact binomial for fractions, normal for losses.",
    ]
    return section(
        "How it was read", "<ul>" + "".join(f"<li>{text_of(line)}</li>" for line in lines) + "</ul>"
    )


def _nulls(record: Row) -> str:
    values = sorted({null_of(run) for run in record["runs"]})
    return f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} to {values[-1]:.4f}"


def _origin(record: Row) -> str:
    places: dict[str, int] = {}
    for run in record["runs"]:
        text = ", ".join(f"{name} {value}" for name, value in run.get("environment", {}).items())
        places[text or "not recorded"] = places.get(text or "not recorded", 0) + 1
    lines = [f"<p>{count} run{'s' * (count > 1)}: {text_of(text)}</p>" for text, count in places.items()]
    if record.get("command"):
        lines.insert(0, f"<p>Made by <code>{text_of(record['command'])}</code></p>")
    keys = "".join(f"<li><code>{text_of(run['key'])}</code></li>" for run in record["runs"])
    return section(
        "Where it comes from", *lines, f"<details><summary>Run directories</summary><ul>{keys}</ul></details>"
    )
