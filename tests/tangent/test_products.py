"""Products with the derivative by the weights against the dense matrix and against differences."""

import pytest
import torch
from torch.func import functional_call

from dense_tangent import dense
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.tangent import products
from memhorizon.tangent.products import flattened, pull, push, trained

SMALL = UNetConfig(width=8, multipliers=(1, 2), blocks=1, attention=(False, True))


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    return MLPConfig(width=6, blocks=1).build((3,), seed=0).double()


@pytest.fixture
def inputs():
    return random(5, 3), torch.tensor([1, 10, 100, 500, 999])


def test_both_products_are_those_of_the_dense_matrix(network, inputs):
    J = dense(network, *inputs)
    v = random(J.shape[1], seed=1)
    w = random(5, 3, seed=2)
    out, moved = push(network, *inputs, v)
    torch.testing.assert_close(out, network(*inputs).detach())
    torch.testing.assert_close(moved.flatten(), J @ v)
    torch.testing.assert_close(pull(network, *inputs, w), J.T @ w.flatten())


def test_the_size_of_a_chunk_changes_nothing(network, inputs, monkeypatch):
    v = random(sum(weight.numel() for weight in trained(network)))
    whole = push(network, *inputs, v)[1], pull(network, *inputs, random(5, 3))
    monkeypatch.setattr(products, "ROWS", 2)
    parts = push(network, *inputs, v)[1], pull(network, *inputs, random(5, 3))
    torch.testing.assert_close(parts, whole)


def test_a_network_with_attention_is_differentiated_as_differences_have_it():
    network = SMALL.build((1, 8, 8), seed=0).double()
    x = random(3, 1, 8, 8)
    index = torch.tensor([5, 300, 900])
    v = random(sum(weight.numel() for weight in trained(network)), seed=1)
    _, moved = push(network, x, index, v)
    step = 1e-6
    ends = [at(network, sign * step * v, x, index) for sign in (1, -1)]
    # (f(theta + h v) - f(theta - h v))/2h = J v + O(h^2): h^2 = 1e-12, rounding 1e-16/h = 1e-10
    wanted = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(moved, wanted, rtol=1e-5, atol=1e-7 * float(wanted.abs().max()))


def at(network, change, x, index):
    """What it puts out with other weights."""
    parts = change.split([weight.numel() for weight in trained(network)])
    moved = {
        name: weight.detach() + part.reshape(weight.shape)
        for (name, weight), part in zip(network.named_parameters(), parts, strict=True)
    }
    with torch.no_grad():
        return functional_call(network, moved, (x, index))


def test_dropout_is_off_and_comes_back():
    network = UNetConfig(width=8, multipliers=(1,), blocks=1, attention=(False,), dropout=0.5)
    built = network.build((1, 4, 4), seed=0).double().train()
    x = random(2, 1, 4, 4)
    index = torch.tensor([5, 300])
    change = torch.zeros_like(flattened(trained(built)).detach())
    torch.testing.assert_close(push(built, x, index, change)[0], push(built, x, index, change)[0])
    assert built.training
    assert all(weight.grad is None for weight in built.parameters())
