"""Losses and score error against training time, with their clocks (figures 5, 11 and 12 of the paper)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import first_crossing, write_record
from memhorizon.theory import FeatureModel, LossCurves, Spectrum, bulk_edges, coefficients, loss_curves
from memhorizon.theory.ensembles import simulate
from memhorizon.theory.third_group import third_group

PSI_N = (4.0, 8.0, 16.0, 32.0)
TAU = np.geomspace(1e-1, 1e7, 161)
CHECK_TAU = np.geomspace(10, 1e5, 9)

COLUMNS = {
    "panel": "fig5, fig11, fig12: the figure of the paper; check: simulation against the limit",
    "source": "limit, or the mean of finite networks (true: tanh features; equivalent: Gaussian)",
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "variance": "of one coordinate of the data",
    "dim": "finite: d",
    "seeds": "finite: number of networks",
    "tau": "training time, steps * learning rate/d^2",
    "L_train": "train loss per coordinate",
    "L_test": "test loss per coordinate",
    "L_gen": "their difference",
    "E_score": "mean square distance to the true score, per coordinate",
    "standard_error": "finite: of L_train, L_test, L_gen, E_score, over seeds [4][m]",
    "deviation": "check: largest |finite/limit - 1| over tau, for the same four",
    "deviation_error": "check: its standard error",
    "tau_gen": "1/(2 Delta a^2 (exp(-2t) variance + Delta)), the generalization time at large psi",
    "tau_first": "relaxation time at the lower edge of the first bulk, psi_p/(2 Delta lambda)",
    "tau_third": "relaxation time of the third group at large psi; null where it is not separated",
    "half_time": "first tau at which L_gen reaches half of its end",
    "best_time": "tau of the smallest E_score on the grid",
}
QUANTITIES = ("L_train", "L_test", "L_gen", "E_score")


def limit_row(panel: str, model: FeatureModel) -> dict[str, object]:
    """Curves of the limit and the clocks against which they may collapse."""
    curves = loss_curves(model, np.append(TAU, np.inf))
    gap, c = curves.L_gen, coefficients(model)
    third = third_group(model).time[0] if model.psi_p > model.psi_n else np.nan
    support = bulk_edges(model)
    first = [
        low for low, label in zip(support.intervals[:, 0], support.labels, strict=True) if "rho_1" in label
    ]
    return {
        **base(panel, "limit", model),
        "tau": TAU,
        **{name: getattr(curves, name)[:-1] for name in QUANTITIES},
        "tau_gen": 1 / (2 * model.delta_t * c.a**2 * model.total_variance),
        "tau_first": model.psi_p / (2 * model.delta_t * first[0]),
        "tau_third": third,
        "half_time": first_crossing(TAU, gap[:-1], float(gap[-1]) / 2),
        "best_time": TAU[int(np.argmin(curves.E_score[:-1]))],
    }


def finite_row(
    panel: str, model: FeatureModel, features: str, dim: int, seeds: Sequence[int]
) -> dict[str, object]:
    """Mean of finite networks on the same grid."""
    tau = CHECK_TAU if panel == "check" else TAU
    tables = np.array([table(simulate(model, dim, seed, tau, features)) for seed in seeds])  # [seed, 4, m]
    mean, error = tables.mean(axis=0), tables.std(axis=0, ddof=1) / np.sqrt(len(seeds))
    row = {
        **base(panel, features, model),
        "dim": dim,
        "seeds": len(seeds),
        "tau": tau,
        **dict(zip(QUANTITIES, mean, strict=True)),
        "standard_error": error,
    }
    if panel == "check":
        limit = table(loss_curves(model, tau))
        ratio = np.abs(mean / limit - 1)
        worst = np.argmax(ratio, axis=1)
        row["deviation"] = ratio.max(axis=1)
        row["deviation_error"] = [(error / limit)[i, k] for i, k in enumerate(worst)]
    return row


def table(curves: LossCurves) -> np.ndarray:
    """The four quantities, one row each."""
    return np.array([getattr(curves, name) for name in QUANTITIES])


def base(panel: str, source: str, model: FeatureModel) -> dict[str, object]:
    """The columns that name a curve."""
    return {
        "panel": panel,
        "source": source,
        "psi_n": model.psi_n,
        "psi_p": model.psi_p,
        "t": model.t,
        "variance": model.spectrum.variance,
    }


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """How well each clock collapses the half-times of L_gen over psi_n, and simulation against the limit."""
    found: dict[str, object] = {}
    families = sorted({(r["panel"], r["t"], r["variance"]) for r in rows if r["source"] == "limit"})
    for family in families:
        same = [r for r in rows if r["source"] == "limit" and (r["panel"], r["t"], r["variance"]) == family]
        spread = {}
        for clock in ("tau_gen", "tau_first", "tau_third"):
            ratio = np.array([r["half_time"] / r[clock] for r in same])
            ratio = ratio[np.isfinite(ratio)]
            spread[clock] = ratio.max() / ratio.min() if len(ratio) > 1 else np.nan
        found["spread of half_time/clock over psi_n: {} t={} variance={}".format(*family)] = spread
    for r in rows:
        if r["panel"] == "check":
            name = "deviation from the limit: {source} d={dim}".format(**r)
            found[name] = dict(zip(QUANTITIES, r["deviation"], strict=True))
    found["L_gen(1e3), finite over limit, times d"] = slopes(rows)
    return found


def slopes(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """The 1/d term of L_gen at tau = 1000: d (finite/limit - 1), per size, with its standard error."""
    found = {}
    for r in rows:
        if r["panel"] == "check":
            model = FeatureModel(r["psi_n"], r["psi_p"], r["t"])
            limit = loss_curves(model, r["tau"]).L_gen
            k = int(np.argmin(np.abs(np.log(np.asarray(r["tau"]) / 1e3))))
            deviation = r["dim"] * (r["L_gen"][k] / limit[k] - 1)
            found["{source} d={dim}".format(**r)] = [
                deviation,
                r["dim"] * r["standard_error"][2][k] / limit[k],
            ]
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/losses.json. About three minutes on one core; seconds when tiny."""
    psi_n = PSI_N[:2] if tiny else PSI_N
    seeds, fig_dim = (range(2), 10) if tiny else (range(3), 40)
    checks = (
        [(20, range(2))] if tiny else [(50, range(32)), (100, range(16)), (200, range(8)), (400, range(5))]
    )

    def rows() -> Iterator[Mapping[str, object]]:
        for n in psi_n:
            model = FeatureModel(n, 64.0, 0.1)
            yield limit_row("fig5", model)
            yield finite_row("fig5", model, "true", fig_dim, seeds)
            for variance in (4.0, 0.25):
                yield limit_row("fig12", FeatureModel(n, 64.0, 0.1, spectrum=Spectrum.isotropic(variance)))
            for t in (0.01, 0.1, 1.0):
                yield limit_row("fig11", FeatureModel(n, 32.0, t))
        for dim, these in checks:
            for features in ("true", "equivalent"):
                yield finite_row("check", FeatureModel(2.0, 4.0, 0.1), features, dim, these)

    settings = {
        "psi_n": psi_n,
        "seeds": {"fig5": list(seeds), **{f"check d={dim}": list(these) for dim, these in checks}},
        "activation": "tanh",
    }
    return write_record(out, "losses", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny)
