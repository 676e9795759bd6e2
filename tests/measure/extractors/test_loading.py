"""What can be a feature function."""

import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure.extractors.efficientnet import side_for
from memhorizon.measure.extractors.loading import load_features


def test_functions_networks_and_none_are_given_back():
    with torch.random.fork_rng():
        net = torch.nn.Linear(2, 2)
    assert load_features(net) is net
    assert load_features(torch.flatten) is torch.flatten
    assert load_features(None) is None


@pytest.mark.parametrize("source", ["efficientnet", "net.pkl", "net", ""])
def test_names_that_are_none_are_refused(source):
    with pytest.raises(InputError, match='features: expected a function, "efficientnet-lite"'):
        load_features(source)


@pytest.mark.parametrize("source", ["a.npy", "a.NPZ", "a.npz::key", "a.safetensors"])
def test_vectors_of_one_set_are_no_function(source):
    with pytest.raises(InputError, match='give those of each: features={"samples": PATH'):
        load_features(source)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(InputError, match="features: expected a function of a batch of items, got int"):
        load_features(5)


def test_the_side_is_twice_that_of_the_picture_within_bounds():
    for longest in range(1, 300):
        side = side_for(longest)
        wanted = min(max(2 * longest, 64), 224)
        assert side % 32 == 0
        assert wanted <= side < wanted + 32
