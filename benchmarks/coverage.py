"""How often the intervals of the times and of the laws hold the truth, by simulation.

    python benchmarks/coverage.py        (one core, under five minutes; writes
    results/benchmarks/coverage.json)

A right-censored answer holds the truth if its lower bound lies below it, a left-censored one if its
upper bound lies above. Readings of one run may share their noise along training or not; every study is
done both ways: "fresh" draws new samples at every snapshot, "shared" follows the same ones (each sample
turns once, at its own time).
"""

import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

from memhorizon.records.files import write_record
from memhorizon.records.table import TableRecord
from memhorizon.results import Curve, Estimate, Status, Time, two_sided
from memhorizon.timescales.collapse import _matched
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import (
    argmin_time,
    gap_opening_time,
    generalization_time,
    memorization_time,
)

Z95 = 1.959963984540054

# family: the memorized fraction at log step u, and the log step at which it is p; k sets the steepness
FAMILIES: dict[str, tuple[Callable, Callable]] = {
    "logistic": (lambda u, k: 1 / (1 + np.exp(-k * u)), lambda p, k: np.log(p / (1 - p)) / k),
    "gompertz": (lambda u, k: np.exp(-np.exp(-k * u)), lambda p, k: -np.log(-np.log(p)) / k),
    "weibull": (lambda u, k: -np.expm1(-np.exp(k * u)), lambda p, k: np.log(-np.log1p(-p)) / k),
    "piecewise linear": (lambda u, k: np.clip(0.5 + k * u / 4, 0, 1), lambda p, k: 4 * (p - 0.5) / k),
    "plateau at 0.6": (
        lambda u, k: 0.6 / (1 + np.exp(-k * u)),
        lambda p, k: np.log(p / (0.6 - p)) / k,
    ),
    "zero until an onset": (
        lambda u, k: -np.expm1(-k * np.maximum(np.expm1(u), 0)),
        lambda p, k: np.log1p(-np.log1p(-p) / k),
    ),
}
STEEPNESS = {"slow": 1.5, "steep": 5.0}
TOTALS = (100, 1000, 10_000)
SPACINGS = (1.1, 1.3, 2.0)
LEVELS = (0.01, 0.1, 0.5)
NOISES = ("fresh", "shared")


def counts(p, total: int, noise: str, generator: np.random.Generator):
    """Hits among `total` samples at each snapshot whose true fraction is p."""
    if noise == "fresh":
        return generator.binomial(total, p)
    return np.searchsorted(
        np.sort(generator.uniform(size=total)), p
    )  # sample i turns when p passes its own mark


def snapshots(tau: float, spacing: float, generator: np.random.Generator):
    """Log steps of a run: one in five ends before tau, one in twenty begins after it."""
    begin = tau - generator.uniform(0.5, 4) if generator.uniform() > 0.05 else tau + generator.uniform(0, 0.7)
    end = tau + generator.uniform(0, 2) if generator.uniform() > 0.2 else tau - generator.uniform(0, 0.7)
    return np.arange(begin, max(end, begin + 3 * np.log(spacing)), np.log(spacing))


def memorization_case(noise: str, generator: np.random.Generator, *, total=None, spacing=None, level=None):
    """One simulated curve: its labels, the answer and the true time."""
    family = str(generator.choice(list(FAMILIES)))
    steepness = str(generator.choice(list(STEEPNESS)))
    total = total or int(generator.choice(TOTALS))
    spacing = spacing or float(generator.choice(SPACINGS))
    level = level or float(generator.choice(LEVELS))
    fraction, inverse = FAMILIES[family]
    tau = float(inverse(level, STEEPNESS[steepness]))
    u = snapshots(tau, spacing, generator)
    value = counts(fraction(u, STEEPNESS[steepness]), total, noise, generator) / total
    curve = Curve(np.exp(u), value, value, value, total=np.full(len(u), float(total)))
    answer = memorization_time(curve, level=level)
    labels = {"family": family, "steepness": steepness, "total": total, "spacing": spacing, "level": level}
    return labels, answer, float(np.exp(tau))


def normal_noise(m: int, noise: str, generator: np.random.Generator):
    return generator.normal(size=m) if noise == "fresh" else np.full(m, generator.normal())


def quality_case(noise: str, generator: np.random.Generator):
    """A loss that falls as a power of the step and rises again as the training set is learned by heart."""
    spacing, relative = float(generator.choice(SPACINGS)), float(generator.choice((0.003, 0.01, 0.03)))
    power, rise = generator.uniform(0.3, 1.5), generator.uniform(0.3, 1.5)

    def loss(u):
        return 1 + np.exp(-power * u) + 0.02 * np.exp(rise * u)

    bottom = (np.log(power) - np.log(0.02 * rise)) / (power + rise)  # where the derivative of loss vanishes
    grid = np.linspace(-5, bottom, 20_001)
    level = 1.05 * float(loss(bottom))
    tau = float(np.interp(-level, -loss(grid), grid))
    u = np.arange(tau - generator.uniform(1, 4), bottom + generator.uniform(0.5, 3), np.log(spacing))
    error = relative * np.ones_like(u)
    value = loss(u) + error * normal_noise(len(u), noise, generator)
    curve = Curve.of_means(np.exp(u).tolist(), value.tolist(), error.tolist())
    labels = {"spacing": spacing, "relative error": relative}
    return labels, curve, level, float(np.exp(tau)), float(np.exp(bottom))


def generalization_case(noise: str, generator: np.random.Generator):
    labels, curve, level, tau, _ = quality_case(noise, generator)
    return labels, generalization_time(curve, level=level), tau


def argmin_case(noise: str, generator: np.random.Generator):
    labels, curve, _, _, bottom = quality_case(noise, generator)
    return labels, argmin_time(curve), bottom


def gap_case(noise: str, generator: np.random.Generator):
    """A gap that is closed at first and opens as a power of the step."""
    spacing, error = float(generator.choice(SPACINGS)), float(generator.choice((0.01, 0.03, 0.1)))
    power = generator.uniform(0.5, 3)
    u = np.arange(-generator.uniform(1, 4), generator.uniform(-0.5, 3), np.log(spacing))
    value = 0.1 * np.exp(power * u) + error * normal_noise(len(u), noise, generator)
    curve = Curve.of_means(np.exp(u).tolist(), value.tolist(), [error] * len(u))
    return {"spacing": spacing, "error": error}, gap_opening_time(curve, level=0.1), 1.0


def law_case(generator: np.random.Generator, *, scatter: float, error: float, last: float, seeds: int):
    """A fit of time = 30 n with four n, some runs cut off at `last`."""
    rows = []
    for n in np.repeat([32, 64, 128, 256], seeds):
        own = error * np.exp(0.3 * generator.normal())  # runs are not equally well read
        y = np.log(30 * n) + scatter * generator.normal() + own * generator.normal()
        if y > np.log(last):
            clock = Time(last, last * np.exp(-Z95 * own), np.inf, Status.NOT_REACHED)
        else:
            clock = Time(np.exp(y), np.exp(y - Z95 * own), np.exp(y + Z95 * own), Status.OBSERVED)
        rows.append({"n_train": int(n), "time": clock})
    return fit_scaling(rows)


LAWS = {
    "3 seeds": {"scatter": 0.15, "error": 0.0, "last": np.inf, "seeds": 3},
    "3 seeds, unequal errors": {"scatter": 0.1, "error": 0.1, "last": np.inf, "seeds": 3},
    "3 seeds, a quarter or more censored": {"scatter": 0.1, "error": 0.1, "last": 6000.0, "seeds": 3},
    "1 seed": {"scatter": 0.15, "error": 0.0, "last": np.inf, "seeds": 1},
}


def best_exponent(curves: Sequence[Curve], n: np.ndarray) -> Estimate:
    """The exponent at which `collapse_quality` is smallest: three curves or more, 95 %.

    It is the slope of the mean over v of log tau_j(v) on log n_j, so the interval is that of a regression
    with one point per curve.
    """
    matched = _matched(curves, n)
    line = stats.linregress(matched.log_factor, matched.log_step.mean(axis=1))
    slope = float(line.slope)
    half = two_sided(0.95, len(n) - 2) * float(line.stderr)
    return Estimate(slope, slope - half, slope + half)


def exponent_case(noise: str, generator: np.random.Generator):
    """Logistic curves at five n whose times go as n ** 0.8, with a scatter of 0.1."""
    n = np.array([32, 64, 128, 256, 512])
    curves = []
    for size in n:
        u = np.arange(np.log(50), np.log(50_000), np.log(1.3))
        p = 1 / (1 + np.exp(-3 * (u - np.log(30 * size**0.8) - 0.1 * generator.normal())))
        value = counts(p, 1000, noise, generator) / 1000
        curves.append(Curve(np.exp(u), value, value, value, total=np.full(len(u), 1000.0)))
    return best_exponent(curves, n)


def share(hits) -> dict:
    """A proportion with its standard error."""
    p, m = float(np.mean(hits)), len(hits)
    return {"coverage": round(p, 4), "standard_error": round(float(np.sqrt(p * (1 - p) / m)), 4), "curves": m}


def times_study(case: Callable, noise: str, size: int, seed: int, **fixed) -> dict:
    """Coverage over `size` curves, overall and by label, and what is typical of the observed answers."""
    generator = np.random.default_rng(seed)
    groups, lengths, errors = defaultdict(list), [], []
    for _ in range(size):
        labels, answer, tau = case(noise, generator, **fixed)
        hit = answer.low <= tau * (1 + 1e-9) and tau * (1 - 1e-9) <= answer.high
        for key in ("all", answer.status, *(f"{name} {value}" for name, value in labels.items())):
            groups[key].append(hit)
        if answer.observed:
            errors.append(np.log(answer.value / tau))
            lengths.append(np.log(answer.high / answer.low) if answer.low > 0 else np.inf)
    typical = {
        "median_log_length": round(float(np.median(lengths)), 4),
        "median_log_error": round(float(np.median(errors)), 4),
    }
    return {
        "overall": share(groups.pop("all")),
        **typical,
        "by": {k: share(groups[k]) for k in sorted(groups)},
    }


def main(size: int = 1000) -> dict:
    begin = time.process_time()
    studies: dict = {}
    for name, case, curves in (
        ("memorization_time", memorization_case, 4 * size),
        ("generalization_time", generalization_case, size),
        ("argmin_time", argmin_case, size),
        ("gap_opening_time", gap_case, size),
    ):
        studies[name] = {noise: times_study(case, noise, curves, seed=1) for noise in NOISES}
        print(name, {noise: studies[name][noise]["overall"]["coverage"] for noise in NOISES}, flush=True)
    studies["memorization_time by design"] = {
        f"total {total}, spacing {spacing:g}, level {level:g}": {
            noise: times_study(
                memorization_case, noise, size // 2, seed=2, total=total, spacing=spacing, level=level
            )["overall"]["coverage"]
            for noise in NOISES
        }
        for total in TOTALS
        for spacing in SPACINGS
        for level in LEVELS
    }
    studies["fit_scaling"] = {}
    for name, setting in LAWS.items():
        generator, hits, line = np.random.default_rng(3), [], []
        for _ in range(size // 2):
            law = law_case(generator, **setting)
            own, far = law.exponents["n_train"], law.predict(n_train=1024)
            hits.append(own.low <= 1 <= own.high)
            line.append(far.low <= 30 * 1024 <= far.high)
        studies["fit_scaling"][name] = {"exponent": share(hits), "line at n = 1024": share(line)}
        print(name, studies["fit_scaling"][name], flush=True)
    studies["best_exponent"] = {}
    for noise in NOISES:
        generator = np.random.default_rng(4)
        found = [exponent_case(noise, generator) for _ in range(size // 2)]
        studies["best_exponent"][noise] = share([own.low <= 0.8 <= own.high for own in found])
    return TableRecord(
        name="coverage",
        command="python benchmarks/coverage.py",
        columns={},
        settings={"nominal": 0.95},
        summary={"studies": studies},
        rows=(),
        environment={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        cpu_seconds=round(time.process_time() - begin, 1),
    )


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "results" / "benchmarks" / "coverage.json"
    print(write_record(main(), target))
