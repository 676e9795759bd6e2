"""How the numbers were read."""

from memhorizon.figures.reading import copy_threshold, quality_label
from memhorizon.records.reading import known_curves, level_of, measured_by, null_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.report.parts import paragraphs, text_of
from memhorizon.report.sweep.part import Part


def short_rules(record: SweepRecord) -> str:
    """The rules by which both times are read, in one line; the page explains them further below."""
    return (
        f"τ_mem: the memorized fraction first lies {record.rules.memorized:g} above that of held-out "
        f"items (threshold of a copy: {_threshold(record)}). τ_gen: {_gen_rule(record)}."
    )


def rules(part: Part) -> str:
    """The section that explains them."""
    record = part.record
    lines = [
        *_copy_rules(record),
        f"τ_gen: {_gen_rule(record)}; this level is {100 * record.rules.tolerance:g} % above the "
        f"{record.rules.relative_to} of the runs’ best values, the same for all runs.",
        f"τ_mem: the memorized fraction reaches {record.rules.memorized:g} above the null, interpolated in "
        "the logarithm of the step.",
        "A time that is “not measured” has no curve to be read from; “still improving”: quality was coming "
        "down at the last step, so that its best value is not known; “trivial level”: the level is that of "
        "a network that predicts nothing.",
        "Intervals are nominal 95 %: exact binomial for fractions, normal for losses.",
    ]
    return part.section("How it was read", paragraphs([text_of(line) for line in lines]))


def _threshold(record: SweepRecord) -> str:
    found = {value for run in record.runs if (value := copy_threshold(run)) is not None}
    return ", ".join(f"{value:.3g}" for value in sorted(found)) or "not recorded"


def _gen_rule(record: SweepRecord) -> str:
    level = level_of(record)
    label = quality_label(record)
    return f"{label}: no level is known" if level is None else f"{label} first at or below {level:.4g}"


def _copy_rules(record: SweepRecord) -> list[str]:
    """What a copy is, among how many samples, made how."""
    curves = known_curves(record.runs, "memorized")
    if not curves:
        return ["Copies were not looked for: no run has a memorized fraction."]
    totals = sorted({int(total) for curve in curves if curve.total is not None for total in curve.total})
    counts = ", ".join(f"{total:,}" for total in totals)
    ways = sorted({way for run in record.runs if (way := _sampler(run))})
    return [
        "A generated sample counts as a copy where its distance to the nearest training item is below "
        f"{_threshold(record)} times that to the second nearest.",
        f"Samples per snapshot: {', '.join([counts, *ways])}.",
        f"Null, the share of held-out items under the same rule: {_nulls(record)}.",
    ]


def _sampler(run: RunRecord) -> str:
    """How samples were made; empty where it is not known."""
    measured = measured_by(run)
    if measured is None:
        return ""
    return f"by {measured.sampler.method.upper()} in {measured.sampler.n_solver_steps} steps"


def _nulls(record: SweepRecord) -> str:
    values = sorted({null_of(run) for run in record.runs})
    return f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} to {values[-1]:.4f}"
