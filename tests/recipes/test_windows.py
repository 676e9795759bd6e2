"""Windows by the quality of samples: planted ones are found, the committed record follows from its inputs."""

import numpy as np
import pytest

from evidence_records import (
    DOCS,
    RECORDS,
    drawn,
    inputs_are_those_beside,
    lines_of,
    read,
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
    assert without_origin(again) == without_origin(made)


def test_an_independent_reading_of_the_curves_finds_the_same_times():
    """By the definition, without intervals: the first time that the line through readings is at the level."""
    sweep = read("window_digits")
    rows = [row for row in committed() if (row.sweep, row.quality) == ("window_digits", "frechet_classifier")]
    level = rows[0].level
    for row in rows:
        runs = sorted((run for run in sweep.runs if run.n_train == row.n_train), key=lambda run: run.seed)
        for run, time in zip(runs, row.tau_gen, strict=True):
            curve = run.curves["frechet_classifier"]
            below = np.flatnonzero(curve.value <= level)
            assert bool(len(below)) == time.observed
            if len(below):  # readings are pooled where they rise again, so the time may be a reading later
                assert curve.step[max(0, below[0] - 1)] <= time.value
                assert time.low <= curve.step[below[0]] <= time.high


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
    for row in committed():
        pairs = zip(row.tau_loss, row.tau_gen, strict=True)
        assert all(loss.value < gen.value / 3 for loss, gen in pairs)


def test_the_window_opens_with_n():
    found = {(row.sweep, row.n_train): row for row in committed() if row.quality == "frechet"}
    small, middle, large = (found["n_digits", n] for n in (32, 64, 128))
    assert (small.good, small.open) == (0, 0)
    assert middle.window.low < 1 < middle.window.high
    assert large.open == 3
    assert large.window.low > 2


def test_the_pages_say_what_the_record_says():
    text = lines_of("windows")
    for row in committed():
        if row.sweep in ("n_digits", "width_digits", "dropout_digits") and np.isfinite(row.window.low):
            assert shown(row.window) in text


def test_every_time_in_the_table_is_that_of_the_record():
    """| n | sweep, features | good of 3 | tau_gen | tau_mem |; "> last step" once for all."""
    page = (DOCS / "evidence" / "1-training-set-size.md").read_text()
    features = {"frechet": "pixels", "frechet_classifier": "classifier"}
    for row in committed():
        name = f"{row.sweep}, {features[row.quality]}"
        if name in ("n_digits, pixels", "window_digits, classifier"):
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
    assert encode_object(again) == encode_object(sweep)
    with pytest.raises(InputError, match="has no curve 'kl'"):
        read_again(sweep, Rules("kl", t=None))


@pytest.mark.parametrize("bad", [[], {}, "rates", "n_digits"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'windows'"):
        windows(read(bad) if isinstance(bad, str) else bad)
