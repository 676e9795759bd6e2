"""Power laws of censored times: against ordinary and weighted regression, a slow twin, and by coverage."""

import runpy
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from evidence_records import SWEEPS, read
from memhorizon.errors import InputError
from memhorizon.results import Status, Time
from memhorizon.timescales.likelihood import Fit, LogTimes
from memhorizon.timescales.power_law import fit_scaling

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "coverage.py"), run_name="study")
N = np.repeat([32, 64, 128, 256], 3)
Z95 = stats.norm.ppf(0.975)


def clock(value, status="observed", error=0.0, confidence=0.95):
    """A time whose log has this standard deviation."""
    spread = np.exp(Z95 * error)
    low = 0.0 if status == "before first" else value / spread
    high = np.inf if status == "not reached" else value * spread
    return Time(value, low, high, Status(status), "", confidence)


def rows_of(values, errors=None, n=N, statuses=None):
    errors = np.zeros(len(values)) if errors is None else errors
    statuses = ["observed"] * len(values) if statuses is None else statuses
    return [
        {"n_train": int(size), "time": clock(float(v), s, float(e))}
        for size, v, e, s in zip(n, values, errors, statuses, strict=True)
    ]


def drawn(seed, scatter=0.2):
    return 30 * N * np.exp(scatter * np.random.default_rng(seed).normal(size=len(N)))


# --- other roads to the same numbers ---


def test_without_censoring_it_is_the_textbook_regression():
    """Slope, its t interval, the scatter and the interval of the line, all in closed form."""
    values = drawn(0)
    law, fit = fit_scaling(rows_of(values)), stats.linregress(np.log(N), np.log(values))
    t = stats.t.ppf(0.975, 10)
    own = law.exponents["n_train"]
    assert own.value == pytest.approx(fit.slope, abs=1e-6)
    assert own.low == pytest.approx(fit.slope - t * fit.stderr, abs=1e-4 * fit.stderr)
    assert own.high == pytest.approx(fit.slope + t * fit.stderr, abs=1e-4 * fit.stderr)
    assert law.log_prefactor == pytest.approx(fit.intercept, abs=1e-5)
    assert law.explained == pytest.approx(fit.rvalue**2, abs=1e-6)
    residual = np.log(values) - fit.intercept - fit.slope * np.log(N)
    scatter = np.sqrt(residual @ residual / 10)
    assert law.scatter == pytest.approx(scatter, rel=1e-4)
    line, x = law.predict(n_train=1024), np.log(1024) - np.log(N).mean()
    half = t * scatter * np.sqrt(1 / 12 + x**2 / np.sum((np.log(N) - np.log(N).mean()) ** 2))
    assert np.log(line.high / line.low) == pytest.approx(2 * half, rel=1e-3)
    assert (law.observed, law.censored, law.degrees, law.status) == (12, 0, 10, "fitted")


def test_known_errors_without_scatter_weight_the_rows():
    """Values that scatter less than their unequal errors: scatter 0, weighted least squares remains."""
    errors = np.where(np.arange(12) % 3 == 0, 0.05, 0.5)
    y = np.log(30 * N) + 0.3 * errors * np.where(np.arange(12) % 2, 1, -1)
    law = fit_scaling(rows_of(np.exp(y), errors))
    slope, cut = np.polyfit(np.log(N), y, 1, w=1 / errors)
    own, x = law.exponents["n_train"], np.log(N)
    assert law.scatter == 0
    assert own.value == pytest.approx(slope, abs=1e-5)
    assert law.log_prefactor == pytest.approx(cut, abs=1e-4)
    spread = (x - np.average(x, weights=errors**-2)) / errors
    shortest = 2 * np.sqrt(12 * np.log1p(stats.t.ppf(0.975, 10) ** 2 / 10) / (spread @ spread))
    assert own.high - own.low >= shortest * (1 - 1e-4)  # were the scatter known to be 0


def twin(rows, parameters):
    """Minus the log likelihood of a censored regression, written plainly."""
    cut, slope, log_scatter = parameters
    total = 0.0
    for row in rows:
        own, centre = row["time"], cut + slope * np.log(row["n_train"])
        error = {"not reached": own.value / max(own.low, 1e-300), "observed": own.high / own.value}.get(
            own.status, 1
        )
        sd = np.hypot(np.exp(log_scatter), np.log(error) / Z95)
        y = np.log(own.value)
        if own.status == "observed":
            total -= stats.norm.logpdf(y, centre, sd)
        elif own.status == "not reached":
            total -= stats.norm.logsf(y, centre, sd)
        else:
            total -= stats.norm.logcdf(y, centre, sd)
    return total


def censored_rows(seed):
    values, generator = drawn(seed), np.random.default_rng(seed)
    late, early = values > 4500, values < 1100
    statuses = np.where(late, "not reached", np.where(early, "before first", "observed"))
    errors = np.where(early, 0.0, generator.uniform(0.02, 0.2, size=12))
    return rows_of(np.clip(values, 1100, 4500), errors, statuses=statuses.tolist())


@pytest.mark.parametrize(
    "rows", [censored_rows(2), censored_rows(3), rows_of(drawn(8, 0.1), [0.05, 0.2] * 6)]
)
def test_fit_is_the_maximum_of_a_plainly_written_likelihood(rows):
    """Both the estimate and the ends of its interval, by a simplex from many starts."""
    law = fit_scaling(rows)

    def lowest(free, starts):
        options = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 3000, "maxfev": 3000}
        runs = [optimize.minimize(free, s, method="Nelder-Mead", options=options) for s in starts]
        return min(runs, key=lambda run: run.fun)

    cuts = [(law.log_prefactor + 0.3, law.exponents["n_train"].value - 0.1, s) for s in (-4.0, -1.5)]
    best = lowest(lambda q: twin(rows, q), cuts)
    # the simplex ends where the likelihood differs by rounding: sqrt(1e-11) of a standard error of about 0.1
    assert law.exponents["n_train"].value == pytest.approx(best.x[1], abs=1e-4)
    assert law.log_prefactor == pytest.approx(best.x[0], abs=5e-4)
    t2 = stats.t.ppf(0.975, law.degrees) ** 2 / law.degrees
    for end in (law.exponents["n_train"].low, law.exponents["n_train"].high):
        cut = best.x[0] + (best.x[1] - end) * np.log(90)
        profile = lowest(lambda q, end=end: twin(rows, (q[0], end, q[1])), [(cut, -4.0), (cut, -1.5)])
        assert profile.fun == pytest.approx(best.fun + 0.5 * law.observed * np.log1p(t2), abs=1e-4)


def test_ignoring_censoring_would_bias_the_exponent():
    """The censored fit keeps the exponent that is lost when bounds are taken for times."""
    found, trusted, generator = [], [], np.random.default_rng(5)
    for _ in range(25):
        values = 30 * N * np.exp(0.3 * generator.normal(size=12))
        late = values > 4500
        statuses = np.where(late, "not reached", "observed").tolist()
        found.append(
            fit_scaling(rows_of(np.minimum(values, 4500), statuses=statuses)).exponents["n_train"].value
        )
        trusted.append(fit_scaling(rows_of(np.minimum(values, 4500))).exponents["n_train"].value)
    error = np.std(found) / np.sqrt(25)
    assert np.mean(found) == pytest.approx(1, abs=4 * error)
    assert np.mean(trusted) < 1 - 8 * error


def test_two_factors_are_told_apart():
    rows = [
        {"n_train": n, "width": w, "time": clock(7.0 * n * w**-0.5 * (1.05 if (n + w) % 3 else 0.95))}
        for n in (32, 64, 128)
        for w in (16, 32, 64)
    ]
    law = fit_scaling(rows, by=("n_train", "width"))
    # the wiggle of +-5 % over factors of 4 in either direction moves an exponent by less than 0.05 / log 2
    assert law.exponents["n_train"].value == pytest.approx(1.0, abs=0.05 / np.log(2))
    assert law.exponents["width"].value == pytest.approx(-0.5, abs=0.05 / np.log(2))
    assert law.predict(n_train=64, width=32).value == pytest.approx(7 * 64 / 32**0.5, rel=0.06)


def test_pairs_are_rows_and_order_does_not_matter():
    rows = rows_of(drawn(4), np.full(12, 0.1))
    pairs = [({"n_train": row["n_train"]}, row["time"]) for row in reversed(rows)]
    one, other = fit_scaling(rows).exponents["n_train"], fit_scaling(pairs).exponents["n_train"]
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-5)


# --- the edges ---


def test_an_exact_power_law_has_no_scatter_and_no_width():
    law = fit_scaling(rows_of(2.0 * N**1.3))
    own = law.exponents["n_train"]
    assert own.value == pytest.approx(1.3, abs=1e-6)
    assert own.high - own.low < 1e-5
    assert law.scatter == 0
    assert law.explained == pytest.approx(1)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_too_few_observed_times_give_no_numbers(seen):
    n = np.array([32, 64, 128, 256])
    statuses = ["observed"] * seen + ["not reached"] * (4 - seen)
    law = fit_scaling(rows_of(30 * n, n=n, statuses=statuses))
    own = law.exponents["n_train"]
    assert law.status is Status.NOT_FITTED
    assert np.isnan(own.value)
    assert (own.low, own.high) == (-np.inf, np.inf)
    assert (law.observed, law.censored) == (seen, 4 - seen)


def test_observed_at_one_n_alone_gives_no_exponent():
    law = fit_scaling(
        rows_of([900, 950, 1000, 2000], n=[32, 32, 32, 64], statuses=["observed"] * 3 + ["not reached"])
    )
    assert (law.status, law.note) == ("not fitted", "the observed times do not vary in every factor")


def test_mostly_censored_is_said():
    statuses = ["observed"] * 4 + ["not reached"] * 8
    law = fit_scaling(rows_of(np.minimum(drawn(6), 2000), statuses=statuses))
    assert law.status is Status.MOSTLY_CENSORED


def test_a_row_whose_interval_bounds_nothing_weighs_nothing():
    rows = rows_of(drawn(7))
    wild = {"n_train": 256, "time": Time(1.0, 0.0, np.inf, Status.OBSERVED, "")}
    with_it, without = fit_scaling([*rows, wild]), fit_scaling(rows)
    assert with_it.exponents["n_train"].value == pytest.approx(without.exponents["n_train"].value, abs=0.01)


@pytest.mark.parametrize("name", STUDY["LAWS"])
def test_exponents_are_covered_as_often_as_stated(name):
    """Forty fits of 4 to 12 points; a count is rejected at one in a thousand on either side of 92 to 98 %."""
    generator, hits = np.random.default_rng(12), 0
    for _ in range(40):
        own = STUDY["law_case"](generator, **STUDY["LAWS"][name]).exponents["n_train"]
        hits += own.low <= 1 <= own.high
    assert stats.binom.cdf(hits, 40, 0.92) > 1e-3
    assert stats.binom.sf(hits - 1, 40, 0.98) > 1e-3


GOOD = rows_of(30.0 * N)
BAD = {
    "no rows": lambda: fit_scaling([]),
    "no factors": lambda: fit_scaling(GOOD, by=()),
    "a single n": lambda: fit_scaling(rows_of(np.arange(1.0, 13), n=[32] * 12)),
    "one row": lambda: fit_scaling(GOOD[:1]),
    "confounded factors": lambda: fit_scaling(
        [{**row, "width": 2 * row["n_train"]} for row in GOOD], by=("n_train", "width")
    ),
    "missing factor": lambda: fit_scaling(GOOD, by=("width",)),
    "missing time": lambda: fit_scaling([{"n_train": 32}, {"n_train": 64}]),
    "n of zero": lambda: fit_scaling([*GOOD, {"n_train": 0, "time": clock(1.0)}]),
    "negative n": lambda: fit_scaling([*GOOD, {"n_train": -4, "time": clock(1.0)}]),
    "nan factor": lambda: fit_scaling([*GOOD, {"n_train": np.nan, "time": clock(1.0)}]),
    "time of zero": lambda: fit_scaling(
        [*GOOD, {"n_train": 32, "time": Time(0.0, 0.0, 1.0, Status.OBSERVED, "")}]
    ),
    "negative time": lambda: fit_scaling(
        [*GOOD, {"n_train": 32, "time": Time(-1.0, 0.0, 1.0, Status.OBSERVED, "")}]
    ),
    "nan time": lambda: fit_scaling(
        [*GOOD, {"n_train": 32, "time": Time(np.nan, 0.0, 1.0, Status.OBSERVED, "")}]
    ),
    "mixed confidence": lambda: fit_scaling([*GOOD, {"n_train": 32, "time": clock(9.0, confidence=0.9)}]),
    "confidence above 1": lambda: fit_scaling(GOOD, confidence=95.0),
    "confidence in words": lambda: past_the_checker(GOOD, confidence="a"),
    "no list of factors": lambda: past_the_checker(GOOD, by=None),
    "a number of factors": lambda: past_the_checker(GOOD, by=5),
    "no list of rows": lambda: past_the_checker(None),
    "a row of None": lambda: past_the_checker([*GOOD, None]),
    "a row in words": lambda: past_the_checker([*GOOD, "abc"]),
    "an empty row": lambda: past_the_checker([*GOOD, ()]),
    "a time that is a number": lambda: past_the_checker([*GOOD, {"n_train": 32, "time": 5.0}]),
    "a time of None": lambda: past_the_checker([*GOOD, ({"n_train": 32}, None)]),
    "a factor in words": lambda: past_the_checker([*GOOD, {"n_train": "a", "time": clock(1.0)}]),
    "a factor of None": lambda: past_the_checker([*GOOD, {"n_train": None, "time": clock(1.0)}]),
    "a factor in a list": lambda: past_the_checker([*GOOD, {"n_train": [1], "time": clock(1.0)}]),
    "a factor beyond numbers": lambda: past_the_checker([*GOOD, {"n_train": 10**400, "time": clock(1.0)}]),
}


def past_the_checker(*rows, **options):
    """The function without the checker of annotations, which runs in tests only."""
    return getattr(fit_scaling, "__wrapped__", fit_scaling)(*rows, **options)


def test_a_row_without_a_time_counts_nowhere_it_may_stand():
    """Its confidence is 0.95, that of the times here 0.8: the errors are those of the times."""
    read = [(8, 9.0, 1.1), (16, 12.0, 2.0), (32, 40.0, 1.2), (64, 50.0, 1.5)]  # n, time, a factor either way
    rows = [{"n_train": n, "time": Time(t, t / f, t * f, Status.OBSERVED, "", 0.8)} for n, t, f in read]
    lost = {"n_train": 32, "time": Time.unknown(Status.STILL_IMPROVING, "")}
    first, last = fit_scaling([lost, *rows]), fit_scaling([*rows, lost])
    # The two searches begin apart by rounding and end where the gradient is below 1e-7, an end to 1e-5.
    ends = [(own.low, own.value, own.high) for law in (first, last) for own in law.exponents.values()]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)
    assert first.scatter == pytest.approx(last.scatter, rel=1e-4)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_error(case):
    with pytest.raises(InputError, match="expected|lacks|not identified"):
        BAD[case]()


def test_the_hazard_of_a_bound_far_out_is_that_of_many_digits():
    """phi(u) / Phi(u): a difference of logarithms loses it where u is -1e4, which the search does try."""
    u = np.array([-1e4, -50.0, -3.0, 0.0, 3.0, 30.0])
    rows = LogTimes(u, u, -np.ones(6), u[:, None])
    with mpmath.workdps(50):
        wanted = [float(mpmath.npdf(x) / mpmath.ncdf(x)) for x in u]
    np.testing.assert_allclose(rows._tail(u)[1], wanted, rtol=1e-9)


def curvatures(bounds):
    """Minus the second derivatives of log Phi at minus these lower bounds of a standard normal variable."""
    rows = LogTimes(bounds, np.zeros_like(bounds), np.ones_like(bounds), np.ones((len(bounds), 1)))
    return rows.information(Fit(np.zeros(1), 0.0, 0.0)).weights


def test_the_curvature_of_a_bound_far_out_is_that_of_many_digits():
    """h (h + u), h = phi(u) / Phi(u), loses 1e-16 u^2; beyond 1e8 it is noise, but log Phi stays concave."""
    bounds = np.array([-30.0, -3.0, 0.0, 3.0, 50.0, 1e3])
    with mpmath.workdps(50):
        hazards = [mpmath.npdf(u) / mpmath.ncdf(u) for u in -bounds]
        wanted = [float(h * (h + u)) for h, u in zip(hazards, -bounds, strict=True)]
    np.testing.assert_allclose(curvatures(bounds), wanted, rtol=1e-9, atol=1e-300)
    far = curvatures(np.geomspace(1e3, 1e12, 400))
    assert np.all((far >= 0) & (far <= 1))


def test_a_search_that_starts_at_no_scatter_beside_bounds_stays_finite():
    values = 30.0 * N**1.1
    statuses = ["observed"] * (len(N) - 3) + ["not reached"] * 3
    with np.errstate(all="raise", under="ignore"):
        law = fit_scaling(rows_of(np.minimum(values, 400), statuses=statuses))
    assert law.censored == 3


@pytest.mark.parametrize(
    "rule", ["exact", "all at one time", "a bound away from all", "exact times, wild bounds"]
)
@pytest.mark.parametrize("by", [("n_train",), ("n_train", "width")])
def test_the_covariance_is_positive_where_the_scatter_is_nothing(rule, by):
    """At the edge of the likelihood no root may rest on the sign of a rounding error."""
    values = {"exact": 30.0 * N, "a bound away from all": 30.0 * N}.get(rule, np.minimum(30.0 * N**1.1, 400))
    statuses = ["observed"] * 9 + ["observed" if rule == "exact" else "not reached"] * 3
    errors = [0.0] * 9 + [{"exact times, wild bounds": 50.0}.get(rule, 0.0)] * 3
    rows = rows_of(values, errors, statuses=statuses)
    rows = [{**row, "width": (8, 16, 32)[i % 3]} for i, row in enumerate(rows)]
    with np.errstate(all="raise", under="ignore"):
        law = fit_scaling(rows, by=by)
    assert law.status == "fitted"
    np.linalg.cholesky(law.covariance)  # raises where it is not positive
    for own in law.exponents.values():
        assert own.low <= own.value <= own.high


def test_the_covariance_is_the_inverse_of_a_differenced_information():
    """Away from the edge: against second differences of the twin's likelihood, all three parameters free.

    A difference over 2 h errs by h^2 / 3 of the fourth derivative, which is at most 100 times the second here
    (a row lies within a standard deviation of 0.1 to 0.2): 3e-5 at h = 1e-3, the inverse some times that.
    """
    rows = censored_rows(2)
    law = fit_scaling(rows)
    scatter = law.scatter * np.sqrt(law.degrees / law.observed)
    best = np.array([law.log_prefactor, law.exponents["n_train"].value, np.log(scatter)])
    h = 1e-3
    steps = h * np.eye(3)
    hessian = [
        [
            sum(a * b * twin(rows, best + a * p + b * q) for a in (-1, 1) for b in (-1, 1)) / (4 * h**2)
            for q in steps
        ]
        for p in steps
    ]
    wanted = np.linalg.inv(hessian)[:2, :2] * law.observed / law.degrees
    np.testing.assert_allclose(law.covariance, wanted, rtol=1e-3)


@pytest.mark.parametrize("confidence", [1e-12, 0.5, 1 - 1e-16])
def test_any_confidence_has_its_interval(confidence):
    own = fit_scaling(rows_of(drawn(9)), confidence=confidence).exponents["n_train"]
    fit = stats.linregress(np.log(N), np.log(drawn(9)))
    half = stats.t.isf((1 - confidence) / 2, 10) * fit.stderr
    assert own.high - own.low == pytest.approx(2 * half, rel=1e-3, abs=1e-6)


def test_a_law_says_infinity_beyond_the_largest_number():
    law = fit_scaling(rows_of(1e-200 * np.exp(2.0 * N)))
    assert law.predict(n_train=1e9).high == np.inf
    assert fit_scaling(rows_of(np.full(12, 400.0))).predict(n_train=1e-9).value == pytest.approx(400)


def test_times_that_are_all_one_have_no_share_explained():
    assert np.isnan(fit_scaling(rows_of(np.full(12, 1 / 3))).explained)


def test_factors_that_differ_by_rounding_do_not_vary():
    with pytest.raises(InputError, match="not identified"):
        fit_scaling(rows_of(drawn(1), n=10**12 + np.arange(12)))


def test_rows_without_a_time_are_left_out_and_counted():
    lost = [
        {"n_train": 64, "time": Time.unknown(Status.STILL_IMPROVING, "")},
        {"n_train": 999, "time": Time.unknown(Status.TRIVIAL_LEVEL, "")},
        {"n_train": 32, "time": Time.unknown(Status.STILL_IMPROVING, "")},
    ]
    law, without = fit_scaling([*GOOD, *lost]), fit_scaling(GOOD)
    assert law.exponents["n_train"].value == pytest.approx(without.exponents["n_train"].value, abs=1e-6)
    assert (law.observed, law.censored, law.left_out) == (12, 0, 3)
    assert (law.status, law.note) == ("fitted", "left out: 2 still improving, 1 trivial level")
    assert without.left_out == 0
    assert fit_scaling([*GOOD[:3], *lost]).note.startswith("the observed times do not vary")
    nothing = fit_scaling(lost)
    assert (nothing.observed, nothing.left_out) == (0, 3)
    assert np.isnan(nothing.predict(n_train=10).value)


@pytest.mark.parametrize("record", [name for name in SWEEPS if "_mixture" in name])
def test_the_laws_of_committed_records_follow_from_their_times(record):
    made = read(record)
    for name in made.laws.keys() & {"tau_gen", "tau_mem"}:
        follows_from_its_times(made, name)


def test_half_of_the_committed_records_have_laws():
    assert sum(bool(read(name).laws) for name in SWEEPS) >= len(SWEEPS) / 2


def follows_from_its_times(made, name):
    """An end of an interval is sought to 1e-5 of half its length, on any machine."""
    kept = made.laws[name]
    by = list(kept.exponents)
    times = [getattr(run.timescales, name) for run in made.runs]
    factors = [{factor: run.factor(factor) for factor in by} for run in made.runs]
    law = fit_scaling(list(zip(factors, times, strict=True)), by=by)
    assert (law.status, law.observed, law.censored) == (kept.status, kept.observed, kept.censored)
    for factor in by:
        found, before = law.exponents[factor], kept.exponents[factor]
        close = {"abs": 1e-4 * (before.high - before.low)}
        assert [found.value, found.low, found.high] == pytest.approx(
            [before.value, before.low, before.high], nan_ok=not kept.observed, **close
        )


def test_one_name_is_no_sequence_of_names():
    with pytest.raises(InputError, match=r"by: expected names of factors, such as .*got 'n_train'"):
        fit_scaling([{"n_train": 2, "time": Time(1.0, 1.0, 1.0, Status.OBSERVED)}], by="n_train")
