"""Forecasts of committed runs: the ways against closed forms, the record against its inputs, its goals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evidence_records import RECORDS, inputs_are_those_beside, read
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.recipes.forecasts import methods
from memhorizon.recipes.forecasts.figure import intervals, rules
from memhorizon.recipes.forecasts.methods import METHODS, Logs
from memhorizon.recipes.forecasts.numbers import KINDS, NAME, ForecastRow, covered, error_of
from memhorizon.recipes.forecasts.sources import every_group
from memhorizon.recipes.pooled import Interval
from memhorizon.recipes.scores import resampled
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.records.files import load_record
from memhorizon.results import Status, Time

X = np.log(np.repeat([16.0, 32.0, 64.0], 3))


def drawn(seed, scatter=0.1):
    return Logs(X, 1.0 + X + scatter * np.random.default_rng(seed).normal(size=len(X)))


def a_row(times, low, high):
    found = dict.fromkeys(METHODS, Interval(math.sqrt(low * high), low, high))
    return ForecastRow(
        sweep="s",
        setting="",
        family="digits",
        pilots=(8,),
        seeds=(0,),
        n_train=16,
        ratio=2,
        times=tuple(times),
        methods=found,
    )


def seen(value):
    return Time(value, value, value, Status.OBSERVED)


def bound(value):
    return Time(value, value, math.inf, Status.NOT_REACHED)


def test_the_simple_ways_cover_a_law_that_holds():
    """A run at n = 128 with the same scatter; the bootstrap and the clipped conformal way cover less."""
    x = math.log(128)
    rng = np.random.default_rng(1)
    trials = 120
    inside = dict.fromkeys(methods.SIMPLE, 0)
    for seed in range(trials):
        new = 1.0 + x + 0.1 * rng.normal()
        for name, way in methods.SIMPLE.items():
            inside[name] += way(drawn(seed), x).holds(new)
    error = 3.5 * math.sqrt(0.09 / trials)
    for name in ("least squares", "prior alone"):
        assert abs(inside[name] / trials - 0.9) < error, name
    assert inside["bootstrap"] / trials < 0.9
    assert inside["conformal"] / trials < 0.9


def test_least_squares_is_the_textbook():
    logs = drawn(0)
    x = math.log(128)
    line = stats.linregress(logs.x, logs.y)
    found = methods.least_squares(logs, x)
    assert found.value == pytest.approx(line.intercept + line.slope * x)
    variance = np.sum((logs.y - line.intercept - line.slope * logs.x) ** 2) / 7
    of_line = line.intercept_stderr**2 + x**2 * line.stderr**2 - 2 * x * logs.x.mean() * line.stderr**2
    half = stats.t.ppf(0.95, 7) * math.sqrt(variance + of_line)
    assert found.high - found.value == pytest.approx(half)


def test_coverage_counts_what_can_be_told():
    assert covered(a_row([seen(10), seen(30)], 5, 20), "ours") == 0.5
    assert covered(a_row([seen(10), bound(30)], 5, 20), "ours") == 0.5  # it lies above the interval
    assert covered(a_row([seen(10), bound(7)], 5, 20), "ours") == 1  # it may lie within
    assert covered(a_row([bound(7)], 5, 20), "ours") is None
    assert error_of(a_row([seen(8), seen(32)], 5, 20), "ours") == pytest.approx(abs(10 / 16 - 1))
    assert error_of(a_row([seen(8), bound(32)], 5, 20), "ours") is None


def test_whole_sweeps_are_resampled():
    """Two sweeps, one covered and one not: every set of them gives 0, 1/2 or 1."""
    assert resampled([("a", 1.0)] * 10 + [("b", 0.0)] * 10) == (0.0, 1.0)
    assert all(math.isnan(end) for end in resampled([("a", 1.0)] * 10))


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load(NAME).run(tmp_path, "tiny", records=RECORDS))
    for draw in (intervals, rules):
        assert draw(made).frame()
        assert draw(made).plot().axes


def test_the_committed_record_follows_from_its_inputs():
    made = read(NAME)
    inputs_are_those_beside(made)
    rows = of_kind(rows_of(made, NAME, KINDS), ForecastRow)
    groups = {(group.sweep, group.setting): group for group in every_group(RECORDS, tiny=False)}
    assert {(row.sweep, row.setting) for row in rows} == set(groups)
    for row in rows[3::97]:
        group = groups[row.sweep, row.setting]
        pilots = [one for one in group.pilots if one.point.n_train in row.pilots and one.seed in row.seeds]
        (batch,) = {one.point.batch_size for one in group.pilots if one.point.n_train == row.n_train}
        asked = replace(pilots[0].point, n_train=float(row.n_train), batch_size=batch)
        again = methods.forecasts(pilots, asked)["ours"]
        assert again.value == pytest.approx(row.methods["ours"].value, rel=1e-4)


def test_what_was_promised_of_the_committed_forecasts():
    """Coverage of nominal 90 % intervals between 85 and 96 %, error at most 25 % at 4 times."""
    summary = read(NAME).summary
    every = summary["all"]["ours"]
    assert every["forecasts"] >= 100
    for chosen in ("all", "digits and fashion", "mixture"):
        assert 0.85 <= summary[chosen]["ours"]["coverage"] <= 0.96, chosen
    assert summary["two or more sizes, ratio 4"]["ours"]["error"] <= 0.25
    assert every["coverage"] > max(summary["all"][way]["coverage"] for way in methods.SIMPLE)


@pytest.mark.parametrize("bad", [[], "rates"])
def test_another_record_is_refused(bad):
    for draw in (intervals, rules):
        with pytest.raises(InputError, match="expected the table of 'forecasts'"):
            draw(read(bad) if isinstance(bad, str) else bad)


COLUMNS = ("all", "digits and fashion", "mixture", "two or more sizes, all seeds")


def line_of(summary, method):
    """A row of the table of docs/steps.md."""
    cells = []
    for name in COLUMNS:
        found = summary[name][method]
        low, high = found["coverage_interval"]
        cells.append(f"{found['coverage']:.2f} [{low:.2f}, {high:.2f}]; {found['factor']:.1f}")
    return f"| {method} | {' | '.join(cells)} |"


def folk_line(rule, found):
    """A sentence of docs/steps.md."""
    parts = [
        f"{one['copied']} of {one['runs']} runs on {family} had copied by then"
        f" (it ends at {one['smallest']:.2g} to {one['largest']:.2g} times their tau_mem)"
        for family, one in found.items()
    ]
    return f"- **{rule}**: {'; '.join(parts)}."


def test_the_page_says_what_the_record_says():
    page = (RECORDS.parent / "docs" / "steps.md").read_text()
    summary = read(NAME).summary
    for method in METHODS:
        assert line_of(summary, method) in page
    for rule, found in summary["folk rules"].items():
        assert folk_line(rule, found) in page
    every = summary["all"]["ours"]
    counts = f"{every['forecasts']} forecasts of {every['runs']} runs in {every['sweeps']} sweeps"
    assert counts in page
    near, far = (100 * summary[f"two or more sizes, ratio {ratio}"]["ours"]["error"] for ratio in (2, 4))
    told = f"{near:.0f} % at twice the largest pilot and {far:.0f} % at four times with two or more sizes"
    assert f"median error is {told}" in page


def test_doublings_on_the_page_are_those_of_the_records():
    """What doubling n does to tau_mem: with every item in each update, and at a fixed batch."""
    full = [*growths("n_mixture_adam"), *growths("n_mixture_sgd")]
    digits = growths("n_digits")
    page = (RECORDS.parent / "docs" / "steps.md").read_text()
    assert f"times {min(full):.1f} to {max(full):.1f} (mixture), {digits[0]:.1f} (digits, 16 to 32)" in page
    fixed = growths("repetition_mixture")
    assert (
        f"times {min(digits[1:]):.1f} (digits) to at least {fixed[-1]:.0f} (mixture near its limit)" in page
    )
    first = math.log2(fixed[0])
    last = math.log2(fixed[-1])
    assert f"rises from {first:.1f} (n = 16 to 32) to at least {last:.1f} (64 to 128" in page


def growths(sweep):
    """Geometric mean of tau_mem, bounds as they are, over that at half the n."""
    times = {}
    for run in read(sweep).runs:
        assert run.timescales.tau_mem.status is not Status.BEFORE_FIRST
        times.setdefault(run.n_train, []).append(math.log(run.timescales.tau_mem.value))
    means = [math.exp(np.mean(times[n])) for n in sorted(times)]
    return [above / below for below, above in itertools.pairwise(means)]
