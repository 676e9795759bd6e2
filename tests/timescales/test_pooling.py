"""Pooled times: intervals are those of the t distribution, bounds stay bounds, committed numbers follow."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.records.codec import decode
from memhorizon.records.files import load_record
from memhorizon.results import Estimate, Status, Time, two_sided
from memhorizon.timescales import pooling
from memhorizon.timescales.ordering import Scored, auc, early_half, lateness, pooled_auc
from memhorizon.timescales.pooling import LogTime, Pooled, SeedMean
from memhorizon.timescales.power_law import fit_scaling

RESULTS = Path(__file__).parents[2] / "results"


def seen(value):
    return Time(value, 0.9 * value, 1.1 * value, Status.OBSERVED)


def late(value):
    return Time(value, 0.9 * value, math.inf, Status.NOT_REACHED)


def early(value):
    return Time(value, 0.0, 1.1 * value, Status.BEFORE_FIRST)


OPEN = Time(5.0, 0.0, math.inf, Status.OBSERVED)
NONE = Time.unknown(Status.STILL_IMPROVING, "")


@pytest.mark.parametrize("degrees", [1, 2, 30])
def test_a_quantile_holds_its_share(degrees):
    assert stats.t.cdf(two_sided(0.9, degrees), degrees) == pytest.approx(0.95)
    assert stats.norm.cdf(two_sided(0.9)) == pytest.approx(0.95)


def test_a_geometric_mean_has_the_interval_of_a_t_test_of_the_logarithms():
    values = [10.0, 14.0, 9.0, 30.0]
    found = pooling.geometric_mean([pooling.log_time(seen(value)) for value in values])
    logs = np.log(values)
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert found.value == pytest.approx(stats.gmean(values))
    assert np.log([found.low, found.high]) == pytest.approx([interval.low, interval.high])
    assert (found.status, found.known, found.observed) == (Status.OBSERVED, 4, 4)


def test_a_mean_over_seeds_has_the_interval_of_a_t_test_and_passes_over_nan():
    values = [1.0, 2.0, 4.0]
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = pooling.over_seeds([*values, math.nan])
    assert (found.value, found.seeds) == (pytest.approx(7 / 3), 3)
    assert [found.low, found.high] == pytest.approx([interval.low, interval.high])
    assert pooling.over_seeds([2.0]) == SeedMean(2.0, -math.inf, math.inf, 1)
    assert math.isnan(pooling.over_seeds([math.nan]).value)


def test_a_mean_has_its_standard_error():
    values = [1.0, 2.0, 4.0]
    found = pooling.mean_and_error(values)
    assert found.standard_error == pytest.approx(stats.sem(values))
    assert math.isnan(pooling.mean_and_error([1.0]).standard_error)
    with pytest.raises(InputError, match="values: expected"):
        pooling.mean_and_error([])


@pytest.mark.parametrize(
    ("above", "below", "side"),
    [
        (seen(6.0), seen(3.0), 0),
        (late(6.0), seen(3.0), 1),
        (seen(6.0), early(3.0), 1),
        (late(6.0), early(3.0), 1),
        (early(6.0), seen(3.0), -1),
        (seen(6.0), late(3.0), -1),
        (early(6.0), late(3.0), -1),
        (late(6.0), late(3.0), None),
        (early(6.0), early(3.0), None),
        (NONE, seen(3.0), None),
        (seen(6.0), OPEN, None),
    ],
)
def test_a_ratio_of_bounds_is_a_bound_on_that_side(above, below, side):
    """Held against true times that the two allow: their ratio lies on one side of the bound."""
    found = pooling.log_ratio(above, below)
    assert found == (None if side is None else LogTime(math.log(2.0), side))
    if side is None:
        return
    allowed = {0: (1.0,), 1: (1.0, 2.0, 9.0), -1: (1.0, 0.5, 0.1)}
    ups = [above.value * share for share in allowed[pooling.SIDES[above.status]]]
    downs = [below.value * share for share in allowed[pooling.SIDES[below.status]]]
    signs = {np.sign(round(math.log(up / down) - found.log, 12)) for up in ups for down in downs}
    assert signs <= {0.0, float(side)}


@pytest.mark.parametrize(
    ("logs", "status", "known"),
    [
        ([LogTime(0.0), LogTime(1.0, 1)], Status.AT_LEAST, 2),
        ([LogTime(0.0), LogTime(1.0, -1)], Status.AT_MOST, 2),
        ([LogTime(0.0, 1), LogTime(1.0, -1)], Status.UNDETERMINED, 2),
        ([LogTime(0.0), None, None], Status.UNDETERMINED, 1),
        ([LogTime(0.0), None], Status.OBSERVED, 1),
        ([], Status.UNDETERMINED, 0),
    ],
)
def test_a_mean_of_bounds_is_a_bound_without_interval(logs, status, known):
    found = pooling.geometric_mean(logs)
    assert (found.status, found.known) == (status, known)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert math.isnan(found.value) == (status is Status.UNDETERMINED)


def test_a_bound_holds_in_simulation():
    """The mean of true times is never below a mean that is "at least" so much."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        true = np.exp(generator.normal(size=5))
        end = 1.0
        times = [seen(time) if time < end else late(end) for time in true]
        found = pooling.geometric_mean([pooling.log_time(time) for time in times])
        if found.status is Status.AT_LEAST:
            assert stats.gmean(true) >= found.value * (1 - 1e-12)


def test_an_exponent_is_that_of_the_law():
    points = [(n, seen(3.0 * n**1.5 * (1 + 0.1 * (n % 3)))) for n in (8, 16, 32, 64)]
    law = fit_scaling([({"n_train": n}, time) for n, time in points])
    found = pooling.exponent_of(law, "n_train")
    assert found.estimate == law.exponents["n_train"]
    assert (found.observed, found.censored, found.status) == (4, 0, Status.FITTED)
    censored = fit_scaling([({"n_train": n}, late(9.0)) for n in (8, 16)])
    few = pooling.exponent_of(censored, "n_train")
    assert (few.status, few.note[:10]) == (Status.NOT_FITTED, "0 observed")
    with pytest.raises(InputError, match="factor: expected"):
        pooling.exponent_of(law, "width")


def test_the_ratio_of_items_is_that_of_their_geometric_means():
    times = [seen(value) for value in (3.0, 5.0, 9.0)]
    others = [seen(value) for value in (1.0, 2.0)]
    expected = math.log(stats.gmean([3, 5, 9]) / stats.gmean([1, 2]))
    assert pooling.item_log_ratio(times, others) == pytest.approx(expected, abs=1e-5)
    assert pooling.item_log_ratio([*times, late(9.0)], others) > expected


# --- who is early ---


def test_items_are_ordered_by_what_is_known_of_them():
    times = [late(9.0), seen(4.0), early(1.0), seen(2.0), seen(4.0), late(9.0)]
    assert [lateness(time) for time in times] == [math.inf, 4.0, 0.0, 2.0, 4.0, math.inf]
    assert early_half(times).tolist() == [False, False, True, True, False, False]


def test_an_auc_is_the_statistic_of_mann_and_whitney():
    generator = np.random.default_rng(0)
    score = generator.integers(0, 6, 40).astype(float)
    first = generator.random(40) < 0.4
    found = auc(Scored(score, first))
    whole = stats.mannwhitneyu(score[first], score[~first]).statistic
    assert found == pytest.approx(whole / (first.sum() * (~first).sum()))
    assert math.isnan(auc(Scored(score, np.ones(40, dtype=bool))))


def test_a_pooled_auc_passes_over_seeds_of_one_kind():
    one = Scored(np.arange(4.0), np.array([False, False, True, True]))
    none = Scored(np.arange(4.0), np.zeros(4, dtype=bool))
    found = pooled_auc([one, none, one], np.random.default_rng(0))
    assert (found.auc, found.low, found.high, found.seeds, found.images) == (1.0, 1.0, 1.0, 2, 8)
    assert math.isnan(pooled_auc([none], np.random.default_rng(0)).auc)


# --- committed numbers ---


def times_in(rows, name):
    return [decode(row[name], Time) for row in rows]


def same(entry, found):
    """Records of recipes keep seven digits."""
    kept = decode(entry, Pooled, others=True)
    assert kept.status is found.status
    assert kept.value == pytest.approx(found.value, rel=1e-6, nan_ok=True)
    assert [kept.low, kept.high] == pytest.approx([found.low, found.high], rel=1e-5)


@pytest.mark.parametrize("timescale", ["tau_gen", "tau_mem"])
def test_the_means_of_the_record_of_rates_follow(timescale):
    rows = load_record(RESULTS / "rates.json").rows
    runs = [row for row in rows if row["part"] == "run"]
    settings = [row for row in rows if row["part"] == "setting"]
    assert settings
    for setting in settings:
        about = ("sweep", "lr", "momentum")
        group = [run for run in runs if all(run[name] == setting[name] for name in about)]
        found = pooling.geometric_mean([pooling.log_time(time) for time in times_in(group, timescale)])
        same(setting[timescale], found)


def test_the_means_and_ratios_of_the_record_of_guidance_follow():
    """Among them bounds, and means of which too little is known."""
    rows = load_record(RESULTS / "guidance_mixture.json").rows

    def runs(*about):
        names = ("case", "n_train", "label", "scale")
        return [row for row in rows if row["part"] == "run" and about == tuple(row[name] for name in names)]

    statuses = set()
    for group in rows:
        if group["part"] == "group":
            case, n_train, label = group["case"], group["n_train"], group["label"]
            own = times_in(runs(case, n_train, label, group["scale"]), "tau_mem")
            others = times_in(runs(case, n_train, label, 0.0), "tau_mem")
            mean = pooling.geometric_mean([pooling.log_time(time) for time in own])
            ratio = pooling.geometric_mean(
                [pooling.log_ratio(*pair) for pair in zip(own, others, strict=True)]
            )
            same(group["tau_mem"], mean)
            same(group["unguided"], ratio)
            statuses |= {mean.status, ratio.status}
    assert statuses == {Status.OBSERVED, Status.AT_LEAST, Status.UNDETERMINED}


def test_the_ratios_and_areas_of_the_record_of_first_digits_follow():
    record = load_record(RESULTS / "first_digits.json")
    seeds = [[row for row in record.rows if row["seed"] == seed] for seed in range(6)]
    kept = record.summary["copies"]["share"]
    each = []
    for rows in seeds:
        times = [decode(row["times"]["share"], Time) for row in rows]
        each.append(pooling.item_exponent([row["copies"] for row in rows], times))
    assert each == pytest.approx(kept["exponent_each"], rel=1e-6)
    mean = pooling.over_seeds(each)
    ends = [kept["exponent"][end] for end in ("value", "low", "high")]
    assert [mean.value, mean.low, mean.high] == pytest.approx(ends, rel=1e-6)
    single = [[row for row in rows if row["copies"] == 1] for rows in seeds]
    scored = [
        Scored(
            np.array([row["nearest"] for row in rows]),
            early_half([decode(row["times"]["share"], Time) for row in rows]),
        )
        for rows in single
    ]
    area = pooled_auc(scored, np.random.default_rng(0))
    first = record.summary["first"]["share"][0]
    assert first["predictor"] == "nearest"
    assert [area.auc, area.low, area.high] == pytest.approx([first[end] for end in ("auc", "low", "high")])
    assert area.each == pytest.approx(first["each"])


def test_what_is_pooled_is_an_estimate_and_prints_in_a_line():
    found = pooling.geometric_mean([LogTime(0.0), LogTime(1.0)])
    assert found.estimate == Estimate(found.value, found.low, found.high)
    assert str(pooling.geometric_mean([LogTime(1.0, 1)])) == "> 2.72"
    assert str(pooling.geometric_mean([])) == "- (undetermined)"


def test_a_mean_of_nothing_rests_on_nothing():
    """As tables of older records have it, without the counts."""
    found = decode({"value": "nan", "low": "-inf", "high": "inf", "status": "undetermined"}, Pooled)
    assert (found.known, found.observed) == (0, 0)
