"""The random-features theory's first guess for the U-Nets on digits: their clocks up to one unit of time."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memhorizon.datasets.split import load_split
from memhorizon.figures.records import curve_of
from memhorizon.recipes.inputs import RESULTS
from memhorizon.recipes.noise_levels import clocks_at, holdout_level
from memhorizon.recipes.settings import DIGITS
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import as_time, geometric_mean, plain_time, ratio
from memhorizon.theory import FeatureModel, Spectrum, timescales
from memhorizon.theory.dynamics import initial_error
from memhorizon.timescales.power_law import fit_scaling

DIM = 64
POOL = 1797 - 256  # all digits that are not held out: their covariance stands for the population's
EVENTS = {  # of the theory: the clock of the runs that it is held against
    "half_gap": "tau_mem",
    "gap_level": "tau_mem",
    "tau_gen": "tau_gen",
    "argmin": "argmin",
    "opening": "opening",
}
UNIT = "half_gap"  # the event whose unit of time is used for all
GAP_LEVEL, TOLERANCE, SHARE = 0.05, 0.05, 0.1  # the last two as the clocks of the runs are read
Row = dict[str, Any]

COLUMNS = {
    "part": "model: the limit, times in tau; run: measured, in steps; comparison, ratio: of the two",
    "n_train": "number of training items",
    "seed": "run: its seed",
    "psi_n": "n_train/64",
    "psi_p": "features/64; features = network parameters/64 (as many trained numbers) or = parameters",
    "t": "diffusion time",
    "half_gap": "model: first time that L_gen reaches half of its end; stands for tau_mem",
    "gap_level": "model: first time that L_gen reaches 0.05; stands for tau_mem too",
    "tau_gen": "first time that the held-out loss reaches 1.05 times the worst of its minima over n",
    "argmin": "time of the smallest held-out loss",
    "opening": "first time that the gap reaches a tenth of the level of tau_gen",
    "tau_mem": "run: when the memorized fraction exceeds its null by a tenth",
    "holdout_min": "smallest held-out loss at t; model: of the best linear denoiser plus Delta times excess",
    "gap_end": "model: L_gen at the end of training",
    "status": "model: solved or not resolved",
    "event": "comparison: of the model",
    "clock": "comparison: of the runs",
    "exponent": "comparison: slope of the model's log time in log n over the n of the runs",
    "exponent_measured": "comparison: of the runs, with its 95 % interval",
    "doubling": "comparison: model's time at the next n over that at n, in order of n",
    "doubling_measured": "comparison: the same of the runs, geometric mean over seeds with its interval",
    "steps_per_tau": "comparison: unit of time that fits this event best, over all runs",
    "factor": "comparison: exp of the rms log distance of all runs from the model in this unit",
    "factor_one_unit": "comparison: the same in the unit of half_gap",
    "factor_constant": "comparison: the same for a time that does not depend on n",
    "factor_power": "comparison: the same for the best power of n (two numbers fitted)",
    "runs": "comparison: number of runs that enter, observed where the model has a time",
    "ratio": "ratio: tau_mem/tau_gen of the model, by half_gap; has no unit",
    "ratio_measured": "ratio: of the runs, geometric mean over seeds with its interval",
    "ratio_off": "ratio: the first over the value of the second",
    "holdout_off": "ratio: holdout_min of the model over that of the runs, likewise; nothing is fitted",
}


def parameters() -> int:
    """Number of trained numbers of the U-Net of the runs."""
    return sum(p.numel() for p in DIGITS.model.build((1, 8, 8), seed=0).parameters())


def digits_spectrum(nodes: int) -> Spectrum:
    """Covariance of all digits that are not held out, its 64 eigenvalues in at most `nodes` bins."""
    return Spectrum.from_data(load_split(replace(DIGITS.data, n_train=POOL)).train.numpy(), nodes=nodes)


def model_rows(sizes: Sequence[int], psi_p: float, t: float, spectrum: Spectrum) -> Iterator[Row]:
    """The times of the theory at every n, its levels set by the rules of the runs."""
    models = [FeatureModel(n / DIM, psi_p, t, spectrum=spectrum) for n in sizes]
    delta, floor = models[0].delta_t, 1 - models[0].delta_t * initial_error(models[0])
    first = [timescales(model, gap_level=GAP_LEVEL) for model in models]
    minima = [floor + delta * found.levels["E_min"] for found in first]
    level = (1 + TOLERANCE) * max(minima)
    score = (level - floor) / delta * models[0].total_variance
    for n, model, found, smallest in zip(sizes, models, first, minima, strict=True):
        again = timescales(model, score_level=score, gap_level=SHARE * level)
        yield {
            "part": "model",
            "n_train": n,
            "psi_n": model.psi_n,
            "psi_p": psi_p,
            "t": t,
            "half_gap": found.others["gap_50"].value,
            "gap_level": found.tau_mem.value,
            "tau_gen": again.tau_gen.value,
            "argmin": found.others["argmin"].value,
            "opening": again.tau_mem.value,
            "holdout_min": smallest,
            "gap_end": found.levels["L_gen_inf"],
            "status": again.status,
        }


def run_rows(record: Mapping[str, Any], t: float) -> Iterator[Row]:
    """The clocks of every run at one noise level."""
    level = holdout_level(record, t)
    for run in record["runs"]:
        clocks = clocks_at(run, t, level, level)
        yield {
            "part": "run",
            **{name: run[name] for name in ("n_train", "seed")},
            "t": t,
            **{name: plain_time(clocks[name]) for name in ("tau_mem", "tau_gen", "argmin", "opening")},
            "holdout_min": curve_of(run, f"holdout@{t:g}").value.min(),
        }


def paired_logs(models: Sequence[Row], runs: Sequence[Row], event: str) -> np.ndarray:
    """Log n, log time of the model and of the run [3, m], of all runs where both were seen."""
    times = {row["n_train"]: row[event] for row in models if np.isfinite(row[event])}
    own = [r for r in runs if r[EVENTS[event]]["status"] == "observed" and r["n_train"] in times]
    points = [(r["n_train"], times[r["n_train"]], r[EVENTS[event]]["value"]) for r in own]
    return np.log(np.array(points).reshape(-1, 3)).T


def comparison(models: Sequence[Row], runs: Sequence[Row], event: str) -> Row:
    """One event of the model beside its clock of the runs, at one psi_p and t."""
    n, model, run = paired_logs(models, runs, event)
    anchor = paired_logs(models, runs, UNIT)
    distance = run - model
    times = [row[event] for row in sorted(models, key=lambda row: row["n_train"])]
    clock = EVENTS[event]
    return {
        "part": "comparison",
        "psi_p": models[0]["psi_p"],
        "t": models[0]["t"],
        "event": event,
        "clock": clock,
        "exponent": np.polyfit(n, model, 1)[0],
        "exponent_measured": measured_exponent(runs, clock),
        "doubling": [after / before for before, after in zip(times[:-1], times[1:], strict=True)],
        "doubling_measured": doublings(runs, clock),
        "steps_per_tau": math.exp(distance.mean()),
        "factor": spread(distance - distance.mean()),
        "factor_one_unit": spread(distance - (anchor[2] - anchor[1]).mean()),
        "factor_constant": spread(run - run.mean()),
        "factor_power": spread(run - np.polyval(np.polyfit(n, run, 1), n)),
        "runs": len(n),
    }


def spread(distance: np.ndarray) -> float:
    """A root mean square of logs as a factor."""
    return math.exp(math.sqrt(np.mean(distance**2)))


def measured_exponent(runs: Sequence[Row], clock: str) -> Row:
    """Power of n of a clock of the runs, by the package's own fit."""
    points = [{"n_train": r["n_train"], "time": as_time(r[clock])} for r in runs]
    power = fit_scaling(points).exponents["n_train"]
    return {name: getattr(power, name) for name in ("value", "low", "high")}


def doublings(runs: Sequence[Row], clock: str) -> list[Row]:
    """Time at the next n over that at n, seed by seed."""
    by = {(r["n_train"], r["seed"]): r[clock] for r in runs}
    sizes, seeds = sorted({n for n, _ in by}), sorted({seed for _, seed in by})
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    return [geometric_mean([ratio(by[b, s], by[a, s]) for s in seeds]) for a, b in pairs]


def ratio_rows(models: Sequence[Row], runs: Sequence[Row]) -> Iterator[Row]:
    """The share of the two clocks at every n, which needs no unit."""
    for row in models:
        own = [r for r in runs if r["n_train"] == row["n_train"]]
        predicted = row[UNIT] / row["tau_gen"]
        measured = geometric_mean([ratio(r["tau_mem"], r["tau_gen"]) for r in own])
        off = [(math.log(row["holdout_min"] / r["holdout_min"]), 0) for r in own]
        yield {
            "part": "ratio",
            **{name: row[name] for name in ("n_train", "psi_p", "t")},
            "ratio": predicted,
            "ratio_measured": measured,
            "ratio_off": predicted / measured["value"] if measured["status"] == "observed" else math.nan,
            "holdout_off": geometric_mean(off),
        }


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """Where model and runs agree and where not, by psi_p and t: exponents, factors, ratios of the clocks."""
    found: Row = {}
    names = ("exponent", "exponent_measured", "factor", "factor_one_unit", "factor_constant", "factor_power")
    for row in rows:
        if row["part"] not in ("comparison", "ratio"):
            continue
        own = found.setdefault("psi_p = {psi_p:.4g}, t = {t:g}".format(**row), {})
        if row["part"] == "comparison":
            power = row["exponent_measured"]
            inside = {"exponent inside the interval": power["low"] <= row["exponent"] <= power["high"]}
            own["{event} for {clock}".format(**row)] = {name: row[name] for name in names} | inside
        else:
            own.setdefault("tau_mem/tau_gen, model over runs, by n", []).append(row["ratio_off"])
            own.setdefault("smallest held-out loss, model over runs, by n", []).append(row["holdout_off"])
    return found


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/beside_digits.json. Two minutes on one core; seconds when tiny."""
    record = json.loads((results / "n_digits.json").read_text(encoding="utf-8"))
    sizes, count = sorted({run["n_train"] for run in record["runs"]}), parameters()
    features = (count / DIM**2,) if tiny else (count / DIM**2, count / DIM)
    levels, spectrum = (0.3,) if tiny else (0.01, 0.1, 0.3), digits_spectrum(6 if tiny else 24)

    def rows() -> Iterator[Row]:
        for t in levels:
            runs = list(run_rows(record, t))
            yield from runs
            for psi_p in features:
                models = list(model_rows(sizes, psi_p, t, spectrum))
                yield from models
                yield from (comparison(models, runs, event) for event in EVENTS)
                yield from ratio_rows(models, runs)

    settings = {
        "input": record["command"],
        "parameters": count,
        "dim": DIM,
        "spectrum": {"eigenvalues": spectrum.eigenvalues, "weights": spectrum.weights},
        "activation": "tanh",
        "optimizers": "gradient flow in the theory; in the runs Adam, minibatches, all noise levels at once",
    }
    return write_record(
        out, "beside_digits", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny
    )
