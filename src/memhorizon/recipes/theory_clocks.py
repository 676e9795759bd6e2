"""Which clock tells which event of overfitting: the first bulk or the third group, in the limit."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import first_crossing, write_record
from memhorizon.theory import FeatureModel, bulk_edges, coefficients, loss_curves
from memhorizon.theory.third_group import third_group

LEVELS = (0.3, 1.0, 10.0)
EVENTS = ("best_time", "level_1_time", "half_time", "end_time")
CLOCKS = ("tau_onset", "tau_first", "tau_third")

COLUMNS = {
    "psi_n": "n/d",
    "psi_p": "p/d",
    "t": "diffusion time",
    "delta_t": "1 - exp(-2t)",
    "E_score_best": "smallest E_score along training",
    "L_gen_inf": "L_gen at the end of training",
    "best_time": "tau of the smallest E_score",
    "level_times": "first tau after it at which E_score reaches 0.3, 1, 10; null where it does not",
    "level_1_time": "the second of them",
    "half_time": "first tau at which L_gen reaches half of its end",
    "end_time": "first tau at which L_gen reaches nine tenths of its end",
    "tau_onset": "psi_n/(2 Delta v2): E_score = l at sqrt(l) of it, for psi_p >> psi_n >> 1, t -> 0",
    "tau_first": "psi_p/(2 Delta lambda), lambda the lower edge of the first bulk; null where it has merged",
    "tau_third": "psi_p/(2 Delta lambda), lambda the center of the third group; null where not separated",
    "share_at_first": "L_gen at tau_first as a share of its end",
    "E_score_at_first": "E_score at tau_first",
}


def row(model: FeatureModel) -> dict[str, object]:
    """Events and clocks of one model."""
    clock = model.psi_n / (2 * model.delta_t * coefficients(model).v2)
    tau = np.geomspace(1e-4, 1e5, 1801) * clock
    curves = loss_curves(model, np.append(tau, np.inf))
    gap, error, end = curves.L_gen[:-1], curves.E_score[:-1], float(curves.L_gen[-1])
    best = int(np.argmin(error))
    support = bulk_edges(model)
    lower = dict(zip(support.labels, support.intervals[:, 0], strict=True)).get("rho_1", np.nan)
    first = model.psi_p / (2 * model.delta_t * lower)
    there = loss_curves(model, [first if np.isfinite(first) else np.inf])
    levels = [first_crossing(tau[best:], error[best:], level) for level in LEVELS]
    return {
        "psi_n": model.psi_n,
        "psi_p": model.psi_p,
        "t": model.t,
        "delta_t": model.delta_t,
        "E_score_best": error[best],
        "L_gen_inf": end,
        "best_time": tau[best],
        "level_times": levels,
        "level_1_time": levels[1],
        "half_time": first_crossing(tau, gap, 0.5 * end),
        "end_time": first_crossing(tau, gap, 0.9 * end),
        "tau_onset": clock,
        "tau_first": first,
        "tau_third": third_group(model).time[0],
        "share_at_first": there.L_gen[0] / end if np.isfinite(first) else np.nan,
        "E_score_at_first": there.E_score[0] if np.isfinite(first) else np.nan,
    }


def exponents(rows: list[Mapping[str, object]], of: str) -> list[dict[str, object]]:
    """Slopes of log events and log clocks in log Delta_t (psi fixed, t <= 0.01) or in log psi_n."""
    fixed = ("psi_n", "psi_p") if of == "delta_t" else ("t", "psi_p")
    rows = [r for r in rows if of == "psi_n" or r["t"] <= 0.01]
    found = []
    for key in sorted({tuple(r[name] for name in fixed) for r in rows}):
        same = [r for r in rows if tuple(r[name] for name in fixed) == key]
        x, entry = np.log([r[of] for r in same]), dict(zip(fixed, key, strict=True))
        for name in (*EVENTS, *CLOCKS):
            y = np.log([r[name] for r in same])
            good = np.isfinite(y)
            entry[name] = np.polyfit(x[good], y[good], 1)[0] if good.sum() > 1 else np.nan
        found.append(entry)
    return found


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Exponents, and the range of event over clock wherever the third group is separated."""
    found: dict[str, object] = {"exponents in Delta_t": exponents(rows, "delta_t")}
    found["exponents in psi_n"] = exponents(rows, "psi_n")
    for event in ("level_1_time", "half_time"):
        for clock in CLOCKS:
            ratio = np.array([r[event] / r[clock] for r in rows if r["t"] <= 0.1])
            ratio = ratio[np.isfinite(ratio)]
            found[f"{event} / {clock}, t <= 0.1, smallest and largest"] = [ratio.min(), ratio.max()]
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/clocks.json. A minute on one core; seconds when tiny."""
    times = (0.001, 0.01) if tiny else (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    samples = (4.0, 16.0) if tiny else (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
    features = (64.0,) if tiny else (64.0, 1024.0)

    def rows() -> Iterator[Mapping[str, object]]:
        for t in times:
            for psi_p in features:
                yield from (row(FeatureModel(n, psi_p, t)) for n in samples if n < psi_p)

    settings = {
        "t": times,
        "psi_n": samples,
        "psi_p": features,
        "activation": "tanh",
        "spectrum": "isotropic",
    }
    return write_record(out, "clocks", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny)
