"""Features of items: entries, principal components, networks and functions."""

import pytest
import torch
from torch import nn

from memhorizon.errors import InputError
from memhorizon.measure.features import pca_features
from memhorizon.measure.quality import frechet_distance, kernel_distance


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_network_is_used_in_batches_in_eval_mode():
    calls = []

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            calls.append((len(x), torch.is_grad_enabled()))
            return self.drop(x).flatten(1)

    network, x, y = Network(), normal(50, 2, 2), normal(60, 2, 2, seed=1)
    found = frechet_distance(x, y, features=network, batch_size=40)
    assert found == frechet_distance(x, y)
    assert calls == [(40, False), (10, False), (40, False), (20, False)]
    assert network.drop.training


def test_principal_components_keep_the_most_variance():
    data = normal(200, 2, 3) * torch.tensor([5.0, 1.0, 0.1])
    features = pca_features(data, 2)
    flat = data.flatten(1)
    rows = features(data)
    assert rows.mean(0).abs().max() < 1e-10
    eigenvalues = torch.linalg.eigvalsh(flat.T.cov()).flip(0)  # another way: of the covariance
    torch.testing.assert_close(rows.T.cov(), eigenvalues[:2].diag(), rtol=1e-9, atol=1e-9)
    everything = pca_features(data, 6)  # a rotation: distances do not change
    x, y = normal(60, 2, 3), normal(70, 2, 3, seed=1) + 0.3
    assert frechet_distance(x, y, features=everything).value == pytest.approx(frechet_distance(x, y).value)
    few = pca_features(data[:3], 2)  # fewer items than entries
    assert few(data).shape == (200, 2)


def test_networks_get_items_of_their_own_type():
    with torch.random.fork_rng():
        net = torch.nn.Linear(4, 2)
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x.flip(1)
    expected = frechet_distance(x.float(), y.float(), features=net).value
    for features in (net, lambda items: net(items)):
        assert frechet_distance(x, y, features=features).value == expected
        assert frechet_distance(x.float(), y, features=features).value == expected


@pytest.mark.parametrize("features", [5, "pixels", torch.nn.Linear(5, 2), lambda items: None, lambda: None])
def test_features_that_are_no_function_of_items_are_named(features):
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    for measure in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match="features: expected"):
            measure(x, x.flip(1), features=features)
