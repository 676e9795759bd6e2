"""The parts of a page about one sweep: its times, the snapshot to use, trends, losses, rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memhorizon import figures
from memhorizon.errors import InputError
from memhorizon.experiments.record import varied
from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.clocks import quality_label
from memhorizon.figures.records import (
    FACTOR_NAMES,
    estimate_of,
    images,
    known_curve,
    known_curves,
    last_step,
    level_of,
    null_of,
    quality_name,
    reading,
    time_of,
    unfinished,
)
from memhorizon.figures.style import signed
from memhorizon.report.choice import Choice, choice_of
from memhorizon.report.parts import folded, paragraphs, picture_of, section, table, text_of
from memhorizon.report.words import measured_text, time_text
from memhorizon.results import Estimate

Row = Mapping[str, Any]
LONG = 15  # rows from which on a table is folded


def _picture(name: str, make: Callable[[], figures.Picture], caption: str, alt: str) -> str:
    """A picture, or why there is none."""
    try:
        with reading():
            return picture_of(name, make(), caption, alt)
    except InputError as error:
        return f"<p>Not shown: {text_of(error)}.</p>"


def times(record: Row, name: str, level: int) -> str:
    """Curves and times of all runs in one picture."""
    caption = (
        "Above: quality on held-out data; τ_gen is read where it comes down to the grey line. Middle: share "
        "of generated samples that are copies of a training item, and the share that held-out data show by "
        f"the same rule (null); copying begins {100 * record['rules']['memorized']:g} % above it. Below: "
        "both times with 95 % intervals; an arrow is a time that lies outside of the steps looked at."
    )
    alt = "Quality and memorized fraction against training step, with both times"
    picture = _picture(f"{name}-times", lambda: figures.clocks(record), caption, alt)
    return section("Training times τ_gen and τ_mem", picture, level=level)


def short_rules(record: Row) -> str:
    """The rules by which both times are read, in one line; the page explains them further below."""
    return (
        f"τ_mem: the memorized fraction first lies {record['rules']['memorized']:g} above that of held-out "
        f"items (threshold of a copy: {_threshold(record)}). τ_gen: {_gen_rule(record)}."
    )


def _threshold(record: Row) -> str:
    found = {run["config"]["measure"]["threshold"] for run in record["runs"] if run.get("config")}
    return ", ".join(f"{value:.3g}" for value in sorted(found)) or "not recorded"


def _gen_rule(record: Row) -> str:
    level = level_of(record)
    label = quality_label(record)
    return f"{label}: no level is known" if level is None else f"{label} first at or below {level:.4g}"


def samples(record: Row, runs: Sequence[RunDir], name: str, level: int) -> str:
    """Generated images beside training images."""
    if not images(record):
        return ""
    caption = (
        "Left: the snapshot nearest to the best quality. Right: the last snapshot. Of the samples kept "
        "the eight that lie closest to a training image are shown, on both sides by the same rule; framed "
        "ones count as copies. First seed of each setting."
    )
    alt = "Generated images and their nearest training images, early and late"
    picture = _picture(f"{name}-samples", lambda: figures.samples(record, runs), caption, alt)
    return section("Generated images beside their nearest training images", picture, level=level)


def snapshot_to_use(record: Row) -> str:
    """Of a single run: between which steps nothing was copied, and which snapshot to use."""
    if len(record["runs"]) != 1:
        return ""
    run = record["runs"][0]
    found = choice_of(run, quality_name(record))
    if found is None:
        if known_curve(run, "memorized") is None:
            return ""
        return "<p>Copies are above the null from the first snapshot on: no snapshot is free of them.</p>"
    return f"<p>{text_of(_window(found))} {_advice(record, run, found)}</p>"


def _window(found: Choice) -> str:
    """The steps without copies."""
    what = "nothing was copied" if found.none_at_all else "no more was copied than held-out items show"
    end = "" if found.ended else ", the last one measured"
    if found.good is None:
        return f"Up to step {found.last:,}{end}, {what}; the level of quality (τ_gen) was not reached before."
    first = f"step {found.good:,}, where quality reaches its level (τ_gen),"
    return f"Between {first} and step {found.last:,}{end}, {what}."


def _advice(record: Row, run: Row, found: Choice) -> str:
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
        f"{text_of(quality_label(record))} up to there, {_measured(found.quality)}, "
        f"with {_share(found.copies)} copies. "
        f"{_weights(run, found.step)}"
    )


def _measured(e: Estimate) -> str:
    return measured_text(e.value, e.low, e.high)


def _share(e: Estimate) -> str:
    return f"{100 * e.value:.1f} % [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def _weights(run: Row, step: int) -> str:
    if not (run.get("config") or {}).get("measure", {}).get("keep", True):
        return "Its weights were not kept (<code>measure.keep</code> was off)."
    return f"Its weights: <code>snapshots/{step}.safetensors</code> in <code>{text_of(run['key'])}</code>."


def choices(record: Row, level: int) -> str:
    """Of several runs: the same, a row each."""
    if len(record["runs"]) < 2 or not known_curves(record["runs"], "memorized"):
        return ""
    factors = _factors(record)
    rows = [
        [*_setting(run, factors), *_choice_cells(choice_of(run, quality_name(record)))]
        for run in record["runs"]
    ]
    heads = [*_setting_heads(factors), "level of quality from step", "free of copies to step", "use step"]
    listed = table([*heads, quality_label(record), "copies there"], rows)
    kept = [(run.get("config") or {}).get("measure", {}).get("keep", True) for run in record["runs"]]
    where = (
        "its weights are <code>snapshots/STEP.safetensors</code> in the directory of the run"
        if all(kept)
        else "weights of snapshots were not kept in all runs (<code>measure.keep</code>)"
    )
    note = (
        "<p>From the first snapshot at the level of quality (τ_gen) to the last one up to which copies are "
        "not above those among held-out items (exact test, one-sided, 5 % over all snapshots of a run). "
        f"The snapshot to use is the best of quality up to there; {where}. In brackets: the level was not "
        "reached, so that it is only the best so far.</p>"
    )
    return section("Which snapshot to use", _maybe_folded(listed, len(rows)), note, level=level)


def _choice_cells(found: Choice | None) -> list[str]:
    if found is None:
        return ["–"] * 5
    good = "–" if found.good is None else f"{found.good:,}"
    last = f"{found.last:,}" + ("" if found.ended else " (end)")
    if found.step is None or found.quality is None or found.copies is None:
        return [good, last, "–", "–", "–"]
    step = f"{found.step:,}" if found.good is not None else f"({found.step:,})"
    return [
        good,
        last,
        step,
        _measured(found.quality),
        _share(found.copies),
    ]


def _maybe_folded(listed: str, count: int) -> str:
    return folded(f"{count} runs", listed) if count > LONG else listed


def _factors(record: Row) -> list[str]:
    """What was varied beside n."""
    factors = dict.fromkeys(row["factor"] for row in record.get("contrasts", ()))
    return [factor for factor in (*varied(record["runs"]), *factors) if factor != "n_train"]


def _setting_heads(factors: Sequence[str]) -> list[str]:
    return ["n", *(FACTOR_NAMES[factor] for factor in factors), "seed"]


def _setting(run: Row, factors: Sequence[str]) -> list[str]:
    values = ["–" if run.get(factor) is None else f"{run[factor]:g}" for factor in factors]
    return [f"{run['n_train']:,}", *values, str(run["seed"])]


def times_of_runs(record: Row, level: int) -> str:
    """The times of every run in numbers, with the rules that they are read by."""
    late = {run["key"] for run in unfinished(record)}
    factors = _factors(record)
    rows = [[*_setting(run, factors), *_time_cells(run, late)] for run in record["runs"]]
    heads = ["τ_gen", "τ_mem", "minimum of quality", "loss gap opens", "copies at the end", "measured up to"]
    listed = table([*_setting_heads(factors), *heads], rows)
    note = (
        f"<p>Training steps with 95 % intervals; “&gt; 1,000” was not reached by step 1,000, “&lt; 50” lies "
        f"before the first snapshot. {text_of(short_rules(record))}</p>"
    )
    return section("Times of every run", _maybe_folded(listed, len(rows)), note, level=level)


def _time_cells(run: Row, late: set[str]) -> list[str]:
    found = run["times"]
    others = {name: time_of(entry) for name, entry in (found.get("others") or {}).items()}
    copies = known_curve(run, "memorized")
    return [
        time_text(time_of(found["tau_gen"])),
        time_text(time_of(found["tau_mem"])),
        *(time_text(others[name]) if name in others else "–" for name in ("argmin", "gap_opening")),
        "–" if copies is None else f"{float(copies.value[-1]):.3f}",
        f"step {last_step(run):,}" + (", not finished" if run["key"] in late else ""),
    ]


def trends(record: Row, name: str, level: int) -> list[str]:
    """What the times depend on."""
    return [_growth(record, name, level), _contrasts(record, name, level)]


def _contrasts(record: Row, name: str, level: int) -> str:
    if not record.get("contrasts"):
        return ""
    caption = (
        "Both times over those at the smallest value, seed by seed, with 95 % intervals; censored times are "
        "taken in as bounds. Dashed: no effect."
    )
    alt = "Ratios of times, by value of the hyperparameter"
    picture = _picture(f"{name}-contrasts", lambda: figures.contrasts(record), caption, alt)
    return section("What the hyperparameter does", picture, level=level)


def _growth(record: Row, name: str, level: int) -> str:
    factors = varied(record["runs"])
    if not factors:
        return ""
    parts = [_laws(record, name), _law_table(record)]
    if record.get("collapse"):
        parts.append(_collapse(record, name))
    if {"n_train", "width"} <= set(factors):
        caption = (
            "Who has copied by the time that quality reaches its level in the same run, and by multiples of "
            "it: runs that have, of those that were looked at long enough. Hatched: not all were."
        )
        alt = "Copied or not, over n and width"
        parts.append(_picture(f"{name}-phase", lambda: figures.phase(record), caption, alt))
    return section("How the times grow", *parts, level=level)


def _laws(record: Row, name: str) -> str:
    caption = (
        "Every run with its interval, the fitted power law with the 95 % interval of the line, and a line of "
        "slope 1 to compare with. Arrows are times that were not reached, or lay before the first look."
    )
    alt = "Times against what was varied on logarithmic axes"
    return _picture(f"{name}-laws", lambda: figures.laws(record), caption, alt)


def _law_table(record: Row) -> str:
    rows = []
    for key, symbol in (("tau_gen", "τ_gen"), ("tau_mem", "τ_mem")):
        law = record.get("laws", {}).get(key)
        for factor, entry in (law or {}).get("exponents", {}).items():
            e = "–" if entry["value"] is None else _exponent(estimate_of(entry))
            counts = [law["observed"], law["censored"], law.get("left_out", 0)]
            rows.append([symbol, FACTOR_NAMES[factor], e, *counts, law["status"]])
    heads = ["time", "factor", "exponent", "observed", "censored", "no time", "status"]
    return table(heads, rows) if rows else ""


def _exponent(e: Estimate) -> str:
    return f"{signed(e.value)} [{signed(e.low)}, {signed(e.high)}]"


def _collapse(record: Row, name: str) -> str:
    caption = (
        "The memorized fractions against the step, and against the step divided by n (by n/W where the "
        "width W is varied too). The spread left "
        "is the variance between the curves after dividing, over that before: 0 is a perfect collapse, "
        "1 none."
    )
    if status := record["collapse"].get("status"):
        caption += f" Not computed: {text_of(status)}."
    return _picture(f"{name}-collapse", lambda: figures.collapse(record), caption, "Collapse of the curves")


def losses(record: Row, name: str, level: int) -> str:
    """Losses at all diffusion times."""
    if not any(label.startswith("train@") for run in record["runs"] for label in run["curves"]):
        return ""
    caption = (
        "Denoising loss on fixed noise at several diffusion times t (small t: little noise), solid on "
        "held-out and dashed on training data, and the difference; it opens where the network begins to know "
        "its training items."
    )
    picture = _picture(f"{name}-losses", lambda: figures.losses(record), caption, "Losses against step")
    return section("Losses", picture, level=level)


def rules(record: Row, level: int) -> str:
    """How the numbers were read."""
    rule = record["rules"]
    lines = [
        *_copy_rules(record),
        f"τ_gen: {_gen_rule(record)}; this level is {100 * rule['tolerance']:g} % above the worst of the "
        "runs’ best values, the same for all runs.",
        f"τ_mem: the memorized fraction reaches {rule['memorized']:g} above the null, interpolated in the "
        "logarithm of the step.",
        "A time that is “not measured” has no curve to be read from; “still improving”: quality was coming "
        "down at the last step, so that its best value is not known; “trivial level”: the level is that of "
        "a network that predicts nothing.",
        "Intervals are nominal 95 %: exact binomial for fractions, normal for losses.",
    ]
    return section("How it was read", paragraphs([text_of(line) for line in lines]), level=level)


def _copy_rules(record: Row) -> list[str]:
    """What a copy is, among how many samples, made how."""
    curves = known_curves(record["runs"], "memorized")
    if not curves:
        return ["Copies were not looked for: no run has a memorized fraction."]
    totals = sorted({int(total) for curve in curves if curve.total is not None for total in curve.total})
    measured = [run["config"]["measure"] for run in record["runs"] if run.get("config")]
    ways = {f"by {entry['sampler'].upper()} in {entry['sampler_steps']} steps" for entry in measured}
    return [
        "A generated sample counts as a copy where its distance to the nearest training item is below "
        f"{_threshold(record)} times that to the second nearest.",
        f"Samples per snapshot: {', '.join([', '.join(f'{t:,}' for t in totals), *sorted(ways)])}.",
        f"Null, the share of held-out items under the same rule: {_nulls(record)}.",
    ]


def _nulls(record: Row) -> str:
    values = sorted({null_of(run) for run in record["runs"]})
    return f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} to {values[-1]:.4f}"
