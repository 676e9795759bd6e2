import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from memhorizon import theory
from memhorizon.errors import InputError
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("dim", "width", "count"), [(8, 128, 102_024), (8, 64, 26_440), (8, 256, 400_648), (64, 32, 10_720)]
)
def test_mlp_has_the_papers_number_of_parameters(dim, width, count):
    net = MLPConfig(width=width).build((dim,), seed=0)
    assert sum(p.numel() for p in net.parameters()) == count
    assert count == width * (2 * dim + 13) + dim + 6 * width**2


def test_mlp_equals_its_formula():
    net = MLPConfig(width=6, blocks=2).build((3,), n_levels=20, seed=0).double()
    x, index = draws(4, 3).double(), torch.tensor([0, 1, 7, 19])
    w = {k: v.detach().numpy() for k, v in net.state_dict().items()}
    frequency = np.array([1, 1e-2, 1e-4])
    angle = index.numpy()[:, None] * frequency
    time = np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)
    h = x.numpy() @ w["inlet.weight"].T + w["inlet.bias"]
    for i in range(2):
        inner = (h + time) @ w[f"blocks.{i}.inner.weight"].T + w[f"blocks.{i}.inner.bias"]
        gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        h = h + gelu @ w[f"blocks.{i}.outer.weight"].T + w[f"blocks.{i}.outer.bias"]
        h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
        h = h * w[f"blocks.{i}.norm.weight"] + w[f"blocks.{i}.norm.bias"]
    expected = h @ w["outlet.weight"].T + w["outlet.bias"]
    # the table is rounded to float32 (6e-8) in both; the rest are some tens of float64 operations of order 1
    np.testing.assert_allclose(net(x, index).detach().numpy(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("config", [MLPConfig(width=8), FeaturesConfig(n_features=5)])
@pytest.mark.parametrize("shape", [(8,), (1, 4, 4), (3, 2, 5), (1,)])
def test_items_of_any_shape_are_flattened(config, shape):
    net, index = config.build(shape, seed=0), torch.arange(3)
    flat = config.build((math.prod(shape),), seed=0)
    x = draws(3, *shape)
    assert net(x, index).shape == x.shape
    assert torch.equal(net(x, index).flatten(1), flat(x.flatten(1), index))
    assert net(draws(0, *shape), index[:0]).shape == (0, *shape)
    strided = draws(*shape, 3).movedim(-1, 0)  # another order of sums in the products: float32 rounding
    torch.testing.assert_close(net(strided, index), net(strided.contiguous(), index))


@pytest.mark.parametrize("config", [MLPConfig(width=8), FeaturesConfig(n_features=5)])
def test_weights_follow_the_seed_and_nothing_else(config):
    first, again, other = (config.build((4,), seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)
    assert all(v.is_contiguous() for v in first.values())


def test_same_seed_and_threads_give_the_same_bytes_after_steps():
    def trained():
        net = MLPConfig(width=32).build((8,), seed=0)
        optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        for step in range(20):
            optimizer.zero_grad()
            x = draws(16, 8, seed=step)
            F.mse_loss(net(x, torch.arange(16)), x).backward()
            optimizer.step()
        return net.state_dict()

    first, again = trained(), trained()
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_features_equal_their_formula_and_start_at_zero():
    net = FeaturesConfig(n_features=7, activation="tanh", t=0.3).build((3,), seed=0).double()
    x, index = draws(5, 3).double(), torch.zeros(5, dtype=torch.int64)
    assert torch.count_nonzero(net.score(x)) == 0
    A = draws(3, 7, seed=1).double()
    net.readout.data = A
    W = net.weight.numpy()
    score = np.tanh(x.numpy() @ W.T / math.sqrt(3)) @ A.numpy().T / math.sqrt(7)
    np.testing.assert_allclose(net.score(x).detach().numpy(), score, rtol=1e-13, atol=1e-15)
    noise = -math.sqrt(1 - math.exp(-0.6)) * score
    np.testing.assert_allclose(net(x, index).detach().numpy(), noise, rtol=1e-13, atol=1e-15)


def test_only_the_readout_is_trained_and_the_features_are_saved():
    net = FeaturesConfig(n_features=50).build((4,), seed=0)
    assert {name: p.shape for name, p in net.named_parameters()} == {"readout": (4, 50)}
    assert set(net.state_dict()) == {"readout", "weight"}
    W = net.weight
    # mean and variance of 200 standard normal entries, within 5 standard errors
    assert abs(W.mean()) < 5 / math.sqrt(200)
    assert abs(W.var() - 1) < 5 * math.sqrt(2 / 200)


def test_features_fit_the_score_of_a_gaussian():
    """Least squares on the exact score -x of N(0, 1) data: what is left falls as the features grow."""
    t, dim = 0.5, 2
    x = draws(4000, dim).double()  # the law of x_t does not depend on t for standard normal data
    left = []
    for n_features in (4, 32, 128):
        net = FeaturesConfig(n_features, "tanh", t).build((dim,), seed=0).double()
        features = torch.tanh(x @ net.weight.T / math.sqrt(dim)) / math.sqrt(n_features)
        net.readout.data = torch.linalg.lstsq(features, -x).solution.T.contiguous()
        left.append((net.score(x) + x).square().mean().item())
    assert left[0] > left[1] > left[2]
    assert left[2] < 1e-2


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", "sin", "sigmoid"])
def test_activations_are_those_of_the_theory(activation):
    net = FeaturesConfig(n_features=1, activation=activation).build((1,), seed=0).double()
    z = torch.linspace(-3, 3, 41).double()
    expected = theory.activations.resolve(activation).function(z.numpy())
    np.testing.assert_allclose(net.activation(z).numpy(), expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: MLPConfig(width=0), "width"),
        (lambda: MLPConfig(width=7), "width"),
        (lambda: MLPConfig(width=2), "width"),
        (lambda: MLPConfig(blocks=0), "blocks"),
        (lambda: FeaturesConfig(n_features=0), "n_features"),
        (lambda: FeaturesConfig(t=0.0), "t: "),
        (lambda: FeaturesConfig(t=-1.0), "t: "),
        (lambda: FeaturesConfig(t=math.inf), "t: "),
        (lambda: FeaturesConfig(t=math.nan), "t: "),
        (lambda: MLPConfig().build((), seed=0), "item_shape"),
        (lambda: MLPConfig().build((0, 3), seed=0), "item_shape"),
        (lambda: FeaturesConfig().build((4, 0), seed=0), "item_shape"),
    ],
)
def test_bad_configurations_are_named(make, word):
    with pytest.raises(InputError, match=word):
        make()


MLP, FEATURES = MLPConfig(width=8).build((4,), n_levels=10, seed=0), FeaturesConfig(5).build((4,), seed=0)
ZEROS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("net", "x", "index", "word"),
    [
        (MLP, torch.zeros(2, 5), ZEROS, "x: .*4 elements"),
        (MLP, torch.zeros(4), ZEROS, r"x: .*\(4,\)"),
        (MLP, torch.zeros(2, 4), torch.tensor([0, 10]), "index: .*below 10.*10"),
        (MLP, torch.zeros(2, 4), torch.zeros(2), "index: .*float32"),
        (MLP, torch.zeros(2, 4), ZEROS[:1], "index: .*2 items"),
        (FEATURES, torch.zeros(2, 2, 3), ZEROS, "x: .*4 elements"),
        (FEATURES, torch.zeros(4), ZEROS, "x: "),
    ],
)
def test_bad_calls_are_named(net, x, index, word):
    with pytest.raises(InputError, match=word):
        net(x, index)
