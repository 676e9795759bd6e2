"""The U-Net's operations on small images on a CPU: numbers as torch has them, but for the order of sums.

The kernels of torch are made for wide networks. Heads of at most 8 numbers, groups of at most 4 channels and
images of 2 x 2 pixels are computed here by products of matrices instead, in a third to two thirds of the
time. What is computed for an image follows from its shape alone, not from the other images of its batch.

Where `usable` is false callers take the kernels of torch. There is no second derivative, as there is none of
torch's fused attention; what switches that off, `sdpa_kernel(SDPBackend.MATH)`, switches these off, too.
"""

from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

NARROW_HEAD = 8  # numbers; beyond, torch's fused attention is as fast
NARROW_GROUP = 4  # channels
FEW_PIXELS = 16  # of an image: with fewer, its heads are too small for products
KEPT_PIXELS = 64  # attention between more pixels is computed again for the gradient rather than kept
AT_ONCE = 2**16  # pairs of pixels: 256 kB, which stay in the second cache


@runtime_checkable
class Kept(Protocol):
    """What a forward pass leaves to its backward pass."""

    saved_tensors: tuple[Tensor, ...]


def _check_first() -> None:
    """Refuse a second derivative: some of what is kept would count as constant."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "the fast operations on small images have no second derivative; put the call of the network "
            "into torch.nn.attention.sdpa_kernel(SDPBackend.MATH), which switches them off"
        )


def usable(x: Tensor) -> bool:
    """Whether the operations here may be used: on a CPU, as they are called, with one derivative."""
    return (
        x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.cuda.flash_sdp_enabled()  # of the CPU, too
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def has_narrow_heads(qkv: Float[Tensor, " batch pixels three_channels"], heads: int) -> bool:
    """Whether `attention` is the faster way."""
    return qkv.shape[1] >= FEW_PIXELS and qkv.shape[2] <= 3 * heads * NARROW_HEAD and usable(qkv)


def attention(
    qkv: Float[Tensor, " batch pixels three_channels"], heads: int
) -> Float[Tensor, " batch pixels channels"]:
    """Softmax attention of each head, softmax(q k^T / sqrt(d)) v, from queries, keys and values in a row."""
    batch, pixels, _ = qkv.shape
    # the pixels last, so that the long side of every product is theirs
    parts = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 4, 1).flatten(1, 2)
    mixed = _attention(parts)  # [batch heads, d, pixels]
    return mixed.view(batch, -1, pixels).transpose(1, 2)


def _attention(qkv: Float[Tensor, "3 m d pixels"]) -> Float[Tensor, " m d pixels"]:
    """With a gradient only where one is asked for."""
    return _Attention.apply(qkv) if torch.is_grad_enabled() else _mixed(qkv, None)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor) -> Tensor:
        m, _, pixels = qkv[0].shape
        weights = qkv.new_empty(m, pixels, pixels) if pixels <= KEPT_PIXELS else None
        out = _mixed(qkv, weights)
        ctx.save_for_backward(qkv, out, *([] if weights is None else [weights]))
        return out

    @staticmethod
    def backward(ctx: Kept, *grad: Tensor) -> Tensor:
        _check_first()
        return _mixed_backward(*grad, *ctx.saved_tensors)


def _mixed(qkv: Tensor, weights: Tensor | None) -> Tensor:
    """The mixtures of the values, some heads at once; `weights` [m, pixels, pixels] keeps their weights."""
    q, k, v = qkv
    out = torch.empty_like(v)
    for some in _parts(v):
        held = None if weights is None else weights[some]
        # out = v W^T, all transposed
        torch.bmm(v[some], _weights(q[some], k[some], held).transpose(1, 2), out=out[some])
    return out


def _weights(q: Tensor, k: Tensor, out: Tensor | None) -> Tensor:
    """W = softmax(q k^T / sqrt(d)) of transposed queries and keys [m, d, pixels]."""
    scores = torch.bmm((q * q.shape[1] ** -0.5).transpose(1, 2), k)
    return torch.softmax(scores, 2, out=out)


def _mixed_backward(grad: Tensor, qkv: Tensor, out: Tensor, weights: Tensor | None = None) -> Tensor:
    """The gradient [3, m, d, pixels] from that by the mixtures."""
    q, k, v = qkv
    result = torch.empty_like(qkv)
    dq, dk, dv = result
    # sum_k W dW = g . out
    mean = (grad * out).sum(1)[:, :, None]
    for some in _parts(v):
        W = _weights(q[some], k[some], None) if weights is None else weights[some]
        g = grad[some]
        # dv = g W;  dS = W (dW - sum_k W dW), dW = g^T v
        torch.bmm(g, W, out=dv[some])
        dS = torch.bmm(g.transpose(1, 2), v[some]).sub_(mean[some]).mul_(W)
        # dq = k dS^T / sqrt(d);  dk = q dS / sqrt(d)
        torch.bmm(k[some], dS.transpose(1, 2), out=dq[some])
        torch.bmm(q[some], dS, out=dk[some])
    result[:2] *= q.shape[1] ** -0.5
    return result


def _parts(v: Tensor) -> list[slice]:
    """The heads that are computed at once."""
    size = max(1, AT_ONCE // v.shape[2] ** 2)
    return [slice(first, first + size) for first in range(0, len(v), size)]


def has_narrow_groups(x: Float[Tensor, " batch height width channels"], groups: int) -> bool:
    """Whether `group_norm` is the faster way."""
    many = x.shape[1] * x.shape[2] >= KEPT_PIXELS
    return many and x.shape[3] <= NARROW_GROUP * groups and usable(x)


def group_norm(
    x: Float[Tensor, " batch height width channels"], groups: int, weight: Tensor, bias: Tensor, eps: float
) -> Float[Tensor, " batch height width channels"]:
    """Normalise the channels of each group together, over all pixels of an image, then scale and shift."""
    flat = x.flatten(1, 2)
    if torch.is_grad_enabled():
        return _GroupNorm.apply(flat, groups, weight, bias, eps).view(x.shape)
    average = _average(flat.shape[1], flat.shape[2], groups, x.dtype)
    return _normalised(flat, average, weight, bias, eps)[0].view(x.shape)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        average = _average(x.shape[1], x.shape[2], groups, x.dtype)
        out, mean, precision = _normalised(x, average, weight, bias, eps)
        ctx.save_for_backward(x, average, weight, mean, precision)
        return out

    @staticmethod
    def backward(ctx: Kept, *grad: Tensor) -> tuple[Tensor | None, ...]:
        _check_first()
        dx, dweight, dbias = _normalised_backward(*grad, *ctx.saved_tensors)
        return dx, None, dweight, dbias, None


def _normalised(
    x: Tensor, average: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs [batch, pixels, channels], means and 1/deviations of the groups [batch, channels]."""
    square = x * x
    mean = x.sum(1) @ average
    # 1/sqrt(E x^2 - (E x)^2 + eps)
    variance = (square.sum(1) @ average).addcmul_(mean, mean, value=-1)
    precision = variance.clamp_(min=0).add_(eps).rsqrt_()
    # y = a x + (bias - a mean), a = weight/deviation
    a = precision * weight
    shift = torch.addcmul(bias, mean, a, value=-1)
    return torch.addcmul(shift[:, None], x, a[:, None], out=square), mean, precision


def _normalised_backward(
    grad: Tensor, x: Tensor, average: Tensor, weight: Tensor, mean: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by inputs, weight and bias."""
    product = grad * x
    # sums over the pixels, of g and of g xhat, xhat = (x - mean) precision
    dbias = grad.sum(1)
    dweight = product.sum(1).addcmul_(mean, dbias, value=-1).mul_(precision)
    # dx = precision (weight g - E[weight g] - xhat E[weight g xhat]) = a g - b x - c
    b = ((dweight * weight) @ average).mul_(precision).mul_(precision)
    c = ((dbias * weight) @ average).mul_(precision).addcmul_(b, mean, value=-1)
    dx = torch.addcmul(c.neg_()[:, None], x, b[:, None], value=-1, out=product)
    return dx.addcmul_(grad, (precision * weight)[:, None]), dweight.sum(0), dbias.sum(0)


@lru_cache(maxsize=64)
def _average(pixels: int, channels: int, groups: int, dtype: torch.dtype) -> Tensor:
    """The matrix [channels, channels] that takes sums over the pixels to means of the groups."""
    size = channels // groups
    with torch.inference_mode(False):
        block = torch.full((size, size), 1 / (size * pixels), dtype=dtype, device="cpu")
        return torch.block_diag(*[block] * groups)


def is_two_by_two(x: Float[Tensor, " batch height width channels"]) -> bool:
    """Whether `convolution` can be used."""
    return x.shape[1] == x.shape[2] == 2 and usable(x)


def convolution(
    x: Float[Tensor, " batch 2 2 inlet"], weight: Float[Tensor, " outlet 3 3 inlet"], bias: Tensor
) -> Float[Tensor, " batch 2 2 outlet"]:
    """Convolve images of 2 x 2 pixels, padded with zeros, as one product: each pixel sees all four."""
    flat = x.flatten(1)
    if torch.is_grad_enabled():
        out = _Convolution.apply(flat, weight, bias)
    else:
        out = torch.addmm(bias.repeat(4), flat, _as_matrix(weight).t())
    return out.view(*x.shape[:3], -1)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        matrix = _as_matrix(weight)
        ctx.save_for_backward(x, matrix)
        return torch.addmm(bias.repeat(4), x, matrix.t())

    @staticmethod
    def backward(ctx: Kept, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        _check_first()
        (grad,) = grads
        x, matrix = ctx.saved_tensors
        inlet = x.shape[1] // 4
        outlet = grad.shape[1] // 4
        by_pixel = (grad.t() @ x).view(4, outlet, 2, 2, inlet)
        dweight = grad.new_zeros(outlet, 3, 3, inlet)
        for window, part in zip(WINDOWS, by_pixel, strict=True):
            dweight[window] += part
        return grad @ matrix, dweight, grad.reshape(-1, outlet).sum(0)


# of the weights [outlet, 3, 3, inlet], those that meet the four pixels, for each of the four
WINDOWS = [
    (slice(None), slice(1 - row, 3 - row), slice(1 - column, 3 - column))
    for row in (0, 1)
    for column in (0, 1)
]


def _as_matrix(weight: Tensor) -> Tensor:
    """The weights as a matrix [4 outlet, 4 inlet], of pixels and channels."""
    return torch.stack([weight[window] for window in WINDOWS]).flatten(0, 1).flatten(1)
