"""Noise schedules: one object that maps index <-> alpha_bar <-> Ornstein-Uhlenbeck time t <-> sigma.

The forward process in its four coordinates, for unit noise xi:
    x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) xi,  alpha_bar = e^{-2t},  sigma = sqrt(1/alpha_bar - 1)
"""

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, get_args

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from memhorizon.checks import check_choice, check_number, check_whole
from memhorizon.devices import widest_float
from memhorizon.errors import InputError

Kind = Literal["linear", "cosine"]


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """The noise level at each index of a diffusion grid of T levels, index 0 the cleanest.

    Attributes:
        alpha_bar: squared weight of the data, strictly decreasing, between 0 and 1; float64 on the CPU. [T]
        name: for messages and records.

    Raises:
        InputError: if `alpha_bar` is not such a table.
    """

    alpha_bar: Tensor
    name: str = "custom"
    _tables: dict[torch.device, Tensor] = field(default_factory=dict, init=False)
    _borders: dict[torch.device, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        table = self.alpha_bar
        if not isinstance(table, Tensor):
            raise InputError(f"alpha_bar: expected a tensor, got {type(table).__name__}")
        vector = table.ndim == 1 and len(table) > 0
        if not vector or table.dtype != torch.float64 or table.device.type != "cpu":
            raise InputError(
                "alpha_bar: expected a non-empty float64 vector on the CPU, "
                f"got {table.dtype} of shape {tuple(table.shape)} on {table.device}"
            )
        inside = (table > 0) & (table < 1)
        if not (bool(inside.all()) and bool((table.diff() < 0).all())):
            raise InputError(
                "alpha_bar: expected strictly decreasing values between 0 and 1 (both excluded), "
                f"got {table[0]:.6g} ... {table[-1]:.6g}"
            )

    @classmethod
    def linear(cls, n_levels: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> "Schedule":
        """Build the schedule of DDPM: beta grows linearly, alpha_bar = prod (1 - beta).

        Raises:
            InputError: if `n_levels` < 1 or not 0 < beta_start <= beta_end < 1.

        Source: [ho2020] Sec. 4
        """
        check_whole("n_levels", n_levels, least=1)
        _check_betas(beta_start, beta_end)
        beta = torch.linspace(beta_start, beta_end, n_levels, dtype=torch.float64)  # [T]
        return cls((1 - beta).cumprod(0), "linear")

    @classmethod
    def cosine(cls, n_levels: int = 1000) -> "Schedule":
        """Build the cosine schedule, with beta capped at 0.999.

        Raises:
            InputError: if `n_levels` < 1.

        Source: [nichol2021] Eq. (17)
        """
        check_whole("n_levels", n_levels, least=1)
        u = torch.arange(n_levels + 1, dtype=torch.float64) / n_levels  # [T+1]
        f = ((u + 0.008) / 1.008 * math.pi / 2).cos().square()  # [T+1]
        beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)  # [T]
        return cls((1 - beta).cumprod(0), "cosine")

    @classmethod
    def edm(
        cls, n_levels: int = 1000, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
    ) -> "Schedule":
        """Build the levels that EDM samples at: sigma^(1/rho) grows linearly from sigma_min to sigma_max.

        Raises:
            InputError: if `n_levels` < 2, not 0 < sigma_min < sigma_max, or `rho` is not above 0.

        Source: [karras2022] Eq. (5)
        """
        check_whole("n_levels", n_levels, least=2)
        check_number("sigma_min", sigma_min, above=0)
        check_number("sigma_max", sigma_max, above=sigma_min)
        check_number("rho", rho, above=0)
        ends = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
        sigma = torch.linspace(*ends, n_levels, dtype=torch.float64) ** rho  # [T]
        return cls(1 / (1 + sigma.square()), "edm")

    @classmethod
    def flow(cls, n_levels: int = 1000) -> "Schedule":
        """Build the levels of a straight path x_tau = (1 - tau) x_0 + tau noise, tau = k/(T + 1), k = 1..T.

        Its noise-to-signal ratio is sigma = tau/(1 - tau).

        Raises:
            InputError: if `n_levels` < 1.

        Source: [lipman2023] Eqs. (20)-(22)
        """
        check_whole("n_levels", n_levels, least=1)
        tau = torch.arange(1, n_levels + 1, dtype=torch.float64) / (n_levels + 1)  # [T]
        sigma = tau / (1 - tau)
        return cls(1 / (1 + sigma.square()), "flow")

    def __len__(self) -> int:
        return len(self.alpha_bar)

    @property
    def _indices(self) -> Tensor:
        return torch.arange(len(self))

    def __repr__(self) -> str:
        ends = self.sigma(torch.tensor([0, len(self) - 1]))
        return f"Schedule({self.name}, {len(self)} levels, sigma {ends[0]:.3g} to {ends[1]:.3g})"

    def at(self, index: int | Tensor) -> Float64[Tensor, "*batch"]:
        """Give alpha_bar at these indices, on the device of `index`; on the CPU where that has no 64 bits."""
        if not isinstance(index, Tensor):
            return self.alpha_bar[index]
        if widest_float(index.device) != torch.float64:
            index = index.cpu()
        return self._table_on(index.device)[index]

    def _table_on(self, device: torch.device) -> Float64[Tensor, " levels"]:
        """alpha_bar on a device, copied there once."""
        table = self._tables.get(device)
        if table is None:
            table = self._tables[device] = self.alpha_bar.to(device)
        return table

    def t(self, index: int | Tensor) -> Float64[Tensor, "*batch"]:
        """Give the Ornstein-Uhlenbeck time -log(alpha_bar)/2.

        Source: [bonnaire2025] SM A
        """
        return -0.5 * self.at(index).log()

    def sigma(self, index: int | Tensor) -> Float64[Tensor, "*batch"]:
        """Give the noise-to-signal ratio sqrt((1 - alpha_bar)/alpha_bar)."""
        alpha_bar = self.at(index)
        return ((1 - alpha_bar) / alpha_bar).sqrt()

    def delta_t(self, index: int | Tensor) -> Float64[Tensor, "*batch"]:
        """Give the noise variance 1 - alpha_bar = 1 - e^{-2t}.

        Source: [bonnaire2025] Eqs. (1)-(6)
        """
        return 1 - self.at(index)

    def index_of_t(self, t: float) -> int:
        """Give the index whose Ornstein-Uhlenbeck time is nearest to `t`.

        Raises:
            InputError: if `t` is no number, or lies farther from the schedule's first or last time than half
                a step: what is measured there would bear the label of another time.
        """
        return self._nearest("t", t, self.t(self._indices), 0.0)

    def index_of_sigma(self, sigma: float) -> int:
        """Give the index whose sigma is nearest. Errors as for `index_of_t`."""
        return self._nearest("sigma", sigma, self.sigma(self._indices), 0.0)

    def index_of_alpha_bar(self, alpha_bar: float) -> int:
        """Give the index whose alpha_bar is nearest. Errors as for `index_of_t`."""
        return self._nearest("alpha_bar", alpha_bar, self.alpha_bar, 1.0)

    def nearest(self, alpha_bar: Tensor) -> Int64[Tensor, "*batch"]:
        """Give the indices whose sigma is nearest to that of each alpha_bar; of two as near, the cleaner.

        Beyond the first or the last level that level is the nearest; `index_of_alpha_bar` would refuse.
        """
        borders = self._borders_on(alpha_bar.device)
        return torch.searchsorted(borders, ((1 - alpha_bar) / alpha_bar).sqrt())

    def _borders_on(self, device: torch.device) -> Float64[Tensor, " borders"]:
        """Middles between neighbouring levels in sigma, on a device, made once. [T-1]."""
        borders = self._borders.get(device)
        if borders is None:
            table = self.sigma(self._indices)  # [T]
            borders = ((table[1:] + table[:-1]) / 2).to(device)  # [T-1]
            self._borders[device] = borders
        return borders

    def _nearest(self, name: str, value: float, table: Tensor, clean: float) -> int:
        """The index nearest to `value`; `clean` is the coordinate of no noise, one step before index 0."""
        check_number(name, value)
        first, last = self._ends(table, clean)
        low, high = sorted((first, last))
        if not low <= value <= high:
            ends = f"{float(table[0]):.6g} to {float(table[-1]):.6g}, the {len(self)} levels of {self.name!r}"
            raise InputError(f"{name}: expected within half a step of {ends}, got {value:g}")
        return int((table - value).abs().argmin())

    def _ends(self, table: Tensor, clean: float) -> tuple[float, float]:
        """Half a step before the first level, and half a step after the last one."""
        path = torch.cat([torch.tensor([clean], dtype=torch.float64), table])  # [T+1]
        first = (path[0] + path[1]) / 2
        last = path[-1] + (path[-1] - path[-2]) / 2
        return float(first), float(last)


def _check_betas(start: object, end: object) -> None:
    numbers = isinstance(start, Real) and isinstance(end, Real)
    if not (numbers and 0 < start <= end < 1):  # pyright: ignore[reportOperatorIssue]
        raise InputError(
            f"beta_start, beta_end: expected 0 < beta_start <= beta_end < 1, got {start!r}, {end!r}"
        )


@dataclass(frozen=True)
class ScheduleConfig:
    """Which noise schedule a run uses.

    Attributes:
        kind: "linear" (the paper's) or "cosine".
        n_levels: number of noise levels T, at least 2.
        beta_start: first beta, "linear" only.
        beta_end: last beta, "linear" only.
    """

    kind: Kind = "linear"
    n_levels: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(Kind))
        check_whole("n_levels", self.n_levels, least=2)  # level 0 is never trained: one trains nothing
        check_number("beta_start", self.beta_start, above=0, below=1)
        check_number("beta_end", self.beta_end, above=0, below=1)
        self.build()

    def build(self) -> Schedule:
        """Build the schedule.

        Raises:
            InputError: as `Schedule.linear` and `Schedule.cosine`.
        """
        if self.kind == "cosine":
            return Schedule.cosine(self.n_levels)
        return Schedule.linear(self.n_levels, self.beta_start, self.beta_end)
