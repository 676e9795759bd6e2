"""The theory beside the runs: planted runs are matched exactly, and its times hold on its own curves."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from memhorizon import figures
from memhorizon.theory import FeatureModel, Spectrum, loss_curves

ROOT = Path(__file__).parents[2]
SIZES = (16, 32, 64, 128)


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from memhorizon.recipes import theory_beside_digits

    return theory_beside_digits


@pytest.fixture(scope="module")
def spectrum():
    return Spectrum.atoms([0.02, 0.2, 1.0], [0.5, 0.3, 0.2], gaussian=False)


def observed(value):
    return {"value": value, "low": value / 1.01, "high": value * 1.01, "status": "observed"}


def runs_like(models, factors, seeds=(0, 1)):
    """Runs whose clocks are the model's times the factor of each."""
    return [
        {
            "part": "run",
            "n_train": row["n_train"],
            "seed": seed,
            "t": row["t"],
            "holdout_min": row["holdout_min"],
        }
        | {clock: observed(factor * row[event]) for event, (clock, factor) in factors.items()}
        for row in models
        for seed in seeds
    ]


def test_runs_that_obey_the_theory_up_to_a_unit_are_at_distance_one(recipe, spectrum):
    models = list(recipe.model_rows(SIZES, 8.0, 0.3, spectrum))
    factors = {"half_gap": ("tau_mem", 37.0), "tau_gen": ("tau_gen", 37.0), "argmin": ("argmin", 74.0)}
    runs = runs_like(models, factors)
    for event in factors:
        found = recipe.comparison(models, runs, event)
        assert found["steps_per_tau"] == pytest.approx(factors[event][1])
        assert found["factor"] == pytest.approx(1)
        assert found["factor_one_unit"] == pytest.approx(2 if event == "argmin" else 1)
        assert found["exponent_measured"]["value"] == pytest.approx(found["exponent"], abs=1e-3)
        assert [d["value"] for d in found["doubling_measured"]] == pytest.approx(found["doubling"])
        assert found["runs"] == 8
    for row in recipe.ratio_rows(models, runs):
        assert row["ratio_measured"]["value"] == pytest.approx(row["ratio"])
        assert row["holdout_off"]["value"] == pytest.approx(1)


def test_a_power_law_beside_the_theory_is_off_by_the_scatter_of_its_logs(recipe):
    models = [{"n_train": n, "psi_p": 1.0, "t": 0.3, "half_gap": 1.0} for n in (10, 1000)]
    runs = [{"n_train": n, "seed": 0, "tau_mem": observed(float(n))} for n in (10, 1000)]
    *_, run = recipe.paired_logs(models, runs, "half_gap")
    assert recipe.spread(run - run.mean()) == pytest.approx(10)  # ten times too small and too large


def test_a_censored_clock_does_not_enter(recipe):
    models = [{"n_train": n, "half_gap": float(n)} for n in (16, 32)]
    late = {"value": 9.0, "low": 9.0, "high": None, "status": "not reached"}
    runs = [{"n_train": 16, "seed": 0, "tau_mem": observed(3.0)}, {"n_train": 32, "seed": 0, "tau_mem": late}]
    n, model, run = recipe.paired_logs(models, runs, "half_gap")
    assert (n, model, run) == (pytest.approx([math.log(16)]), [math.log(16)], pytest.approx([math.log(3)]))


def test_the_levels_are_met_on_the_curves_of_the_limit(recipe, spectrum):
    models = list(recipe.model_rows(SIZES, 8.0, 0.3, spectrum))
    level = 1.05 * max(row["holdout_min"] for row in models)
    for row in models:
        model = FeatureModel(row["psi_n"], row["psi_p"], row["t"], spectrum=spectrum)
        tau = [row["half_gap"], row["tau_gen"], row["argmin"], row["opening"], np.inf]
        curves = loss_curves(model, [value if np.isfinite(value) else np.inf for value in tau])
        assert curves.L_gen[0] == pytest.approx(row["gap_end"] / 2, rel=1e-8)
        assert curves.L_test[1] == pytest.approx(level, rel=1e-8)
        assert curves.L_test[2] == pytest.approx(row["holdout_min"], rel=1e-8)
        assert curves.L_gen[4] == pytest.approx(row["gap_end"], rel=1e-8)
        if np.isfinite(row["opening"]):
            assert curves.L_gen[3] == pytest.approx(0.1 * level, rel=1e-8)


def test_the_bins_keep_the_trace_of_the_covariance_of_the_digits(recipe):
    from dataclasses import replace

    from memhorizon.datasets.split import load_split

    split = load_split(replace(recipe.DIGITS.data, n_train=recipe.POOL))
    x = split.train.flatten(1).double().numpy()
    assert len(x) + len(split.holdout) == 1797
    trace = np.trace(np.cov(x, rowvar=False, bias=True)) / 64
    assert recipe.digits_spectrum(6).variance == pytest.approx(trace, rel=1e-5)
    assert recipe.digits_spectrum(24).variance == pytest.approx(trace, rel=1e-5)


def test_the_committed_record_holds_the_exponents_of_the_sweep():
    record = json.loads((ROOT / "results" / "theory" / "beside_digits.json").read_text())
    sweep = json.loads((ROOT / "results" / "n_digits.json").read_text())
    for row in (r for r in record["rows"] if r["part"] == "comparison" and r["t"] == 0.3):
        if row["clock"] in sweep["laws"]:
            recorded = sweep["laws"][row["clock"]]["exponents"]["n_train"]
            for name in ("value", "low", "high"):
                assert row["exponent_measured"][name] == pytest.approx(recorded[name], abs=1e-4)


def test_the_drawn_theory_is_in_the_unit_that_fits_tau_mem():
    record = json.loads((ROOT / "results" / "theory" / "beside_digits.json").read_text())
    picture = figures.of(record)["times"]
    low = min(row["psi_p"] for row in record["rows"] if "psi_p" in row)
    drawn = [np.asarray(line.get_ydata()) for line in picture.plot().axes[0].lines]
    own = [r for r in record["rows"] if (r["part"], r["t"], r.get("psi_p")) == ("model", 0.01, low)]
    measured = [r["tau_mem"]["value"] for r in record["rows"] if r["part"] == "run" and r["t"] == 0.01]
    each = len(measured) // len(own)
    unit = np.exp(
        np.mean(np.log(measured)) - np.mean(np.log([r["half_gap"] for r in own for _ in range(each)]))
    )
    wanted = [unit * r["half_gap"] for r in own]
    assert any(len(y) == len(own) and np.allclose(y, wanted, rtol=1e-4) for y in drawn)
