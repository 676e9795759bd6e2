"""The theory beside the runs: planted runs are matched exactly, and its times hold on its own curves."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memhorizon.datasets.split import load_split
from memhorizon.recipes.theory_beside_digits import figure
from memhorizon.recipes.theory_beside_digits import numbers as recipe
from memhorizon.recipes.theory_beside_digits.numbers import ComparisonRow, ModelRow, RunRow
from memhorizon.records.files import load_record
from memhorizon.results import Status, Time
from memhorizon.theory import FeatureModel, Spectrum, loss_curves

RESULTS = Path(__file__).parents[2] / "results"
SIZES = (16, 32, 64, 128)


@pytest.fixture(scope="module")
def spectrum():
    return Spectrum.atoms([0.02, 0.2, 1.0], [0.5, 0.3, 0.2], gaussian=False)


@pytest.fixture(scope="module")
def models(spectrum):
    return list(recipe.model_rows(SIZES, 8.0, 0.3, spectrum))


@pytest.fixture(scope="module")
def record():
    return load_record(RESULTS / "theory" / "beside_digits.json")


def observed(value):
    return Time(value, value / 1.01, value * 1.01, Status.OBSERVED)


def late(value):
    return Time(value, value, math.inf, Status.NOT_REACHED)


def run_row(model, seed, **times):
    """A run of the n and t of a model; what is not given lies beyond its end."""
    never = late(1e9)
    given = {"tau_mem": never, "tau_gen": never, "argmin": never, "opening": never} | times
    return RunRow(n_train=model.n_train, seed=seed, t=model.t, holdout_min=model.holdout_min, **given)


def with_half_gap(model, n_train, half_gap):
    return replace(model, n_train=n_train, half_gap=half_gap)


def test_runs_that_obey_the_theory_up_to_a_unit_are_at_distance_one(models):
    factors = {"half_gap": 37.0, "tau_gen": 37.0, "argmin": 74.0}
    runs = [
        run_row(
            model,
            seed,
            tau_mem=observed(37 * model.half_gap),
            tau_gen=observed(37 * model.tau_gen),
            argmin=observed(74 * model.argmin),
        )
        for model in models
        for seed in (0, 1)
    ]
    for event, factor in factors.items():
        found = recipe.comparison(models, runs, event)
        assert found.steps_per_tau == pytest.approx(factor)
        assert found.factor == pytest.approx(1)
        assert found.factor_one_unit == pytest.approx(2 if event == "argmin" else 1)
        assert found.exponent_measured.value == pytest.approx(found.exponent, abs=1e-3)
        assert [pooled.value for pooled in found.doubling_measured] == pytest.approx(found.doubling)
        assert found.runs == 8
    for model in models:
        row = recipe.ratio_row(model, runs)
        assert row.ratio_measured.value == pytest.approx(row.ratio)
        assert row.ratio_off == pytest.approx(1)
        assert row.holdout_off.value == pytest.approx(1)


def test_a_power_law_beside_the_theory_is_off_by_the_scatter_of_its_logs(models):
    pair = [with_half_gap(models[0], n, 1.0) for n in (10, 1000)]
    runs = [run_row(model, 0, tau_mem=observed(float(model.n_train))) for model in pair]
    _, _, log_run = recipe.paired_logs(pair, runs, "half_gap")
    assert recipe.spread(log_run - log_run.mean()) == pytest.approx(10)  # ten times too small and too large


def test_only_times_that_were_seen_and_bounded_enter(models):
    three = [with_half_gap(models[0], n, float(n)) for n in (16, 32, 64)]
    seen = run_row(three[0], 0, tau_mem=observed(3.0))
    censored = run_row(three[1], 0, tau_mem=late(9.0))
    unbounded = run_row(three[2], 0, tau_mem=Time(5.0, 0.0, math.inf, Status.OBSERVED))
    n, model, run = recipe.paired_logs(three, [seen, censored, unbounded], "half_gap")
    assert (n, model, run) == (pytest.approx([math.log(16)]), [math.log(16)], pytest.approx([math.log(3)]))


def test_a_model_without_a_time_does_not_enter(models):
    pair = [with_half_gap(models[0], 16, 16.0), with_half_gap(models[0], 32, math.inf)]
    runs = [run_row(model, 0, tau_mem=observed(3.0)) for model in pair]
    log_n, _, _ = recipe.paired_logs(pair, runs, "half_gap")
    assert log_n == pytest.approx([math.log(16)])


def test_the_levels_are_met_on_the_curves_of_the_limit(models, spectrum):
    level = 1.05 * max(row.holdout_min for row in models)
    for row in models:
        model = FeatureModel(row.psi_n, row.psi_p, row.t, spectrum=spectrum)
        tau = [row.half_gap, row.tau_gen, row.argmin, row.opening, np.inf]
        curves = loss_curves(model, [value if np.isfinite(value) else np.inf for value in tau])
        assert curves.L_gen[0] == pytest.approx(row.gap_end / 2, rel=1e-8)
        assert curves.L_test[1] == pytest.approx(level, rel=1e-8)
        assert curves.L_test[2] == pytest.approx(row.holdout_min, rel=1e-8)
        assert curves.L_gen[4] == pytest.approx(row.gap_end, rel=1e-8)
        if np.isfinite(row.opening):
            assert curves.L_gen[3] == pytest.approx(0.1 * level, rel=1e-8)


def test_the_bins_keep_the_trace_of_the_covariance_of_the_digits():
    split = load_split(replace(recipe.DIGITS.data, n_train=recipe.POOL))
    x = split.train.flatten(1).double().numpy()
    assert len(x) + len(split.holdout) == 1797
    trace = np.trace(np.cov(x, rowvar=False, bias=True)) / 64
    assert recipe.digits_spectrum(6).variance == pytest.approx(trace, rel=1e-5)
    assert recipe.digits_spectrum(24).variance == pytest.approx(trace, rel=1e-5)


def test_the_committed_record_holds_the_times_of_the_runs(record):
    """Read again from the sweep: the timescales of every run at every level are those of the record."""
    sweep = load_record(RESULTS / "n_digits.json")
    rows = [row for row in figure.times(record).rows if isinstance(row, RunRow)]
    found = [row for t in recipe.LEVELS for row in recipe.run_rows(sweep, t)]
    assert len(rows) == len(found) == 36
    for given, read in zip(rows, found, strict=True):
        assert (given.n_train, given.seed, given.t) == (read.n_train, read.seed, read.t)
        for timescale in recipe.EVENTS.values():
            assert given.time(timescale).status == read.time(timescale).status
            assert given.time(timescale).value == pytest.approx(read.time(timescale).value, rel=5e-7)
        assert given.holdout_min == pytest.approx(read.holdout_min, rel=5e-7)  # seven digits are kept


def test_the_committed_record_holds_the_exponents_of_the_sweep(record):
    sweep = load_record(RESULTS / "n_digits.json")
    rows = [row for row in figure.times(record).rows if isinstance(row, ComparisonRow) and row.t == 0.3]
    compared = [row for row in rows if row.timescale in sweep.laws]
    assert compared
    for row in compared:
        recorded = sweep.laws[row.timescale].exponents["n_train"]
        for name in ("value", "low", "high"):
            assert getattr(row.exponent_measured, name) == pytest.approx(getattr(recorded, name), abs=1e-4)


def test_the_drawn_theory_is_in_the_unit_that_fits_tau_mem(record):
    picture = figure.times(record)
    models = [row for row in picture.rows if isinstance(row, ModelRow) and row.t == 0.01]
    low = min(row.psi_p for row in models)
    half_gaps = [row.half_gap for row in models if row.psi_p == low]
    measured = [row.tau_mem.value for row in picture.rows if isinstance(row, RunRow) and row.t == 0.01]
    each = len(measured) // len(half_gaps)
    times = [time for time in half_gaps for _ in range(each)]
    unit = np.exp(np.mean(np.log(measured)) - np.mean(np.log(times)))
    wanted = unit * np.array(half_gaps)
    drawn = [np.asarray(line.get_ydata()) for line in picture.plot().axes[0].lines]
    assert any(len(y) == len(wanted) and np.allclose(y, wanted, rtol=1e-4) for y in drawn)
