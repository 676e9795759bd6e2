"""Where the eigenvalues of U are: every interval of the support, its exact edges and its mass."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.curve import Curve
from memhorizon.theory.density import density_at
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel

MAX_ATOMS = 2000  # the matrix of their differences fits into memory
_ENOUGH = 1e-11  # of the difference between an integral and the mass that it must give
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS  # of the interval from 0 to 1


@dataclass(frozen=True, repr=False)
class Support:
    """The support of the spectrum of U.

    Attributes:
        intervals: lower and upper edge of each interval, ascending. [k, 2]
        masses: fraction of the eigenvalues in each; with the atom they add up to 1. [k]
        labels: which group each interval holds: "sub_bulk" (d eigenvalues just above s2, when psi_p > psi_n),
            "rho_1" (the bulk that the samples make), "rho_2" (the top group, that of the population),
            "unsampled" (between the other two when psi_n < 1); joined by "+" where groups have merged.
        atom_location: s2.
        atom_weight: fraction of the eigenvalues exactly there, 1 - (1 + psi_n)/psi_p or 0.
        offsets: the edges minus s2, which have digits where the edges themselves have lost them. [k, 2]
        residual: largest difference between a mass and the integral of the density over its interval.
        status: SOLVED; NOT_RESOLVED where the residual is above 1e-7; NOT_CONVERGED where the constants of
            the activation have not converged.
    """

    intervals: Float[np.ndarray, "k 2"]
    masses: Float[np.ndarray, " k"]
    labels: tuple[str, ...]
    atom_location: float
    atom_weight: float
    offsets: Float[np.ndarray, "k 2"]
    residual: float
    status: Status

    def __repr__(self) -> str:
        """Every interval with its label, and the weight of the atom."""
        parts = [
            f"{label} {low:.4g} to {high:.4g}"
            for label, (low, high) in zip(self.labels, self.intervals, strict=True)
        ]
        if self.atom_weight > 0:
            parts.insert(0, f"atom at {self.atom_location:.4g}")
        return f"Support({', '.join(parts)}; {self.status})"

    @property
    def lowest(self) -> float:
        """Lowest point of the spectrum: the atom, or the first edge."""
        return self.atom_location if self.atom_weight > 0 else float(self.intervals[0, 0])


def bulk_edges(model: FeatureModel) -> Support:
    """Find all intervals of the support.

    Edges are stationary points of w = z - s2 on the real solutions. The mass below a gap follows from the
    signs of X, kappa and D there, exactly; the integral of the density gives the residual.

    Raises:
        InputError: if the spectrum of the data has more than 2,000 positive eigenvalues, or the interval of
            U's spectrum cannot be told from s2 in double precision.

    >>> s = bulk_edges(FeatureModel(psi_n=8, psi_p=64, t=0.01))
    >>> print(s.labels, 64 * s.masses.round(12))
    ('sub_bulk', 'rho_1', 'rho_2') [1. 7. 1.]

    Source: [bonnaire2025] Theorem 3.2, with the third group that it counts inside rho_1
    """
    constants = coefficients(model)
    found = support_of(Equations.from_constants(model, constants))
    return found if constants.converged else replace(found, status=constants.status)


def support_of(equations: Equations) -> Support:
    """Find the support from the equations of a model."""
    _check_size(equations)
    offsets = _intervals(equations)
    below = _fractions_below(equations, offsets)
    masses = np.diff(below)
    integrals = [_integral(equations, a, b, m) for (a, b), m in zip(offsets, masses, strict=True)]
    residual = float(np.max(np.abs(np.array(integrals) - masses)))
    return Support(
        intervals=equations.s2 + offsets,
        masses=masses,
        labels=tuple(_label(equations, a, b) for a, b in zip(below[:-1], below[1:], strict=True)),
        atom_location=equations.s2,
        atom_weight=equations.atom,
        offsets=offsets,
        residual=residual,
        status=Status.SOLVED if residual < 1e-7 else Status.NOT_RESOLVED,
    )


def _check_size(equations: Equations) -> None:
    """Refuse spectra of the data whose edges would take minutes.

    Raises:
        InputError: if there are too many positive eigenvalues.
    """
    atoms = int(np.sum(equations.al > 0))
    if atoms > MAX_ATOMS:
        raise InputError(
            f"spectrum: expected at most {MAX_ATOMS} positive eigenvalues, got {atoms} "
            "(Spectrum.from_data, power_law and marchenko_pastur have `nodes`)"
        )


def _intervals(equations: Equations) -> Float[np.ndarray, "k 2"]:
    """Lower and upper ends of the intervals of the support, as w = z - s2.

    Raises:
        InputError: if rounding leaves none.
    """
    edges = _candidates(equations)
    inside = density_at(equations, _middles(edges)).place == "inside"
    if not np.any(inside):
        raise InputError(
            "model: expected a spectrum whose edges double precision can tell from s2, got none for "
            f"psi_n = {equations.psi_n:g}, psi_p = {equations.psi_p:g}, s2 = {equations.s2:.3g}, "
            f"v2 = {equations.v2:.3g}"
        )
    return _runs(edges, inside)


def _middles(edges: np.ndarray) -> np.ndarray:
    """One place between each edge and the next: geometric means, but where an end is zero."""
    return np.sqrt(edges[:-1] * edges[1:]) if edges[0] > 0 else 0.5 * (edges[:-1] + edges[1:])


def _runs(edges: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """First and last edge of each run of neighbouring steps that lie inside of the support. [k, 2]."""
    padded = np.concatenate([[False], inside, [False]])
    starts = np.flatnonzero(padded[1:] & ~padded[:-1])
    ends = np.flatnonzero(padded[:-1] & ~padded[1:])
    return np.stack([edges[starts], edges[ends]], axis=1)


def _candidates(equations: Equations) -> Float[np.ndarray, " m"]:
    """Stationary values of w >= 0, where U has its spectrum; a hard edge at w = 0 is none of them."""
    values = Curve(equations).critical()
    if not _hard_edge(equations):
        return values[np.isfinite(values) & (values > 0)]
    values = values[np.isfinite(values) & (values > 1e-16 * equations.top)]
    return np.append(0.0, values)


def _hard_edge(equations: Equations) -> bool:
    """Whether psi_p = 1 + psi_n, so nearly that the lowest edge, of second order in it, is 1e-18 and less."""
    return abs(equations.psi_p - 1 - equations.psi_n) < 1e-9 * equations.psi_p


def _fractions_below(equations: Equations, offsets: np.ndarray) -> np.ndarray:
    """Fraction of the eigenvalues below each interval, and 1. [k + 1]."""
    gaps = 0.5 * (offsets[:-1, 1] + offsets[1:, 0])
    return np.concatenate([[equations.atom], density_at(equations, gaps).cumulative, [1.0]])


def _integral(equations: Equations, low: float, high: float, mass: float) -> float:
    """Integral of the density over one interval, refined until it is the mass or no panel changes."""
    integrand = _Integrand(equations, low, high)
    panels = _first_panels(integrand)
    done = 0.0
    for _ in range(40):
        if len(panels.share) == 0 or abs(done + np.sum(panels.share) - mass) < _ENOUGH:
            break
        settled, panels = _halved(integrand, panels)
        done += settled
    return float(done + np.sum(panels.share))


class _Panels(NamedTuple):
    """Panels of theta with their integrals; all [m]."""

    left: np.ndarray
    right: np.ndarray
    share: np.ndarray


def _first_panels(integrand: "_Integrand") -> _Panels:
    """Four of equal width; one where the interval is narrow, the density smooth between its square roots."""
    ends = np.linspace(0, np.pi, 2 if integrand.narrow else 5)
    return _Panels(ends[:-1], ends[1:], integrand.panels(ends[:-1], ends[1:]))


def _halved(integrand: "_Integrand", panels: _Panels) -> tuple[float, _Panels]:
    """Halve panels: the integral of those that this does not change, and the halves of the others."""
    left, right, share = panels
    middle = 0.5 * (left + right)
    halves = integrand.panels(np.concatenate([left, middle]), np.concatenate([middle, right]))
    halves = halves.reshape(2, -1)
    moved = np.abs(halves.sum(axis=0) - share) > 1e-13
    settled = float(np.sum(halves[:, ~moved]))
    new_left = np.concatenate([left[moved], middle[moved]])
    new_right = np.concatenate([middle[moved], right[moved]])
    return settled, _Panels(new_left, new_right, halves[:, moved].ravel())


class _Integrand:
    """The density over one interval as a function of theta in [0, pi].

    With w = low + (high - low) sin^2(theta/2) the square roots at the edges are smooth in theta; over many
    decades log w takes the place of w.
    """

    def __init__(self, equations: Equations, low: float, high: float) -> None:
        self.equations = equations
        self.wide = high > 30 * low > 0
        self.narrow = high < 1.5 * low
        self.start = np.log(low) if self.wide else low
        self.length = np.log(high / low) if self.wide else high - low

    def panels(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Integrals over panels of theta. [panels]."""
        theta = left[:, None] + (right - left)[:, None] * _NODES  # [panels, nodes]
        place = self.start + self.length * np.sin(theta / 2) ** 2
        w = np.exp(place) if self.wide else place
        rho = density_at(self.equations, w.ravel()).density.reshape(w.shape)
        # dw = length sin(theta) dtheta/2, times w where the place is log w
        value = rho * np.sin(theta) * (w if self.wide else 1.0)
        return value @ _WEIGHTS * (right - left) * self.length / 2


def _label(equations: Equations, below: float, above: float) -> str:
    """Name the groups whose eigenvalues, counted from the bottom, lie between two fractions."""
    starts, ends = _groups(equations)
    shared = np.minimum(ends, above) - np.maximum(starts, below)
    least = np.minimum(1e-9, 1e-3 * (ends - starts))  # above rounding, also where a group is that small
    names = np.array(["sub_bulk", "rho_1" if equations.psi_n >= 1 else "unsampled", "rho_2"])
    return "+".join(names[shared > least])


def _groups(equations: Equations) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of the eigenvalues below the start and below the end of each group, both [3].

    Above the atom follow d, then n - d and d eigenvalues of p, or d - n and n where psi_n < 1.
    """
    p = equations.psi_p
    cuts = np.sort([1 - equations.psi_n / p, 1 - 1 / p])
    return np.array([equations.atom, *cuts]), np.array([*cuts, 1.0])
