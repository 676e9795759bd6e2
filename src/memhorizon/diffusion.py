"""What a diffusion network is asked for: noise, x0 or v; how these turn into each other; the loss per item.

A model is any callable `model(x, index)`: x [batch, *item], index int64 [batch] -> [batch, *item].
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from memhorizon.checks import check_choice
from memhorizon.devices import wide
from memhorizon.distributions import Distribution
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule

Prediction = Literal["noise", "x0", "v"]
Model = Callable[[Tensor, Tensor], Tensor]


def amplitudes(alpha_bar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Give sqrt(alpha_bar) and sqrt(1 - alpha_bar), rooted in alpha_bar's precision, then made like `like`.

    They have the number of dimensions of `like`, so that they multiply its items.
    """
    alpha_bar = alpha_bar.reshape(-1, *(1,) * (like.ndim - 1))
    return alpha_bar.sqrt().to(like), (1 - alpha_bar).sqrt().to(like)


def add_noise(
    x0: Float[Tensor, " batch *item"], noise: Float[Tensor, " batch *item"], alpha_bar: Tensor
) -> Float[Tensor, " batch *item"]:
    """Draw x_t given x_0: sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise.

    Source: [ho2020] Eq. (4)
    """
    a, b = amplitudes(alpha_bar, x0)
    return a * x0 + b * noise


def target(
    x0: Float[Tensor, " batch *item"],
    noise: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Give what the model should put out: noise, x0, or v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0.

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return noise
    if prediction == "x0":
        return x0
    a, b = amplitudes(alpha_bar, x0)
    return a * noise - b * x0


def to_x0(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[x_0 | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "x0":
        return output
    a, b = amplitudes(alpha_bar, x_t)
    return (x_t - b * output) / a if prediction == "noise" else a * x_t - b * output


def to_noise(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[noise | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return output
    a, b = amplitudes(alpha_bar, x_t)
    return (x_t - a * output) / b if prediction == "x0" else a * output + b * x_t


def to_score(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of the score, -E[noise | x_t]/sqrt(1 - alpha_bar).

    Source: [bonnaire2025] Eqs. (1)-(6)
    """
    return -to_noise(output, x_t, alpha_bar, prediction) / amplitudes(alpha_bar, x_t)[1]


def item_losses(
    model: Model,
    x0: Float[Tensor, " batch *item"],
    index: Shaped[Tensor, " batch"],
    noise: Float[Tensor, " batch *item"],
    *,
    schedule: Schedule,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch"]:
    """Give each item's denoising loss: the squared error of the model's output, averaged over coordinates.

    Its mean over items is the loss that is trained; gradients flow, the mode of the model is the caller's.

    Raises:
        InputError: if the model's output is no tensor of the shape of its input.

    Source: [bonnaire2025] Eqs. (1)-(6), [ho2020] Eq. (14)
    """
    alpha_bar = schedule.at(index)  # [batch]
    output = predict(model, add_noise(x0, noise, alpha_bar), index)
    wanted = target(x0, noise, alpha_bar, prediction)
    return (output.to(x0.dtype) - wanted).square().flatten(1).mean(1)


def predict(model: Model, x: Float[Tensor, " batch *item"], index: Shaped[Tensor, " batch"]) -> Tensor:
    """Call the model and check the shape of what it gives.

    Raises:
        InputError: if the model cannot be called, or its output is no tensor of the shape of `x`.
    """
    if not callable(model):
        raise InputError(f"model: expected a callable model(x, index), got {type(model).__name__}")
    output = model(x, index)
    _check_tensor(output)
    _check_shape(output, x)
    return output


def _check_tensor(output: object) -> None:
    if not isinstance(output, Tensor):
        raise InputError(
            f"model: expected a tensor of the shape of its input, got {type(output).__name__}; return the "
            "tensor alone, for a network that gives more lambda x, index: net(x, index).sample, say"
        )


def _check_shape(output: Tensor, x: Tensor) -> None:
    if output.shape != x.shape:
        raise InputError(f"model: expected an output of shape {tuple(x.shape)}, got {tuple(output.shape)}")


def ideal_model(distribution: Distribution, schedule: Schedule, prediction: Prediction = "noise") -> Model:
    """Make the model that has learned a distribution exactly; on `Empirical` it is the perfect memorizer.

    The distribution's coordinates are those of the items, flattened; it must be on their device (see its
    `to`), or on the CPU where that device has no 64 bits.
    """
    check_prediction(prediction)

    def model(x: Tensor, index: Tensor) -> Tensor:
        return exact_output(distribution, x, schedule.at(index), prediction)

    return model


def exact_output(
    distribution: Distribution,
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction,
) -> Float[Tensor, " batch *item"]:
    """Give what a model of this prediction that has learned a distribution exactly puts out at x_t.

    Args:
        distribution: of x_0, flattened.
        x_t: where. [batch, *item]
        alpha_bar: noise level of each item, or one for all. [batch] or [1]
        prediction: what is put out.
    """
    x = wide(x_t.flatten(1))  # [batch, d]
    levels = alpha_bar.to(x.device).expand(len(x))  # [batch]
    output = torch.empty_like(x)
    for level in levels.unique():  # one closed form per noise level
        rows = levels == level
        x0 = distribution.denoiser(x[rows], float(-0.5 * level.log()))
        noise = to_noise(x0, x[rows], level, "x0")
        output[rows] = target(x0, noise, level, prediction)
    return output.reshape(x_t.shape).to(x_t)


def check_prediction(prediction: object) -> Prediction:
    """Return a known kind of prediction.

    Raises:
        InputError: if it is none.
    """
    return check_choice("prediction", prediction, get_args(Prediction))
