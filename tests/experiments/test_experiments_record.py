"""Records: what figures read is what the runs measured, and the clocks are those of the curves."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from memhorizon import figures
from memhorizon.datasets import DataConfig
from memhorizon.experiments.config import Config, MeasureConfig
from memhorizon.experiments.executors import Inline
from memhorizon.experiments.record import Rules, _ratio, curves, null_fraction, plain, read_times, record
from memhorizon.experiments.rundir import RunDir
from memhorizon.experiments.sweep import grid, sweep
from memhorizon.measure.timescales import memorization_time
from memhorizon.nets import MLPConfig
from memhorizon.results import Fraction, InputError, Time
from memhorizon.training import OptimizerConfig, TrainConfig
from sweeps import make_runs

BASE = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(steps=20),
    measure=MeasureConfig(snapshots=4, first=2, n_samples=10, sampler_steps=4, repeats=1),
)


def planted(tmp_path, n_train, seed, counts, batch_size=None):
    """A run directory whose memorized counts are given, at 10, 20, 40, ... steps."""
    train = replace(BASE.train, batch_size=batch_size)
    config = replace(BASE, data=replace(BASE.data, n_train=n_train), train=train, seed=seed)
    directory = RunDir.create(tmp_path, config)
    for k, count in enumerate(counts):
        step = 10 * 2**k
        rows = [
            {
                "measure": "memorized",
                "value": count / 1000,
                "count": count,
                "total": 1000,
                "null_count": 0,
                "null_total": 500,
            },
            {"measure": "holdout", "t": 0.1, "value": 1 / step, "se": 1e-4},
            {"measure": "gap", "t": 0.1, "value": 0.0, "se": 1e-4},
        ]
        directory.append_measures({"step": step, **row} for row in rows)
    return directory


def test_a_record_is_json_and_holds_every_curve(tmp_path):
    runs = sweep(grid(BASE, n_train=(8, 16), seed=(0,)), root=tmp_path, executor=Inline())
    made = record(runs, name="test")
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    for row, run in zip(made["runs"], runs, strict=True):
        assert row["curves"].keys() == curves(run).keys()
        assert row["curves"]["memorized"]["step"] == [float(step) for step in run.snapshots()]
        counts = [r["count"] / r["total"] for r in run.measures() if r["measure"] == "memorized"]
        assert row["curves"]["memorized"]["value"] == counts
        assert row["n_train"] == run.config.data.n_train


def test_clocks_and_law_of_planted_runs(tmp_path):
    """The same rise of f_mem at twice the steps for twice the n: the exponent is 1."""
    rows = {4: (0, 0, 200, 400), 8: (0, 0, 0, 200, 400), 16: (0, 0, 0, 0, 200, 400)}
    runs = [planted(tmp_path, n, seed, rows[n]) for n in rows for seed in (0, 1)]
    times = read_times(runs, Rules(memorized=0.1))
    expected = {4: (20, 40), 8: (40, 80), 16: (80, 160)}  # the snapshots with f_mem = 0 and 0.2
    for run, own in zip(runs, times, strict=True):
        before, after = expected[run.config.data.n_train]
        assert before < own.tau_mem.value < after
        assert own.tau_mem == memorization_time(curves(run)["memorized"], level=0.1, null=null_fraction(run))
    law = record(runs, Rules(memorized=0.1))["laws"]["tau_mem"]
    logs = [np.log([r.config.data.n_train, own.tau_mem.value]) for r, own in zip(runs, times, strict=True)]
    slope = np.polyfit(*np.transpose(logs), 1)[0]  # no time is censored, so the fit is least squares
    assert law["exponents"]["n_train"]["value"] == pytest.approx(slope, abs=1e-3)
    assert slope == pytest.approx(1.0, abs=1e-2)
    assert law["observed"] == 6


@pytest.mark.parametrize(("batch_size", "exponent"), [(None, 1.0), (4, 0.0)])
def test_repetition_has_exponent_zero_in_passes(tmp_path, batch_size, exponent):
    """tau_mem ~ n in steps: in full batch passes are steps, with 4 items per step they are 4 steps / n."""
    rows = {4: (0, 0, 200, 400), 8: (0, 0, 0, 200, 400), 16: (0, 0, 0, 0, 200, 400)}
    runs = [planted(tmp_path, n, seed, rows[n], batch_size) for n in rows for seed in (0, 1)]
    law = record(runs, Rules(memorized=0.1))["laws"]["passes"]
    assert law["exponents"]["n_train"]["value"] == pytest.approx(exponent, abs=1e-2)


def test_curves_at_n_over_w_collapse_in_that_unit_only(tmp_path):
    """Planted: half is reached at a multiple of n/W, but for a scatter of 12 % and of 10 % per seed."""
    runs = make_runs(tmp_path, widths=(8, 16, 32), seeds=(0, 1), steps=20_000)
    found = record(runs, Rules(t=0.3))["collapse"]
    n, width = np.repeat([8, 16, 32], 6), np.tile(np.repeat([8, 16, 32], 2), 3)
    half = 1.06 ** ((7 * n + 3 * width) % 5 - 2.0) * 1.1 ** np.tile([0, 1], 9)
    spread = {
        "steps / n_train": np.log(half / width),
        "steps * width": np.log(half * n),
        "steps * width / n_train": np.log(half),
    }
    for unit, logs in spread.items():
        wanted = logs.var() / np.log(half * n / width).var()
        assert found[unit]["value"] == pytest.approx(wanted, rel=0.1, abs=0.01)  # snapshots lie 70 % apart


def known(value, status="observed"):
    return Time(value, value, value if status == "observed" else math.inf, status, "planted")


def test_a_ratio_of_well_known_times_has_the_paired_t_interval():
    below = np.array([700.0, 1000.0, 1900.0])
    above = below * [1.5, 1.4, 1.65]
    points = [(i, seed, known(t)) for i, side in enumerate((below, above)) for seed, t in enumerate(side)]
    found = _ratio([(bool(side), seed, time) for side, seed, time in points])
    logs = np.log(above / below)
    low, high = stats.ttest_1samp(logs, 0).confidence_interval()
    assert found["observed"] == 6
    ratio = [math.log(found["ratio"][end]) for end in ("value", "low", "high")]
    assert ratio == pytest.approx([logs.mean(), low, high], abs=1e-3)


def test_a_bound_moves_a_ratio_past_the_bound():
    """Two of three are seen 1.5 times later; the third was not reached at 1.2 times: no less than at 1.2."""
    below, above = [known(t) for t in (700.0, 1000.0, 1900.0)], [known(1050.0), known(1500.0)]
    late = [known(1900.0 * 1.2, "not reached")]
    found = _ratio([(i > 2, i % 3, time) for i, time in enumerate([*below, *above, *late])])
    assert (found["observed"], found["censored"]) == (5, 1)
    assert found["ratio"]["value"] > 1.2


def knob_runs(tmp_path, ratio):
    """Three seeds without and with an average of the weights; f_mem begins that much later, in snapshots."""
    runs = []
    for ema, factor in ((0.0, 1.0), (0.9, ratio)):
        for seed, own in enumerate((0.8, 1.0, 1.3)):
            counts = [int(np.clip(200 * (k - 5 * own * factor), 0, 1000)) for k in range(10)]
            config = replace(BASE, train=replace(BASE.train, ema=ema), seed=seed)
            directory = RunDir.create(tmp_path, config)
            for k, count in enumerate(counts):
                step = 10 * 2**k
                copies = {"measure": "memorized", "value": count / 1000, "count": count, "total": 1000}
                loss = {"measure": "holdout", "t": 0.1, "value": 1 / step, "se": 1e-9}
                gap = {"measure": "gap", "t": 0.1, "value": 0.0, "se": 1e-4}
                directory.append_measures({"step": step, **row} for row in (copies, loss, gap))
            runs.append(directory)
    return runs


def test_a_sweep_over_a_knob_has_contrasts_of_both_clocks(tmp_path):
    made = record(knob_runs(tmp_path, 1.2), Rules(memorized=0.1))
    assert made["laws"] == {}
    assert [(row["factor"], row["reference"], row["value"], row["clock"]) for row in made["contrasts"]] == [
        ("ema", 0.0, 0.9, "tau_gen"),
        ("ema", 0.0, 0.9, "tau_mem"),
    ]
    gen, mem = (row["ratio"] for row in made["contrasts"])
    assert gen["value"] == pytest.approx(1, abs=1e-3)
    assert 1.3 < mem["value"] < 2.7  # 0.8 to 1.3 snapshots later, each a factor of two


def test_a_knob_whose_times_are_not_reached_is_bounded_or_left_open(tmp_path):
    runs = knob_runs(tmp_path, 3.0)
    row = record(runs, Rules(memorized=0.1))["contrasts"][-1]
    first = [own.tau_mem.value for own in read_times(runs, Rules(memorized=0.1))[:3]]
    assert row["at_least"] == pytest.approx(math.exp(np.log(5120 / np.array(first)).mean()))
    assert (row["clock"], row["observed"], row["censored"]) == ("tau_mem", 3, 3)
    assert row["ratio"]["value"] is None
    assert "not fitted" in row["status"]


def test_the_picture_of_a_knob_shows_ratios_and_bounds(tmp_path):
    made = record(knob_runs(tmp_path, 3.0), Rules(memorized=0.1))
    picture = figures.contrasts(made)
    gen, mem = picture.frame()
    assert (gen["knob"], gen["value"]) == (0.9, made["contrasts"][0]["ratio"]["value"])
    assert (mem["value"], mem["at_least"]) == (None, made["contrasts"][1]["at_least"])
    drawn = [line.get_ydata() for line in picture.plot().axes[0].lines]
    heights = [float(np.asarray(y)[0]) for y in drawn if len(y)]
    assert {gen["value"], mem["at_least"]} <= set(heights)
    with pytest.raises(InputError, match="one of momentum"):
        figures.contrasts(record([planted(tmp_path, n, 0, (0, 200)) for n in (4, 8)]))


def test_momentum_is_a_knob_of_sgd_and_none_of_adam(tmp_path):
    sgd = grid(replace(BASE, optimizer=OptimizerConfig("sgd", lr=1e-3)), momentum=(0.0, 0.9), seed=(0, 1))
    runs = sweep(sgd, root=tmp_path, executor=Inline())
    made = record(runs)
    assert [row["momentum"] for row in made["runs"]] == [0.0, 0.0, 0.9, 0.9]
    assert {(row["factor"], row["value"]) for row in made["contrasts"]} == {("momentum", 0.9)}
    adam = sweep([BASE], root=tmp_path, executor=Inline())
    assert "momentum" not in record(adam)["runs"][0]
    assert "contrasts" not in record([*runs, *adam])  # two optimizers are not one knob


def test_a_knob_of_unfinished_sweeps_says_so(tmp_path):
    runs = knob_runs(tmp_path, 1.2)
    made = record([runs[0], runs[4]], Rules(memorized=0.1))  # no seed is there with both values
    assert all(row["ratio"] is None or row["ratio"]["value"] is None for row in made["contrasts"])


def test_what_was_not_reached_stays_so(tmp_path):
    runs = [planted(tmp_path, n, 0, (0, 0, 0)) for n in (4, 8)]
    made = record(runs)
    assert {row["times"]["tau_mem"]["status"] for row in made["runs"]} == {"not reached"}
    assert made["laws"]["tau_mem"]["exponents"]["n_train"]["value"] is None
    assert "not fitted" in made["laws"]["tau_mem"]["status"]


def test_the_null_is_that_of_the_held_out_items(tmp_path):
    assert null_fraction(planted(tmp_path, 4, 0, (0,))) == Fraction.of(0, 500)


def test_bad_records_are_refused(tmp_path):
    empty = RunDir.create(tmp_path, BASE)
    with pytest.raises(InputError, match="nothing is measured yet"):
        record([empty])
    run = planted(tmp_path, 4, 0, (0, 1))
    with pytest.raises(InputError, match="has no curve"):
        record([run], Rules(quality="frechet", t=None))
    with pytest.raises(InputError, match="runs"):
        record([])


def test_plain_values():
    assert plain({"a": float("inf"), "b": (1, float("nan"))}) == {"a": None, "b": [1, None]}
