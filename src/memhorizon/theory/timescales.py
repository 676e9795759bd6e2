"""The two timescales of a model in the limit, and the sample size beyond which overfitting fades."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from scipy.optimize import brentq

from memhorizon.checks import check_kind
from memhorizon.results import Status, Time, Timescales
from memhorizon.theory.arguments import number
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.contour import Contour, limits
from memhorizon.theory.dynamics import RESOLVED, decay_time, excess_loss, flow_filter, rate, status_of
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.support import Support, support_of

LEVELS = (1e-100, 1e100)
_PER_DECADE = 24  # grid points on which first crossings are looked for
_DROP, _GAP, _EXCESS = 0, 1, 2  # rows of the curves


@dataclass(frozen=True, repr=False)
class ModelTimescales(Timescales):
    """The timescales of a theory model, in tau, with the levels that the curves reach.

    The excess is the test loss above that of the best linear denoiser, in units of Delta_t; for Gaussian data
    it is the score error.

    Attributes:
        levels: "E_min" and "E_inf" (smallest and last excess), "L_train_inf", "L_gen_inf".
        support: of the spectrum that the rates come from.
        residual: bound on the error of the curves at the times read.
        status: SOLVED, NOT_RESOLVED, or NOT_CONVERGED (the constants of the activation).
    """

    levels: Mapping[str, float] = field(default_factory=dict)
    support: Support | None = None
    residual: float = float("nan")
    status: Status = Status.SOLVED

    def __repr__(self) -> str:
        """The times, and the status where it is not solved."""
        told = super().__repr__()
        return told if self.status is Status.SOLVED else f"{told[:-1]}; {self.status})"


@dataclass(frozen=True)
class Threshold:
    """The sample size beyond which a fully trained network overfits by less than a level.

    Attributes:
        psi_n: n/d at which L_gen(tau = inf) falls below the level for good; 0 where it never reaches it.
        gap_level: the level.
        gap: L_gen(tau = inf) at psi_n, for the check.
        status: OBSERVED, NEVER_REACHED (at no n), or NOT_REACHED (psi_n is then the largest looked at).
    """

    psi_n: float
    gap_level: float
    gap: float
    status: Status


def timescales(model: FeatureModel, *, score_level: float = 0.2, gap_level: float = 0.05) -> ModelTimescales:
    """Read the timescales off the exact curves.

    tau_gen is the first time at which the excess test loss falls to score_level/Gamma_t^2, Gamma_t^2 the
    variance of a coordinate of x_t; tau_mem the first at which L_gen reaches `gap_level`. What is not reached
    by tau = inf is censored there. The others: "argmin" of the test loss; "gap_10", "gap_50", "gap_90", the
    first time that L_gen reaches that share of its limit; and exponential times psi_p/(2 Delta_t u) of edges
    u of the support: "onset" (upper edge of what lies below the top group), "rho_1" (lower edge of the
    interval of rho_1), "slowest" (lowest edge, that of the sub-bulk if there is one; the atom carries no
    weight). A group that is not there has no entry.

    The paper's tau_mem = psi_p/(Delta_t lambda_min), lambda_min the lower edge of rho_1, is another rule: it
    is twice the time "rho_1" here (A decays as exp(-2 Delta_t u tau/psi_p); the paper leaves out the 2).

    Raises:
        InputError: if a level is not a number from 1e-100 to 1e100, or the model not solved (`bulk_edges`).

    >>> s = timescales(FeatureModel(psi_n=16, psi_p=64, t=0.01))
    >>> print(f"{s.others['argmin'].value:.0f} {s.others['gap_50'].value:.2g} {s.levels['E_min']:.4f}")
    158 5.4e+05 0.0352

    Source: [bonnaire2025] section 3
    """
    number("score_level", score_level, *LEVELS)
    number("gap_level", gap_level, *LEVELS)
    check_kind("model", model, FeatureModel)
    curves = _Curves(model)
    target = score_level / model.total_variance
    gen = f"first time that the excess test loss per Delta_t falls to {score_level:g}/Gamma_t^2"
    mem = f"first time that L_gen reaches {gap_level:g}"
    argmin = curves.argmin()
    return ModelTimescales(
        tau_gen=curves.falls_to(_EXCESS, target, gen),
        tau_mem=curves.first(_GAP, gap_level, mem),
        others={"argmin": argmin, **curves.gap_times(), **curves.edge_times()},
        unit="tau",
        levels=curves.levels(argmin.value),
        support=curves.support,
        residual=curves.residual,
        status=curves.status,
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
    check_kind("model", model, FeatureModel)
    grid = np.log(max(1.0, model.psi_p)) + np.log(10) * np.linspace(-3, 6, 73)
    return _last_crossing(_excess_of(Equations.of(model), gap_level), grid, gap_level)


def _excess_of(equations: Equations, gap_level: float) -> Callable[[float], float]:
    """L_gen(inf) minus the level as a function of log psi_n."""

    def excess(log_psi_n: float) -> float:
        _, L_gen = limits(replace(equations, psi_n=float(np.exp(log_psi_n))))
        return L_gen - gap_level

    return excess


def _last_crossing(excess: Callable[[float], float], grid: np.ndarray, gap_level: float) -> Threshold:
    """Where L_gen(inf) falls below a level for good, by its excess above it on a grid of log psi_n."""
    values = np.array([excess(x) for x in grid])
    above = np.flatnonzero(values >= 0)
    if len(above) == 0:
        return Threshold(0.0, gap_level, float(np.max(values)) + gap_level, Status.NEVER_REACHED)
    last = int(above[-1])
    if last == len(grid) - 1:
        return _threshold(grid[last], gap_level, values[last], Status.NOT_REACHED)
    root, _ = _root(excess, float(grid[last]), float(grid[last + 1]))
    return _threshold(root, gap_level, excess(root), Status.OBSERVED)


def _threshold(log_psi_n: float, gap_level: float, excess: float, status: Status) -> Threshold:
    """At a place of the scan, where L_gen(inf) is above the level by `excess`."""
    return Threshold(float(np.exp(log_psi_n)), gap_level, float(excess) + gap_level, status)


class _Curves:
    """The curves of one model, on a grid and at single times."""

    def __init__(self, model: FeatureModel) -> None:
        self.model = model
        constants = coefficients(model)
        equations = Equations.from_constants(model, constants)
        self.support = support_of(equations)
        self.contour = Contour(equations, self.support)
        self.tau = self._grid()
        self.values, residual = self._evaluate(self.tau)
        self.residual = float(np.max(residual))
        resolved = self.contour.solved and self.residual < RESOLVED
        self.status = status_of(resolved, constants)

    def _grid(self) -> np.ndarray:
        """Times from long before the fastest mode decays to long after the slowest has. [m]."""
        first = 1e-3 * decay_time(self.model, self.support.intervals[-1, 1])
        last = 1e3 * decay_time(self.model, self.support.lowest)
        return np.geomspace(first, last, int(_PER_DECADE * np.log10(last / first)))

    def _evaluate(self, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L_train - 1, L_gen and the excess [3, m], and the residual [m]."""
        found = self.contour.losses(flow_filter(self.contour.z, rate(self.model, tau)))
        excess = excess_loss(self.model, found)
        return np.stack([found.drop, found.gap, excess]), found.residual

    def at(self, tau: float) -> np.ndarray:
        """L_train - 1, L_gen and the excess at one time. [3]."""
        values, _ = self._evaluate(np.array([tau]))
        return values[:, 0]

    def levels(self, argmin: float) -> dict[str, float]:
        """What the curves reach at the minimum and at infinity."""
        last = self.at(np.inf)
        return {
            "E_min": float(self.at(argmin)[_EXCESS]),
            "E_inf": float(last[_EXCESS]),
            "L_train_inf": float(1 + last[_DROP]),
            "L_gen_inf": float(last[_GAP]),
        }

    def falls_to(self, which: int, level: float, rule: str) -> Time:
        """When a curve first is at or below a level; 0 where it starts there, although it may rise later."""
        return _exact(0.0, rule) if self.at(0.0)[which] <= level else self.first(which, level, rule)

    def first(self, which: int, level: float, rule: str) -> Time:
        """When a curve first crosses a level, from the side on which it starts."""
        start = self.at(0.0)[which] - level
        past = np.flatnonzero((self.values[which] - level) * np.sign(start) <= 0)
        if start == 0:
            return _exact(0.0, rule)
        if len(past) == 0:
            return _never(rule)
        log_tau, _ = _root(lambda x: self.at(np.exp(x))[which] - level, *self._step_to(int(past[0])))
        return _exact(float(np.exp(log_tau)), rule)

    def _step_to(self, i: int) -> tuple[float, float]:
        """Ends of the step of the grid that leads to a point of it, in log tau."""
        before = self.tau[i - 1] if i > 0 else 1e-12 * self.tau[0]
        return float(np.log(before)), float(np.log(self.tau[i]))

    def gap_times(self) -> dict[str, Time]:
        """When L_gen has done 10, 50 and 90 % of its way."""
        gap_inf = self.at(np.inf)[_GAP]
        return {f"gap_{share}": self._gap_time(share, gap_inf) for share in (10, 50, 90)}

    def _gap_time(self, share: int, gap_inf: float) -> Time:
        """When L_gen has done this share, in percent, of its way."""
        rule = f"first time that L_gen reaches {share} % of its limit"
        return self.first(_GAP, share / 100 * gap_inf, rule)

    def argmin(self) -> Time:
        """When the test loss is smallest."""
        rule = "argmin of the test loss"
        slope = self._slopes(self.tau)
        turns = np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))
        if len(turns) == 0:
            return _never(rule)
        i = turns[np.argmin(self.values[_EXCESS][turns])]
        ends = np.log(self.tau[i : i + 2])
        log_tau, bracketed = _root(lambda x: self._slopes(np.exp([x]))[0], *ends)
        tau = float(np.exp(log_tau))
        return _exact(tau, rule) if bracketed else self._flat(tau, f"{rule}, flat to rounding")

    def _flat(self, tau: float, rule: str) -> Time:
        """A minimum so flat that the slope is rounding noise: all times at which the curve is that low."""
        excess = self.values[_EXCESS]
        level = self.tau[excess <= np.min(excess) * (1 + 1e-14)]
        low = min(level[0], tau)
        high = max(level[-1], tau)
        return Time(tau, float(low), float(high), Status.OBSERVED, rule, 1.0)

    def _slopes(self, tau: np.ndarray) -> np.ndarray:
        """Derivative of the test loss, up to a positive factor. [m]."""
        c = rate(self.model, tau)
        z = self.contour.z
        return self.contour.slopes(flow_filter(z, c), np.exp(-c[:, None] * z))

    def edge_times(self) -> dict[str, Time]:
        """Exponential times of edges of the support."""
        return {name: self._edge_time(edge) for name, edge in _edges(self.support).items()}

    def _edge_time(self, edge: float) -> Time:
        return _exact(decay_time(self.model, edge), f"psi_p/(2 Delta_t u) at u = {edge:.6g}")


def _edges(support: Support) -> dict[str, float]:
    """The edges whose times have names; a group that is not there has none."""
    labels = support.labels
    intervals = support.intervals
    edges = {"slowest": intervals[0, 0]}
    top = min(i for i, label in enumerate(labels) if "rho_2" in label)
    if top > 0 and labels[top] == "rho_2":
        edges["onset"] = intervals[top - 1, 1]
    holder = [i for i, label in enumerate(labels) if "rho_1" in label]
    if holder:
        edges["rho_1"] = intervals[holder[0], 0]
    return {name: float(edge) for name, edge in edges.items()}


def _exact(tau: float, rule: str) -> Time:
    """A time that is computed, not measured."""
    return Time(tau, tau, tau, Status.OBSERVED, rule, 1.0)


def _never(rule: str) -> Time:
    """What does not happen in finite time."""
    return Time(np.inf, np.inf, np.inf, Status.NOT_REACHED, rule, 1.0)


def _root(of: Callable[[float], float], low: float, high: float) -> tuple[float, bool]:
    """Root in a bracket, and True; the end nearer zero, and False, where rounding made the bracket."""
    at_low = of(low)
    at_high = of(high)
    if not at_low * at_high <= 0:
        return (low if abs(at_low) < abs(at_high) else high), False
    return cast(float, brentq(of, low, high, xtol=1e-13)), True
