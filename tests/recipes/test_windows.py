"""Windows by the quality of samples: planted ones are found, the committed record follows from its inputs."""

import numpy as np
import pytest

from evidence_records import (
    DOCS,
    RECORDS,
    drawn,
    inputs_are_those_beside,
    lines_of,
    passes_where_its_readings_do,
    read,
    same_but_for_rounding,
    shown,
    without_origin,
)
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.experiments.record import read_again
from memhorizon.recipes.tables import rows_of
from memhorizon.recipes.windows import numbers
from memhorizon.recipes.windows.figure import windows
from memhorizon.records.codec import encode_object
from memhorizon.records.files import load_record
from memhorizon.timescales.rules import Rules


def committed():
    return rows_of(read("windows"), "windows", numbers.KINDS)


def test_the_committed_record_follows_from_the_sweeps(tmp_path):
    made = read("windows")
    assert set(made.settings["inputs"]) == set(numbers.SWEEPS)
    inputs_are_those_beside(made)
    again = load_record(recipes.load("windows").run(tmp_path, records=RECORDS))
    same_but_for_rounding(without_origin(again), without_origin(made))


@pytest.mark.parametrize("name", ["window_digits", "window_fashion"])
def test_an_independent_reading_of_the_curves_finds_the_same_times(name):
    """By the definition, without intervals: the first time that the line through readings is at the level."""
    sweep = read(name)
    rows = [row for row in committed() if (row.sweep, row.quality) == (name, "frechet")]
    worst = max(run.curves["frechet"].value.min() for run in sweep.runs)
    assert rows[0].level == pytest.approx(1.25 * worst, rel=0.2)  # the best value is a mean of those like it
    for row in rows:
        runs = sorted((run for run in sweep.runs if run.n_train == row.n_train), key=lambda run: run.seed)
        for run, time in zip(runs, row.tau_gen, strict=True):
            passes_where_its_readings_do(time, run.curves["frechet"], row.level)


def test_the_level_is_twice_the_best_or_twice_what_noise_can_tell():
    """By the definition: the mean of the readings within the noise of the smallest, or 1.96 sd."""
    sweep = read("n_digits")
    best = []
    for run in sweep.runs:
        curve = run.curves["frechet"]
        sd = (curve.high - curve.low) / (2 * 1.959964)
        i = curve.value.argmin()
        apart = np.sqrt(sd**2 + sd[i] ** 2 - sd * sd[i])
        alike = curve.value - curve.value[i] <= 1.959964 * apart
        best.append(max(curve.value[alike].mean(), 1.959964 * sd[i]))
    (level,) = {row.level for row in committed() if row.sweep == "n_digits"}
    assert level == pytest.approx(2 * min(best), rel=1e-3)  # the rule of a time has four digits of it


def test_the_first_descent_of_the_loss_lies_far_before_good_samples():
    for row in [row for row in committed() if row.quality == "frechet"]:
        pairs = zip(row.tau_loss, row.tau_gen, strict=True)
        # the quality of the first swings most from look to look, and wide networks are good earliest
        share = 1 / 2 if row.sweep in ("window_fashion", "width_window_digits") else 1 / 3
        assert all(loss.value < share * gen.value for loss, gen in pairs)


def test_the_window_opens_with_n():
    found = {(row.sweep, row.n_train): row for row in committed() if row.quality == "frechet"}
    small, middle, large = (found["n_digits", n] for n in (32, 64, 128))
    assert (small.good, small.open) == (0, 0)
    assert middle.window.low < 1 < middle.window.high
    assert large.open == 3
    assert large.window.low > 2


def test_the_exponent_of_the_window_agrees_with_windows_at_two_sizes():
    """Without a fit: the slope between the two smallest n, all observed, and to the bound at the third."""
    found = {
        row.n_train: row for row in committed() if (row.sweep, row.quality) == ("window_digits", "frechet")
    }
    power = read("windows").summary["window"]["window_digits, frechet"]
    steps = np.log(found[128].window.value / found[64].window.value) / np.log(2)
    assert power["low"] < steps < power["high"]
    assert np.log(found[256].window.value / found[64].window.value) / np.log(4) < power["high"]
    assert f"n^{power['value']:.2f} [{power['low']:.2f}, {power['high']:.2f}]" in lines_of("windows")


def test_the_pages_say_what_the_record_says():
    text = lines_of("windows")
    for row in committed():
        if row.sweep in ("n_digits", "width_digits", "dropout_digits") and np.isfinite(row.window.low):
            assert shown(row.window) in text


def test_every_time_in_the_table_is_that_of_the_record():
    """| n | sweep | good of 3 | tau_gen | tau_mem |, in pixels; "> last step" once for all."""
    page = (DOCS / "evidence" / "1-training-set-size.md").read_text()
    names = {
        "n_digits": "n_digits, twice the best",
        "window_digits": "window_digits",
        "window_fashion": "window_fashion",
    }
    for row in committed():
        if row.sweep in names and row.quality == "frechet":
            name = names[row.sweep]
            (line,) = [line for line in page.splitlines() if line.startswith(f"| {row.n_train:,} | {name} |")]
            _, _, _, good, gen, mem, _ = line.split("|")
            assert good.split()[:3] == [str(row.good), "of", "3"]
            assert (gen.strip(), mem.strip()) == (of_seeds(row.tau_gen), of_seeds(row.tau_mem))


def of_seeds(times):
    told = [f"{time.value:,.0f}" if time.observed else f"> {time.value:,.0f}" for time in times]
    return told[0] if len(set(told)) == 1 else ", ".join(told)


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load("windows").run(tmp_path, "tiny", records=RECORDS))
    drawn(made, tmp_path)
    assert {row["sweep"] for row in made.rows} == {"n_digits"}


def test_reading_again_by_the_same_rules_changes_nothing_and_another_curve_is_refused():
    sweep = read("window_digits")
    again = read_again(sweep, sweep.rules)
    same_but_for_rounding(encode_object(again), encode_object(sweep))
    with pytest.raises(InputError, match="has no curve 'kl'"):
        read_again(sweep, Rules("kl", t=None))


@pytest.mark.parametrize("bad", [[], {}, "rates", "n_digits"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'windows'"):
        windows(read(bad) if isinstance(bad, str) else bad)
