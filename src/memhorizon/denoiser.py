"""What any network is to the rest of the package: denoiser(x, sigma) -> E[x_0 | x], x = x_0 + sigma noise.

Networks are trained to put out noise, x_0, v or a velocity, each behind other scalings. A `Denoiser` holds
one of them together with what its output means. Inside, everything is asked in the coordinates in which x_t
has unit variance where the data have,
    x_t = sqrt(alpha_bar) x,  alpha_bar = 1/(1 + sigma^2).

A network that was trained at the levels of a discrete schedule is asked, for a sigma between two of them, at
the level whose sigma is nearest, while x keeps the scale of the sigma itself: what the published wrappers of
such networks do ([karras2022] Table 1, c_in and c_noise of iDDPM). At its levels this is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from memhorizon.checks import check_choice, check_number, check_whole
from memhorizon.devices import wide
from memhorizon.diffusion import (
    Model,
    Prediction,
    add_noise,
    amplitudes,
    check_prediction,
    exact_output,
    predict,
    target,
    to_x0,
)
from memhorizon.distributions import Distribution
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule

DataEnd = Literal["tau=0", "tau=1"]
_DIFFUSERS: dict[str, Prediction] = {"epsilon": "noise", "sample": "x0", "v_prediction": "v"}


@dataclass(frozen=True, eq=False, repr=False)
class Denoiser:
    """A network and what its output means; make it by `noise`, `x0`, `v`, `velocity`, `edm` or `diffusers`.

    Called as denoiser(x, sigma) it gives E[x_0 | x_0 + sigma noise = x]. The mode of the network (dropout)
    and gradients are the caller's. `sample`, the losses and the other measures take a Denoiser in place of a
    model with its schedule.

    Attributes:
        output: (x_t [batch, *item], alpha_bar [batch] or [1] in float64) -> output [batch, *item].
        prediction: what the output is an estimate of, and what its denoising loss is measured in.
        schedule: the noise levels that it is sampled and measured at unless others are named.
        name: for messages.
    """

    output: Callable[[Tensor, Tensor], Tensor]
    prediction: Prediction
    schedule: Schedule
    name: str = "custom"

    @classmethod
    def noise(cls, model: Model, schedule: Schedule) -> "Denoiser":
        """Wrap a model(x_t, index) that puts out the noise, trained at the levels of `schedule`.

        Raises:
            InputError: if the model cannot be called or `schedule` is none.

        Source: [ho2020] Eq. (4)
        """
        return _of_levels(model, schedule, "noise")

    @classmethod
    def x0(cls, model: Model, schedule: Schedule) -> "Denoiser":
        """Wrap a model(x_t, index) that puts out x_0. Arguments and errors as for `noise`."""
        return _of_levels(model, schedule, "x0")

    @classmethod
    def v(cls, model: Model, schedule: Schedule) -> "Denoiser":
        """Wrap a model(x_t, index) that puts out v. Arguments and errors as for `noise`.

        Source: [salimans2022] Sec. 4
        """
        return _of_levels(model, schedule, "v")

    @classmethod
    def velocity(
        cls, model: Model, *, data_at: DataEnd = "tau=0", schedule: Schedule | None = None
    ) -> "Denoiser":
        """Wrap a model(x_tau, tau) of a flow along straight paths (flow matching, rectified flow).

        With the data at tau = 0, x_tau = (1 - tau) x_0 + tau noise and the model puts out the velocity
        noise - x_0; with the data at tau = 1 both are turned round.

        Args:
            model: called with x_tau [batch, *item] and tau [batch], floats from 0 to 1.
            data_at: at which end of the path the data lie.
            schedule: the levels it is sampled and measured at; None: 1,000 of `Schedule.flow`.

        Raises:
            InputError: if the model cannot be called, or an option is none of those.

        Source: [lipman2023] Eqs. (20)-(22)
        """
        _check_callable(model, "model(x_tau, tau)")
        levels = Schedule.flow() if schedule is None else _checked_schedule(schedule)
        check_choice("data_at", data_at, get_args(DataEnd))
        path = _turned(model) if data_at == "tau=1" else model

        def output(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
            a, b = amplitudes(alpha_bar, x_t)
            # the point of the path with the same noise-to-signal ratio: x_tau = x_t/(a + b), tau = b/(a + b)
            u = predict(path, x_t / (a + b), _each(_tau(alpha_bar), x_t))
            # with x_0 = x_tau - tau u and noise = x_tau + (1 - tau) u
            # v = a noise - b x_0 = ((a - b) x_t + u)/(a + b)
            return ((a - b) * x_t + u) / (a + b)

        return cls(output, "v", levels, "velocity")

    @classmethod
    def edm(
        cls, net: Model, *, sigma_data: float | None = None, schedule: Schedule | None = None
    ) -> "Denoiser":
        """Wrap a network of EDM, or any function net(x, sigma) -> E[x_0 | x].

        Args:
            net: with its preconditioning, called with x [batch, *item] and sigma [batch], giving E[x_0 | x];
                or, where `sigma_data` is given, the raw network F, called with c_in x and c_noise [batch].
            sigma_data: standard deviation of the data that the preconditioning of F assumes (EDM: 0.5).
            schedule: the levels it is sampled and measured at; None: 1,000 of `Schedule.edm`.

        Raises:
            InputError: if the network cannot be called or `sigma_data` is not above 0.

        Source: [karras2022] Table 1, Eq. (7)
        """
        _check_callable(net, "net(x, sigma)")
        if sigma_data is None:
            denoised = net
        else:
            check_number("sigma_data", sigma_data, above=0)
            denoised = _preconditioned(net, sigma_data)
        levels = Schedule.edm() if schedule is None else _checked_schedule(schedule)
        return _of_denoised(denoised, levels, "edm")

    @classmethod
    def diffusers(cls, unet: Callable[..., object], scheduler: object) -> "Denoiser":
        """Wrap a network of diffusers with the scheduler that it was trained with.

        Args:
            unet: called with x_t and the timestep [batch]; gives a tensor or an output whose `sample` is one.
            scheduler: a scheduler with `alphas_cumprod` (DDPMScheduler, DDIMScheduler, ...), or one of flow
                matching (FlowMatchEulerDiscreteScheduler, ...).

        Raises:
            InputError: if the network cannot be called, or the scheduler says neither its noise levels nor
                that it is one of flow matching.
        """
        _check_callable(unet, "unet(x, timestep)")
        model = _sample_of(unet)
        config = getattr(scheduler, "config", None)
        if "FlowMatch" in type(scheduler).__name__:
            count = check_whole(
                "scheduler.num_train_timesteps", getattr(config, "num_train_timesteps", 1000), least=1
            )
            return cls.velocity(lambda x, tau: model(x, count * tau))
        kind = getattr(config, "prediction_type", None)
        table = getattr(scheduler, "alphas_cumprod", None)
        if not (isinstance(table, Tensor) and isinstance(kind, str) and kind in _DIFFUSERS):
            wanted = "one with alphas_cumprod and a known prediction_type, or one of flow matching"
            got = f"{type(scheduler).__name__} (prediction_type: {kind!r})"
            raise InputError(f"scheduler: expected {wanted}, got {got}")
        schedule = Schedule(table.cpu().double(), type(scheduler).__name__)
        return _of_levels(model, schedule, _DIFFUSERS[kind])

    @classmethod
    def exact(cls, distribution: Distribution, *, schedule: Schedule | None = None) -> "Denoiser":
        """Make the denoiser that has learned a distribution exactly; of `Empirical`, the perfect memorizer.

        Args:
            distribution: of the flattened items.
            schedule: the levels it is sampled and measured at; None: the 1,000 of `Schedule.linear`.

        Raises:
            InputError: if `distribution` is none, or `schedule` no Schedule.
        """
        if not isinstance(distribution, get_args(Distribution)):
            wanted = ", ".join(kind.__name__ for kind in get_args(Distribution))
            raise InputError(f"distribution: expected one of {wanted}, got {type(distribution).__name__}")
        levels = Schedule.linear() if schedule is None else _checked_schedule(schedule)

        def output(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
            return exact_output(distribution, x_t, alpha_bar, "v")

        return cls(output, "v", levels, "exact")

    def __call__(
        self, x: Float[Tensor, " batch *item"], sigma: float | Tensor
    ) -> Float[Tensor, " batch *item"]:
        """Estimate E[x_0 | x_0 + sigma noise = x].

        Args:
            x: noisy items. [batch, *item]
            sigma: standard deviation of their noise, one for all or one for each. [batch]

        Raises:
            InputError: if `x` holds no floats, `sigma` is not positive and finite, or their numbers differ.
        """
        alpha_bar = 1 / (1 + _checked_sigma(x, sigma).square())  # [batch] or [1]
        x_t = amplitudes(alpha_bar, x)[0] * x
        output = self.output(x_t, alpha_bar)
        x_t = x_t.to(torch.promote_types(x_t.dtype, output.dtype))
        return to_x0(output, x_t, alpha_bar, self.prediction)

    def item_losses(
        self,
        x0: Float[Tensor, " batch *item"],
        noise: Float[Tensor, " batch *item"],
        alpha_bar: Float64[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """Give each item's denoising loss: the squared error of the output, averaged over coordinates.

        Source: [bonnaire2025] Eqs. (1)-(6), [ho2020] Eq. (14)
        """
        output = self.output(add_noise(x0, noise, alpha_bar), alpha_bar)
        wanted = target(x0, noise, alpha_bar, self.prediction)
        return (output.to(x0.dtype) - wanted).square().flatten(1).mean(1)

    def __repr__(self) -> str:
        return f"Denoiser({self.name}, loss in {self.prediction}, {self.schedule!r})"


def as_denoiser(
    model: object, schedule: object = None, prediction: Prediction | str | None = None
) -> Denoiser:
    """Return the denoiser that a model is with its schedule; a Denoiser with the levels of another schedule.

    Args:
        model: a Denoiser, or a model(x_t, index).
        schedule: that of the model; of a Denoiser, the levels to ask it at in place of those it has, or None.
        prediction: what the model puts out, None for noise; None for a Denoiser, which knows.

    Raises:
        InputError: if the model cannot be called, comes without a schedule, or the prediction is unknown or
            given for a Denoiser.
    """
    if not isinstance(model, Denoiser):
        kind = "noise" if prediction is None else prediction
        return _of_levels(model, schedule, kind)
    if prediction is not None:
        raise InputError(f"prediction: expected None, since a Denoiser knows, got {prediction!r}")
    if schedule is None:
        return model
    return replace(model, schedule=_checked_schedule(schedule))


def _of_levels(model: object, schedule: object, prediction: object) -> Denoiser:
    """The denoiser of a model that was trained at the levels of a schedule."""
    network = _check_callable(model, "model(x, index)")
    levels = _checked_schedule(schedule)
    kind = check_prediction(prediction)

    def output(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        index = levels.nearest(alpha_bar).to(x_t.device).expand(len(x_t)).contiguous()
        return predict(network, x_t, index)

    return Denoiser(output, kind, levels, kind)


def _of_denoised(denoised: Model, schedule: Schedule, name: str) -> Denoiser:
    """The denoiser of a function (x, sigma [batch]) -> E[x_0 | x]."""

    def output(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        a, b = amplitudes(alpha_bar, x_t)
        sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
        x0 = predict(denoised, x_t / a, _each(sigma, x_t))
        # v = a noise - b x_0 with noise = (x_t - a x_0)/b:  v = (a x_t - x_0)/b
        return (a * x_t - x0) / b

    return Denoiser(output, "v", schedule, name)


def _preconditioned(net: Model, sigma_data: float) -> Model:
    """The denoiser D(x, sigma) = c_skip x + c_out F(c_in x, c_noise) of a raw network F.

    Source: [karras2022] Table 1, Eq. (7)
    """

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        each = sigma.reshape(-1, *(1,) * (x.ndim - 1))
        norm = torch.hypot(each, torch.full_like(each, sigma_data))  # sqrt(sigma^2 + sigma_data^2)
        c_skip = (sigma_data / norm).square()
        c_out = each * sigma_data / norm
        c_in = 1 / norm
        c_noise = sigma.log() / 4
        return c_skip * x + c_out * predict(net, c_in * x, c_noise)

    return denoised


def _tau(alpha_bar: Tensor) -> Tensor:
    """Where on a straight path the noise-to-signal ratio is sigma: tau = sigma/(1 + sigma)."""
    a = alpha_bar.sqrt()
    b = (1 - alpha_bar).sqrt()
    return b / (a + b)


def _turned(model: Model) -> Model:
    """A flow from noise at tau = 0 to data at tau = 1, as one from data to noise."""

    def turned(x: Tensor, tau: Tensor) -> Tensor:
        return -predict(model, x, 1 - tau)

    return turned


def _sample_of(unet: Callable[..., object]) -> Model:
    """The network as a function that gives a tensor: of an output object, its `sample`."""

    def model(x: Tensor, timestep: Tensor) -> Tensor:
        return _tensor_of(unet(x, timestep))

    return model


def _tensor_of(output: object) -> Tensor:
    """The tensor that a network of diffusers gives."""
    found = output if isinstance(output, Tensor) else getattr(output, "sample", None)
    if not isinstance(found, Tensor):
        got = type(output).__name__
        raise InputError(f"unet: expected a tensor or an output whose `sample` is one, got {got}")
    return found


def _each(values: Float64[Tensor, " any"], like: Tensor) -> Float[Tensor, " batch"]:
    """One value for each item of `like`, in its type and on its device."""
    return values.to(like).expand(len(like)).contiguous()


def _check_callable(model: object, form: str) -> Model:
    if not callable(model):
        raise InputError(f"model: expected a callable {form}, got {type(model).__name__}")
    return cast(Model, model)


def _checked_schedule(schedule: object) -> Schedule:
    if not isinstance(schedule, Schedule):
        raise InputError(f"schedule: expected a Schedule, got {type(schedule).__name__}")
    return schedule


def _checked_sigma(x: object, sigma: object) -> Float64[Tensor, " any"]:
    """Sigma in float64, one for all items of x or one for each."""
    count = len(_checked_items(x))
    if not isinstance(sigma, Tensor):
        return torch.tensor([check_number("sigma", sigma, above=0)], dtype=torch.float64)
    if sigma.is_complex():
        raise InputError(f"sigma: expected real numbers, got {sigma.dtype}")
    values = wide(sigma).reshape(-1)
    positive = (values > 0) & values.isfinite()
    if len(values) not in (1, count) or not bool(positive.all()):
        wanted = f"one positive finite number, or one for each of the {count} items"
        raise InputError(f"sigma: expected {wanted}, got {values[:5].tolist()} ({len(values)} in all)")
    return values


def _checked_items(x: object) -> Tensor:
    if not isinstance(x, Tensor):
        raise InputError(f"x: expected a tensor of floats, [batch, *item], got {type(x).__name__}")
    if not x.is_floating_point() or x.ndim < 2:
        got = f"{x.dtype} of shape {tuple(x.shape)}"
        raise InputError(f"x: expected a tensor of floats, [batch, *item], got {got}")
    return x
