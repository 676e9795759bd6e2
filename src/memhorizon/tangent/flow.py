"""The training of a network, taken linear in its weights from some step on: what it would do, not trained.

Around the weights theta_0 the outputs are f_0 + J (theta - theta_0). The denoising loss over the training
set, all noise levels and all noise is then quadratic. With residuals r = f - E[target | x_t], where the
expectation is over the training set (what is left to learn: f = target on average is the perfect memorizer),
at m noised items of d coordinates each,
    loss = |r|^2/(m d) + what no network can learn.
Small steps with learning rates R, one for each weight, follow
    d theta/d step = -R (2/(m d)) J^T r,   d r/d step = -K r,   K = (2/(m d)) J R J^T,
    r = e^{-K step} r_0,                   theta - theta_0 = -R (2/(m d)) J^T K^{-1} (1 - e^{-K step}) r_0.
Each direction of K decays at its eigenvalue in the outputs and at twice that in the loss. The spectrum of K
that counts is the measure of r_0 on it, by Lanczos' algorithm.

What is left out: curvature of the network, the change of R, the noise of batches, and steps so large that
1 - eigenvalue is not e^{-eigenvalue}.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from memhorizon.checks import check_kind, check_number, check_whole
from memhorizon.diffusion import Prediction, check_prediction
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule
from memhorizon.tangent.draws import Draws, noised
from memhorizon.tangent.krylov import Krylov, krylov
from memhorizon.tangent.network import TangentNetwork
from memhorizon.tangent.products import pull, push, trained


@dataclass(frozen=True, eq=False, repr=False)
class TangentFlow:
    """A training from the weights of a network on, linear in them; make it by `tangent_flow`.

    Attributes:
        network: at the start.
        rates: learning rate of each weight. [p]
        draws: noised training items, and what is to be learned there.
        krylov: the kernel K seen from the residual.
    """

    network: nn.Module
    rates: Float[Tensor, " p"]
    draws: Draws
    krylov: Krylov

    def excess(self, steps: Sequence[float]) -> Float64[np.ndarray, " steps"]:
        """Training loss above that of the perfect memorizer, after so many steps: sum w e^{-2 lambda step}.

        Source: [jacot2018] Sec. 5
        """
        krylov = self.krylov
        start = krylov.length**2 / self.draws.target.numel()
        decays = torch.exp(-2 * torch.tensor(list(steps), dtype=torch.float64)[:, None] * krylov.eigenvalues)
        return (start * decays @ krylov.weights).numpy()

    def model(self, step: float) -> TangentNetwork:
        """The tangent of the network after so many steps; it is sampled and measured like any network."""
        check_number("step", step, least=0)
        draws = self.draws
        # K^{-1} (1 - e^{-K step}) r_0, -> step r_0 where K vanishes
        past = self.krylov.apply(lambda rate: step * _mean_decay(rate * step))
        pulled = pull(self.network, draws.x, draws.index, past.reshape(draws.x.shape))
        # theta - theta_0 = -R (2/(m d)) J^T K^{-1} (1 - e^{-K step}) r_0
        moved = TangentNetwork(self.network)
        moved.change.data.copy_(-2 / draws.target.numel() * self.rates * pulled)
        return moved

    def __repr__(self) -> str:
        return f"TangentFlow({len(self.rates):,} weights, {len(self.draws.x):,} noised items, {self.krylov})"


def _mean_decay(x: Tensor) -> Tensor:
    """(1 - e^{-x})/x, 1 at 0."""
    safe = torch.where(x == 0, 1.0, x)
    return torch.where(x == 0, 1.0, -torch.expm1(-safe) / safe)


def tangent_flow(
    network: nn.Module,
    train: Float[Tensor, " n *item"],
    rates: Float[Tensor, " p"],
    *,
    schedule: Schedule,
    noises: int = 16,
    size: int = 60,
    prediction: Prediction = "noise",
    diffusion_time: float | None = None,
    seed: int = 0,
) -> TangentFlow:
    """Follow the training of a network on from its weights, linear in them, with nothing fitted.

    It takes `size` products with the kernel, each as long as some eight calls of the network on all noised
    items, and keeps `size` vectors of as many numbers as these have.

    Args:
        network: model(x, index), at the step from which to go on; it is not changed.
        train: its training items, on its device. [n, *item]
        rates: learning rate of each trained weight, as `learning_rates` gives it. [p]
        schedule: the noise levels that it is trained at.
        noises: noised versions of each training item, of levels spread over the schedule.
        size: nodes of the quadrature.
        prediction: what the network puts out.
        diffusion_time: the one that it is trained at; None for all levels but the cleanest.
        seed: of the noise.

    Raises:
        InputError: if the network has another number of trained weights than `rates` has entries, an argument
            is out of range, or nothing is left to learn.

    Source: [jacot2018] Sec. 5, [lee2019] Sec. 2.2
    """
    check_kind("network", network, nn.Module)
    check_kind("schedule", schedule, Schedule)
    check_whole("noises", noises, least=1)
    check_prediction(prediction)
    _check_rates(rates, network)
    draws = noised(
        train, schedule, noises=noises, prediction=prediction, diffusion_time=diffusion_time, seed=seed
    )
    count = draws.target.numel()

    def product(rows: Tensor) -> Tensor:
        """K w, [m d]."""
        pulled = pull(network, draws.x, draws.index, rows.reshape(draws.x.shape))
        return 2 / count * push(network, draws.x, draws.index, rates * pulled)[1].flatten()

    nothing = torch.zeros_like(rates)
    residual = push(network, draws.x, draws.index, nothing)[0] - draws.target
    return TangentFlow(network, rates, draws, krylov(product, residual.flatten(), size=size))


def _check_rates(rates: Tensor, network: nn.Module) -> None:
    n_weights = sum(weight.numel() for weight in trained(network))
    if rates.shape != (n_weights,):
        raise InputError(f"rates: expected one for each of {n_weights} weights, got {tuple(rates.shape)}")
