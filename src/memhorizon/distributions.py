"""Distributions whose noisy versions are known: Gaussian, mixture, empirical (the perfect memorizer).

At Ornstein-Uhlenbeck time t that of x_t = e^{-t} x_0 + sqrt(delta_t) xi, delta_t = 1 - e^{-2t}, has a density
whose logarithm, gradient (score) and E[x_0 | x_t] (denoiser) are closed forms. All is computed in float64,
from tiles of bounded size, and returned in the dtype of x.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from numbers import Real
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.devices import wide, widest_float
from memhorizon.errors import InputError

_TILE = 2**22  # numbers in the largest temporary tensors: 32 MiB of float64 each
_ROWS = 1024  # rows of x at a time
_ASYMMETRY = 1e-6  # of a covariance, relative to its largest entry: more than float32 rounds
_LOG_2PI = math.log(2 * math.pi)

_D = TypeVar("_D", bound="_Distribution")


@dataclass(frozen=True, eq=False, repr=False)
class _Distribution:
    @property
    def dim(self) -> int:
        """Number of coordinates of one draw."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dim} dimensions)"

    def to(self: _D, device: torch.device | str) -> _D:
        """Copy to another device; to the CPU for one that has no 64 bits, which all here is computed in."""
        if widest_float(torch.device(device)) != torch.float64:
            device = "cpu"
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.init}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False, repr=False)
class _Components(_Distribution):
    """What Gaussian and GaussianMixture share: k Gaussians, each in the eigenbasis of its covariance."""

    # log weights [k], means [k, dim], eigenvalues [k, dim], eigenvectors in columns [k, dim, dim]
    _parts: tuple[Tensor, Tensor, Tensor, Tensor] = field(init=False, repr=False)

    def _set(self, weights: Tensor, means: Tensor, covariances: Tensor, name: str) -> None:
        C = covariances.double()
        gap = float((C - C.mT).abs().amax())
        if gap > _ASYMMETRY * float(C.abs().amax()):
            raise InputError(f"{name}: expected a symmetric matrix, got one {gap:g} away from its transpose")
        # C = Q diag(lam) Q'
        lam, Q = torch.linalg.eigh((C + C.mT) / 2)  # [k, dim], [k, dim, dim]
        least = float(lam.amin())
        if least <= torch.finfo(lam.dtype).eps * lam.shape[1] * float(lam.amax()):
            raise InputError(
                f"{name}: expected a positive definite matrix, got smallest eigenvalue {least:g}"
            )
        share = weights.double() / weights.double().sum()
        object.__setattr__(self, "_parts", (share.log(), means.double(), lam, Q))

    @property
    def dim(self) -> int:
        """Number of coordinates of one draw."""
        return self._parts[1].shape[1]

    def sample(self, n: int, *, generator: torch.Generator) -> Float[Tensor, " n dim"]:
        """Draw n points, float64 on the device of the parameters.

        Raises:
            InputError: if `n` is below 1.
        """
        check_whole("n", n, least=1)
        log_weights, means, lam, Q = self._parts
        z = torch.randn(n, self.dim, dtype=torch.float64, device=generator.device, generator=generator)
        weights = log_weights.exp().to(generator.device)
        component = torch.multinomial(weights, n, replacement=True, generator=generator)  # [n]
        x = z.to(means.device)
        # x = m_k + C_k^(1/2) z, the symmetric root: the signs of eigenvectors do not matter
        for k, (mean, scale, vectors) in enumerate(zip(means, lam.sqrt(), Q, strict=True)):
            rows = (component == k).to(means.device)
            x[rows] = mean + x[rows] @ ((vectors * scale) @ vectors.mT)
        return x

    def log_prob(self, x: Tensor, t: float = 0.0) -> Float[Tensor, " batch"]:
        """Give the log density of x_t in nats.

        Args:
            x: where. [batch, dim]
            t: Ornstein-Uhlenbeck time, 0 or more.

        Raises:
            InputError: if `x` has the wrong shape or `t` is negative or NaN.
        """
        return self._tiled(x, t, lambda y: self._log_joint(y, t)[0].logsumexp(1))

    def score(self, x: Tensor, t: float = 0.0) -> Float[Tensor, " batch dim"]:
        """Give the gradient of `log_prob`. Arguments and errors as there."""

        def tile(y: Tensor) -> Tensor:
            log_joint, u, s = self._log_joint(y, t)
            # sum_k p(k|x) (-Q_k u_k/s_k)
            return self._mix(log_joint, -u / s)

        return self._tiled(x, t, tile)

    def denoiser(self, x: Tensor, t: float) -> Float[Tensor, " batch dim"]:
        """Give E[x_0 | x_t = x]. Arguments and errors as for `log_prob`."""

        def tile(y: Tensor) -> Tensor:
            log_joint, u, s = self._log_joint(y, t)
            _, means, lam, _ = self._parts
            # sum_k p(k|x) (m_k + e^{-t} Q_k (lam_k/s_k) u_k)
            shrunk = self._mix(log_joint, math.exp(-t) * lam / s * u)
            return shrunk + log_joint.softmax(1) @ means

        return self._tiled(x, t, tile)

    def _tiled(self, x: Tensor, t: float, tile: Callable[[Tensor], Tensor]) -> Tensor:
        _check_x(x, t, self.dim)
        rows = max(1, _TILE // self._parts[1].numel())
        return torch.cat([tile(wide(part)) for part in x.split(rows)]).to(x)

    def _log_joint(self, x: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
        """Log of weight_k N_k(x), x centred and in the eigenbasis of each component, and its variances."""
        log_weights, means, lam, Q = self._parts
        # variances of x_t along the eigenvectors: s = e^{-2t} lam + delta_t
        s = math.exp(-2 * t) * lam + _delta(t)  # [k, dim]
        # u = Q' (x - e^{-t} m)
        u = torch.einsum("bki,kij->bkj", x[:, None] - math.exp(-t) * means, Q)  # [batch, k, dim]
        # log N_k(x) = -(sum_j u_j^2/s_j + sum_j log s_j + d log 2 pi)/2
        squares = (u * u / s).sum(2)  # [batch, k]
        log_normal = -0.5 * (squares + s.log().sum(1) + self.dim * _LOG_2PI)
        return log_weights + log_normal, u, s

    def _mix(self, log_joint: Tensor, u: Tensor) -> Tensor:
        """Average vectors given in the eigenbases over the components' posterior."""
        return torch.einsum("bk,bkj,kij->bi", log_joint.softmax(1), u, self._parts[3])


@dataclass(frozen=True, eq=False, repr=False)
class Gaussian(_Components):
    """A Gaussian with any mean and covariance.

    Attributes:
        mean: [dim]
        covariance: symmetric and positive definite. [dim, dim]

    Raises:
        InputError: if shapes do not fit, a value is not finite or `covariance` is not positive definite.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        _check_parameter("mean", self.mean, (None,))
        _check_parameter("covariance", self.covariance, (len(self.mean),) * 2)
        self._set(torch.ones_like(self.mean[:1]), self.mean[None], self.covariance[None], "covariance")


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMixture(_Components):
    """A mixture of k Gaussians.

    Attributes:
        means: [k, dim]
        covariances: each symmetric and positive definite. [k, dim, dim]
        weights: positive, summing to 1. [k]

    Raises:
        InputError: if shapes do not fit, a value is not finite, or one of the conditions above fails.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        _check_parameter("means", self.means, (None, None))
        k, dim = self.means.shape
        _check_parameter("covariances", self.covariances, (k, dim, dim))
        _check_parameter("weights", self.weights, (k,))
        total = float(self.weights.double().sum())
        if self.weights.amin() <= 0 or abs(total - 1) > 1e-6:
            raise InputError(f"weights: expected positive numbers that sum to 1, got {self.weights.tolist()}")
        self._set(self.weights, self.means, self.covariances, "covariances")


@dataclass(frozen=True, eq=False, repr=False)
class Empirical(_Distribution):
    """The uniform distribution on given points: its denoiser is what a perfect memorizer of them computes.

    Attributes:
        points: [n, dim]

    Raises:
        InputError: if there is no point, the shape is wrong or a value is not finite.
    """

    points: Tensor

    def __post_init__(self) -> None:
        _check_parameter("points", self.points, (None, None))

    @property
    def dim(self) -> int:
        """Number of coordinates of one point."""
        return self.points.shape[1]

    def sample(self, n: int, *, generator: torch.Generator) -> Float[Tensor, " n dim"]:
        """Draw n of the points with replacement.

        Raises:
            InputError: if `n` is below 1.
        """
        check_whole("n", n, least=1)
        draw = torch.randint(len(self.points), (n,), device=generator.device, generator=generator)
        return self.points[draw.to(self.points.device)]

    def log_prob(self, x: Tensor, t: float) -> Float[Tensor, " batch"]:
        """Give the log density of x_t in nats; at t = 0 there is none.

        Args:
            x: where. [batch, dim]
            t: Ornstein-Uhlenbeck time, above 0.

        Raises:
            InputError: if `x` has the wrong shape or `t` is not above 0.

        Source: [bonnaire2025] Eqs. (1)-(6)
        """
        delta = self._check(x, t)
        # log n + (d/2) log(2 pi delta_t)
        constant = math.log(len(self.points)) + self.dim / 2 * (_LOG_2PI + math.log(delta))
        return torch.cat([self._log_sum(wide(part), t) - constant for part in x.split(_ROWS)]).to(x)

    def _log_sum(self, x: Tensor, t: float) -> Tensor:
        """Give log sum_i exp(-|x - e^{-t} point_i|^2/(2 delta_t)), [batch]."""
        chunks = (logits.logsumexp(1) for logits, _ in self._logits(x, t))
        return reduce(torch.logaddexp, chunks) - x.square().sum(1) / (2 * _delta(t))

    def score(self, x: Tensor, t: float) -> Float[Tensor, " batch dim"]:
        """Give the gradient of `log_prob`, (e^{-t} denoiser - x)/delta_t. Arguments and errors as there.

        Source: [bonnaire2025] Eqs. (1)-(6)
        """
        delta = self._check(x, t)
        y = wide(x)
        return ((math.exp(-t) * self.denoiser(y, t) - y) / delta).to(x)

    def denoiser(self, x: Tensor, t: float) -> Float[Tensor, " batch dim"]:
        """Give E[x_0 | x_t = x]: the average of the points, weighted by their posterior given x.

        The weights are softmax(-|x - e^{-t} point|^2/(2 delta_t)). Arguments and errors as for `log_prob`.

        Source: [bonnaire2025] Eqs. (1)-(6)
        """
        self._check(x, t)
        return torch.cat([self._average(wide(part), t) for part in x.split(_ROWS)]).to(x)

    def _average(self, x: Tensor, t: float) -> Tensor:
        """Softmax average over chunks of points, rescaled whenever a larger logit turns up."""
        top = x.new_full((len(x), 1), -math.inf)
        mass = torch.zeros_like(top)
        total = torch.zeros_like(x)
        for logits, points in self._logits(x, t):
            new_top = torch.maximum(top, logits.amax(1, keepdim=True))
            weights = (logits - new_top).exp()
            fade = (top - new_top).exp()
            mass = fade * mass + weights.sum(1, keepdim=True)
            total = fade * total + weights @ points
            top = new_top
        return total / mass

    def _logits(self, x: Tensor, t: float) -> Iterator[tuple[Tensor, Tensor]]:
        """-|x - e^{-t} point|^2/(2 delta_t) without its |x|^2 [batch, chunk], and that chunk of points."""
        a = math.exp(-t)
        delta = _delta(t)
        for chunk in self.points.split(max(1, _TILE // max(self.dim, _ROWS))):
            points = wide(chunk)
            yield (x @ (a * points.mT) - a * a / 2 * points.square().sum(1)) / delta, points

    def _check(self, x: Tensor, t: float) -> float:
        _check_x(x, t, self.dim)
        if t == 0:
            raise InputError(
                "t: expected a time above 0 (at 0 an empirical distribution has no density), got 0"
            )
        return _delta(t)


Distribution = Gaussian | GaussianMixture | Empirical


def _delta(t: float) -> float:
    return -math.expm1(-2 * t)


def _check_x(x: object, t: object, dim: int) -> None:
    if not isinstance(x, Tensor):
        raise InputError(f"x: expected a tensor, got {type(x).__name__}")
    if x.ndim != 2 or x.shape[1] != dim or not x.is_floating_point():
        raise InputError(f"x: expected floats of shape [batch, {dim}], got {x.dtype} {tuple(x.shape)}")
    if not isinstance(t, Real) or not float(t) >= 0:  # infinity is pure noise
        raise InputError(f"t: expected a diffusion time of 0 or more, got {t!r}")


def _check_parameter(name: str, value: object, shape: tuple[int | None, ...]) -> None:
    if not isinstance(value, Tensor):
        raise InputError(f"{name}: expected a tensor, got {type(value).__name__}")
    if not (_fits(value, shape) and value.is_floating_point()):
        got = f"{value.dtype} {tuple(value.shape)}"
        raise InputError(f"{name}: expected floats of shape {shape} (None: any but 0), got {got}")
    if not bool(value.isfinite().all()):
        raise InputError(f"{name}: expected finite values, got NaN or infinity")


def _fits(value: Tensor, shape: tuple[int | None, ...]) -> bool:
    if value.ndim != len(shape) or value.numel() == 0:
        return False
    return all(want in (None, got) for want, got in zip(shape, value.shape, strict=True))
