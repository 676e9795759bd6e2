"""The two clocks of a model in the limit, and the sample size beyond which overfitting fades."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from scipy.optimize import brentq

from memhorizon.results import Time, Timescales
from memhorizon.theory.arguments import number
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.contour import Contour, limits
from memhorizon.theory.dynamics import flow_filter, initial_error, rate
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.support import Support, support_of

LEVELS = (1e-100, 1e100)
_PER_DECADE = 24  # grid points on which first crossings are looked for
_DROP, _GAP, _EXCESS = 0, 1, 2  # rows of the curves


@dataclass(frozen=True)
class ModelTimescales(Timescales):
    """The clocks of a theory model, in tau, with the levels that the curves reach.

    The excess is the test loss above that of the best linear denoiser, in units of Delta_t; for Gaussian data
    it is the score error.

    Attributes:
        levels: "E_min" and "E_inf" (smallest and last excess), "L_train_inf", "L_gen_inf".
        support: of the spectrum that the rates come from.
        residual: bound on the error of the curves at the times read.
        status: "solved", or "not resolved".
    """

    levels: Mapping[str, float] = field(default_factory=dict)
    support: Support | None = None
    residual: float = float("nan")
    status: str = "solved"


@dataclass(frozen=True)
class Threshold:
    """The sample size beyond which a fully trained network overfits by less than a level.

    Attributes:
        psi_n: n/d at which L_gen(tau = inf) falls below the level for good; 0 where it never reaches it.
        gap_level: the level.
        gap: L_gen(tau = inf) at psi_n, for the check.
        status: "observed", "never reached" (at no n), or "not reached" (psi_n is then the largest looked at).
    """

    psi_n: float
    gap_level: float
    gap: float
    status: str


def timescales(model: FeatureModel, *, score_level: float = 0.2, gap_level: float = 0.05) -> ModelTimescales:
    """Read the clocks off the exact curves.

    tau_gen is the first time at which the excess test loss falls to score_level/Gamma_t^2, Gamma_t^2 the
    variance of a coordinate of x_t; tau_mem the first at which L_gen reaches `gap_level`. What is not reached
    by tau = inf is censored there. The others: "argmin" of the test loss; "gap_10", "gap_50", "gap_90", the
    first time that L_gen reaches that share of its limit; and exponential times psi_p/(2 Delta_t u) of edges
    u of the support: "onset" (upper edge of what lies below the top group), "rho_1" (lower edge of the
    interval of rho_1), "slowest" (lowest edge, that of the sub-bulk if there is one; the atom carries no
    weight). A group that is not there has no entry.

    Raises:
        InputError: if a level is not a number from 1e-100 to 1e100, or the model not solved (`bulk_edges`).

    >>> s = timescales(FeatureModel(psi_n=16, psi_p=64, t=0.01))
    >>> print(f"{s.others['argmin'].value:.0f} {s.others['gap_50'].value:.2g} {s.levels['E_min']:.4f}")
    158 5.4e+05 0.0352

    Source: [bonnaire2025] section 3
    """
    number("score_level", score_level, *LEVELS)
    number("gap_level", gap_level, *LEVELS)
    curves = _Curves(model)
    gap_inf = curves.at(np.inf)[_GAP]
    others = {"argmin": curves.argmin()}
    for share in (10, 50, 90):
        rule = f"first time that L_gen reaches {share} % of its limit"
        others[f"gap_{share}"] = curves.first(_GAP, share / 100 * gap_inf, rule)
    target = score_level / model.total_variance
    gen = f"first time that the excess test loss per Delta_t falls to {score_level:g}/Gamma_t^2"
    return ModelTimescales(
        tau_gen=curves.first(_EXCESS, target, gen),
        tau_mem=curves.first(_GAP, gap_level, f"first time that L_gen reaches {gap_level:g}"),
        others={**others, **curves.edge_times()},
        unit="tau",
        levels={
            "E_min": float(curves.at(others["argmin"].value)[_EXCESS]),
            "E_inf": float(curves.at(np.inf)[_EXCESS]),
            "L_train_inf": float(1 + curves.at(np.inf)[_DROP]),
            "L_gen_inf": float(gap_inf),
        },
        support=curves.support,
        residual=curves.residual,
        status="solved" if curves.solved else "not resolved",
    )


def overfitting_threshold(model: FeatureModel, *, gap_level: float = 0.05) -> Threshold:
    """Find the sample size beyond which L_gen(tau = inf) stays below a level; psi_n of the model is not used.

    L_gen(inf) comes from one point, z = 0. It is scanned in psi_n from 1e-3 to 1e6 times max(1, psi_p), eight
    to the decade, and the last crossing is refined.

    Raises:
        InputError: if the level is not a number from 1e-100 to 1e100, or a point z = 0 cannot be solved.

    >>> print(f"{overfitting_threshold(FeatureModel(psi_n=1, psi_p=64, t=0.1)).psi_n:.1f}")
    226.1

    Source: [bonnaire2025] section 3
    """
    number("gap_level", gap_level, *LEVELS)
    equations = Equations.of(model)

    def excess(log_psi_n: float) -> float:
        return limits(replace(equations, psi_n=float(np.exp(log_psi_n))))[1] - gap_level

    grid = np.log(max(1.0, model.psi_p)) + np.log(10) * np.linspace(-3, 6, 73)
    values = np.array([excess(x) for x in grid])
    above = np.flatnonzero(values >= 0)
    if len(above) == 0:
        return Threshold(0.0, gap_level, float(np.max(values)) + gap_level, "never reached")
    if above[-1] == len(grid) - 1:
        return Threshold(float(np.exp(grid[-1])), gap_level, float(values[-1]) + gap_level, "not reached")
    root, _ = _root(excess, float(grid[above[-1]]), float(grid[above[-1] + 1]))
    return Threshold(float(np.exp(root)), gap_level, excess(root) + gap_level, "observed")


class _Curves:
    """The curves of one model, on a grid and at single times."""

    def __init__(self, model: FeatureModel) -> None:
        self.model = model
        constants = coefficients(model)
        self.equations = Equations.from_constants(model, constants)
        self.support = support_of(self.equations)
        self.contour = Contour(self.equations, self.support)
        first, last = (
            1e-3 * self.decay_time(self.support.intervals[-1, 1]),
            1e3 * self.decay_time(self.support.lowest),
        )
        self.tau = np.geomspace(first, last, int(_PER_DECADE * np.log10(last / first)))
        self.values, residual = self._evaluate(self.tau)
        self.residual = float(np.max(residual))
        self.solved = constants.converged and self.contour.solved and self.residual < 1e-7

    def decay_time(self, eigenvalue: float) -> float:
        """Time in which A moves by a factor e along a mode."""
        return self.model.psi_p / (2 * self.model.delta_t * eigenvalue)

    def _evaluate(self, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L_train - 1, L_gen and the excess [3, m], and the residual [m]."""
        found = self.contour.losses(flow_filter(self.contour.z, rate(self.model, tau)))
        excess = (found.drop + found.gap) / self.model.delta_t + initial_error(self.model)
        return np.stack([found.drop, found.gap, excess]), found.residual

    def at(self, tau: float) -> np.ndarray:
        """L_train - 1, L_gen and the excess at one time. [3]."""
        return self._evaluate(np.array([tau]))[0][:, 0]

    def first(self, which: int, level: float, rule: str) -> Time:
        """When a curve first crosses a level, from the side on which it starts."""
        start = self.at(0.0)[which] - level
        past = np.flatnonzero((self.values[which] - level) * np.sign(start) <= 0)
        if start == 0:
            return Time(0.0, 0.0, 0.0, "observed", rule, 1.0)
        if len(past) == 0:
            return Time(np.inf, np.inf, np.inf, "not reached", rule, 1.0)
        i = past[0]
        low = self.tau[i - 1] if i > 0 else 1e-12 * self.tau[0]
        low, high = float(np.log(low)), float(np.log(self.tau[i]))
        log_tau, _ = _root(lambda x: self.at(np.exp(x))[which] - level, low, high)
        tau = float(np.exp(log_tau))
        return Time(tau, tau, tau, "observed", rule, 1.0)

    def argmin(self) -> Time:
        """When the test loss is smallest."""
        rule = "argmin of the test loss"
        slope = self._slopes(self.tau)
        turns = np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))
        if len(turns) == 0:
            return Time(np.inf, np.inf, np.inf, "not reached", rule, 1.0)
        excess = self.values[_EXCESS]
        i = turns[np.argmin(excess[turns])]
        ends = np.log(self.tau[i : i + 2])
        log_tau, bracketed = _root(lambda x: self._slopes(np.exp([x]))[0], *ends)
        tau = float(np.exp(log_tau))
        if bracketed:
            return Time(tau, tau, tau, "observed", rule, 1.0)
        level = self.tau[excess <= np.min(excess) * (1 + 1e-14)]  # so flat that the slope is rounding noise
        low, high = min(level[0], tau), max(level[-1], tau)
        return Time(tau, float(low), float(high), "observed", f"{rule}, flat to rounding", 1.0)

    def _slopes(self, tau: np.ndarray) -> np.ndarray:
        """Derivative of the test loss, up to a positive factor. [m]."""
        c, z = rate(self.model, tau), self.contour.z
        return self.contour.slopes(flow_filter(z, c), np.exp(-c[:, None] * z))

    def edge_times(self) -> dict[str, Time]:
        """Exponential times of edges of the support."""
        labels, intervals = self.support.labels, self.support.intervals
        top = min(i for i, label in enumerate(labels) if "rho_2" in label)
        edges = {"slowest": intervals[0, 0]}
        if top > 0 and labels[top] == "rho_2":
            edges["onset"] = intervals[top - 1, 1]
        holder = [i for i, label in enumerate(labels) if "rho_1" in label]
        if holder:
            edges["rho_1"] = intervals[holder[0], 0]
        times = {}
        for name, edge in edges.items():
            tau = self.decay_time(float(edge))
            times[name] = Time(tau, tau, tau, "observed", f"psi_p/(2 Delta_t u) at u = {edge:.6g}", 1.0)
        return times


def _root(of: Callable[[float], float], low: float, high: float) -> tuple[float, bool]:
    """Root in a bracket, and True; the end nearer zero, and False, where rounding made the bracket."""
    ends = of(low), of(high)
    if not ends[0] * ends[1] <= 0:
        return (low if abs(ends[0]) < abs(ends[1]) else high), False
    return cast(float, brentq(of, low, high, xtol=1e-13)), True
