"""The operations on small images against those of torch, in float64, with their gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call, jacrev
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel

from memhorizon.networks import small
from memhorizon.networks.unet import UNetConfig

NARROW = UNetConfig(width=8, multipliers=(1, 2, 4), blocks=1, attention=(True, True, False))


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain_attention(qkv, heads):
    q, k, v = (part.transpose(1, 2) for part in qkv.unflatten(2, (3, heads, -1)).unbind(2))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def plain_norm(x, groups, weight, bias, eps):
    return F.group_norm(x.permute(0, 3, 1, 2), groups, weight, bias, eps).permute(0, 2, 3, 1)


def plain_convolution(x, weight, bias):
    return F.conv2d(x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2), bias, padding=1).permute(0, 2, 3, 1)


def attention_case(pixels, heads, channels, batch=3):
    qkv = random(batch, pixels, 3 * channels)
    return partial(small.attention, heads=heads), partial(plain_attention, heads=heads), [qkv]


def norm_case(height, width, channels, groups, batch=3):
    def at(function):
        return lambda x, weight, bias: function(x, groups, weight, bias, 1e-5)

    inputs = [3 + random(batch, height, width, channels), random(channels, seed=1), random(channels, seed=2)]
    return at(small.group_norm), at(plain_norm), inputs


def convolution_case(inlet, outlet, batch=3):
    inputs = [random(batch, 2, 2, inlet), random(outlet, 3, 3, inlet, seed=1), random(outlet, seed=2)]
    return small.convolution, plain_convolution, inputs


CASES = {
    "attention": attention_case(16, 4, 8),
    "attention, not square": attention_case(18, 2, 6),
    "attention, kept": attention_case(64, 4, 32),
    "attention, computed again": attention_case(81, 1, 5),
    "attention, parts": attention_case(64, 4, 8, batch=9),  # 36 heads, 16 at once
    "group norm": norm_case(8, 8, 8, 8),
    "group norm, wider": norm_case(9, 8, 12, 4),
    "group norm, one": norm_case(16, 16, 4, 1),
    "convolution": convolution_case(5, 7),
    "convolution, one channel": convolution_case(1, 1),
}
CLOSE = {"rtol": 1e-10, "atol": 1e-12}  # sums of at most some thousand products, each to 1e-16


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_torch(case):
    ours, plain, inputs = CASES[case]
    results = []
    for function in (ours, plain):
        leaves = [given.clone().requires_grad_() for given in inputs]
        out = function(*leaves)
        results.append([out, *torch.autograd.grad(out, leaves, random(*out.shape, seed=9))])
    torch.testing.assert_close(results[0], results[1], **CLOSE)


@pytest.mark.parametrize("case", ["attention", "attention, not square", "convolution"])
def test_gradients_are_differences(case):
    ours, _, inputs = CASES[case]
    assert gradcheck(ours, [given.requires_grad_() for given in inputs])


@pytest.mark.parametrize("case", CASES)
def test_without_a_gradient_the_numbers_are_the_same(case):
    ours, _, inputs = CASES[case]
    with torch.no_grad():
        quiet = ours(*inputs)
    torch.testing.assert_close(quiet, ours(*[given.clone().requires_grad_() for given in inputs]), **CLOSE)


@pytest.mark.parametrize("case", CASES)
def test_an_image_does_not_depend_on_the_others(case):
    ours, _, (images, *others) = CASES[case]
    alone = torch.cat([ours(image, *others) for image in images.split(1)])
    torch.testing.assert_close(ours(images, *others), alone, **CLOSE)


def test_a_gradient_may_lie_in_memory_in_any_order():
    for ours, plain, inputs in CASES.values():
        leaves = [given.clone().requires_grad_() for given in inputs]
        # the gradient of a sum is one number, expanded
        found = torch.autograd.grad(ours(*leaves).sum(), leaves)
        torch.testing.assert_close(found, torch.autograd.grad(plain(*leaves).sum(), leaves), **CLOSE)


def test_an_image_of_one_value_is_normalised_to_the_bias():
    # the variance is 0, or a little below by rounding
    x = torch.full((2, 8, 8, 8), 0.1, requires_grad=True)
    bias = torch.arange(8.0)
    out = small.group_norm(x, 8, torch.ones(8), bias, 1e-5)
    # of x^2 = 0.01 rounding leaves 1e-9, a variance below eps
    torch.testing.assert_close(out, bias.expand_as(out), rtol=0, atol=1e-4)
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_a_mean_far_from_zero_costs_no_more_digits_than_in_torch():
    # E x^2 - (E x)^2 loses 2 log10(mean/deviation) = 4 of 7 digits in either
    x = 100 + random(16, 8, 8, 16)
    weight, bias = torch.ones(16), torch.zeros(16)
    exact = plain_norm(x, 8, weight.double(), bias.double(), 1e-5)
    errors = [
        (function(x.float(), 8, weight, bias, 1e-5) - exact).abs().max().item()
        for function in (small.group_norm, plain_norm)
    ]
    assert errors[0] < 2 * errors[1]


def test_they_are_used_for_small_images_only():
    assert small.has_narrow_heads(torch.empty(1, 64, 3 * 32), 4)
    assert not small.has_narrow_heads(torch.empty(1, 64, 3 * 36), 4)
    assert not small.has_narrow_heads(torch.empty(1, 15, 3 * 32), 4)
    assert small.has_narrow_groups(torch.empty(1, 8, 8, 32), 8)
    assert not small.has_narrow_groups(torch.empty(1, 8, 8, 40), 8)
    assert not small.has_narrow_groups(torch.empty(1, 7, 9, 32), 8)
    assert small.is_two_by_two(torch.empty(1, 2, 2, 3))
    assert not small.is_two_by_two(torch.empty(1, 2, 3, 3))
    assert not small.usable(torch.empty(1, device="meta"))


def test_with_second_derivatives_autocast_or_transforms_torch_takes_over():
    x = torch.empty(1)
    assert small.usable(x)
    with sdpa_kernel(SDPBackend.MATH):
        assert not small.usable(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not small.usable(x)
    assert small.usable(x)


@pytest.fixture
def network():
    return NARROW.build((1, 8, 8), seed=0).double()


def test_a_second_derivative_is_refused_with_the_way_to_it(network):
    x = random(2, 1, 8, 8).requires_grad_()
    index = torch.tensor([5, 300])
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(network(x, index).square().sum(), x, create_graph=True)
    with sdpa_kernel(SDPBackend.MATH):
        loss = network(x, index).square().sum()
    first = torch.autograd.grad(loss, x, create_graph=True)[0]
    assert torch.isfinite(torch.autograd.grad(first.sum(), x)[0]).all()


def test_transforms_of_torch_differentiate_the_network(network):
    x = random(2, 1, 8, 8)
    index = torch.tensor([5, 300])
    name = "outlet.bias"

    def outputs(bias):
        return functional_call(network, {name: bias}, (x, index)).flatten()

    bias = network.get_parameter(name).detach()
    slope = jacrev(outputs)(bias)
    torch.testing.assert_close(slope, torch.ones_like(slope))  # the bias is added at the end


def test_the_network_is_the_same_with_and_without_them(network):
    x = random(3, 1, 8, 8)
    index = torch.tensor([5, 300, 900])
    found = []
    for backends in ([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], [SDPBackend.MATH]):
        with sdpa_kernel(backends):
            loss = network(x, index).square().sum()
            found.append(torch.autograd.grad(loss, list(network.parameters())))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
