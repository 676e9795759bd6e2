"""Times against lr / (1 - momentum): planted laws, paired intervals, the committed record, the page."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evidence_records import (
    RECORDS,
    drawn,
    inputs_are_those_beside,
    lines_of,
    not_reached,
    observed,
    read,
    shown,
)
from memhorizon import recipes
from memhorizon.recipes.rates import numbers
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.records.files import load_record

SETTINGS = {
    "lr_sgd_mixture": [(1e-3, 0.95), (2e-3, 0.95), (4e-3, 0.95)],
    "momentum_mixture": [(4e-3, 0.0), (4e-3, 0.8), (4e-3, 0.9)],
}


def planted(time):
    """Runs that copy at `time(lr, momentum, seed)`."""
    return [
        numbers.RunRow(
            sweep=sweep,
            lr=lr,
            momentum=momentum,
            rate=float(f"{lr / (1 - momentum):.12g}"),
            seed=seed,
            tau_gen=observed(time(lr, momentum, seed)),
            tau_mem=observed(time(lr, momentum, seed)),
        )
        for sweep, settings in SETTINGS.items()
        for lr, momentum in settings
        for seed in (0, 1, 2)
    ]


def test_times_of_the_flow_have_the_exponent_minus_one_and_agree_at_one_rate():
    runs = planted(lambda lr, momentum, seed: (1 + 0.1 * seed) * 30 * (1 - momentum) / lr)
    settings = numbers.settings_of(runs)
    pairs = list(numbers.pair_rows(settings))
    assert len(pairs) == 2 * 2 * 2  # two sweeps, two steps between rates, two timescales
    for row in pairs:
        ends = (row.exponent.value, row.exponent.low, row.exponent.high)
        assert ends == pytest.approx((-1, -1, -1))
    same = list(numbers.same_rows(settings))
    assert [(row.rate, row.momentum) for row in same[::2]] == [(0.02, (0.8, 0.95)), (0.04, (0.9, 0.95))]
    assert all(row.ratio.value == pytest.approx(1) for row in same)
    mean = 30 * math.exp(np.log([1, 1.1, 1.2]).mean())
    for own in settings:
        assert numbers.setting_row(own).time.value == pytest.approx(mean)


def test_intervals_are_those_of_paired_differences():
    generator = np.random.default_rng(0)
    noise = {(m, s): generator.normal(0, 0.1) for m in (0.0, 0.8, 0.9) for s in (0, 1, 2)}
    runs = planted(
        lambda lr, momentum, seed: math.exp(
            seed + noise.get((momentum, seed), 0.0) - math.log(lr / (1 - momentum))
        )
    )
    pairs = numbers.pair_rows(numbers.settings_of(runs))
    row = next(row for row in pairs if row.rate == 0.004 and row.timescale == "tau_mem")
    logs = [[noise[m, s] + math.log((1 - m) / 0.004) for s in (0, 1, 2)] for m in (0.0, 0.8)]
    ends = stats.ttest_rel(logs[1], logs[0]).confidence_interval(0.95)
    unit = math.log(5)  # the rates are 0.004 and 0.02
    assert row.exponent.low == pytest.approx(ends.low / unit)
    assert row.exponent.high == pytest.approx(ends.high / unit)


def test_times_that_were_not_reached_are_bounds():
    runs = planted(lambda lr, momentum, seed: 1 / lr)
    late = [replace(row, tau_mem=not_reached(250.0)) if row.momentum == 0 else row for row in runs]
    pairs = numbers.pair_rows(numbers.settings_of(late))
    row = next(row for row in pairs if row.rate == 0.004 and row.timescale == "tau_mem")
    assert (row.exponent.status, row.exponent.low) == ("at most", -math.inf)


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load("rates").run(tmp_path, "tiny", records=RECORDS))
    assert {row["sweep"] for row in made.rows} == {"lr_sgd_mixture"}
    drawn(made, tmp_path)


def test_the_committed_record_follows_from_the_sweeps(tmp_path):
    kept = read("rates")
    inputs_are_those_beside(kept)
    made = load_record(recipes.load("rates").run(tmp_path, records=RECORDS))
    pairs = zip(rows_of(made, "rates", numbers.KINDS), rows_of(kept, "rates", numbers.KINDS), strict=True)
    assert all(new == old for new, old in pairs)
    drawn(kept, tmp_path)


def test_the_page_says_what_the_record_says():
    rows = rows_of(read("rates"), "rates", numbers.KINDS)
    page = lines_of("rates")
    pairs = [row for row in of_kind(rows, numbers.PairRow) if row.timescale == "tau_mem"]
    assert len(pairs) == 7
    assert all(shown(row.exponent) in page for row in pairs)
    same = [row for row in of_kind(rows, numbers.SameRow) if row.timescale == "tau_mem"]
    assert all(shown(row.ratio) in page for row in same)
