"""How updates are launched: without CUDA graphs all ways are the same; with them the losses are."""

import inspect

import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.experiments.run import execute, run
from memhorizon.launching import check_launch
from memhorizon.networks.unet import UNetConfig
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

SCHEDULE = Schedule.linear()
NETWORK = UNetConfig(width=8, multipliers=(1, 2), blocks=1, attention=(False, True), dropout=0.1)


def trained(launch, device="cpu", kind="adam", updates=12, begin=None):
    state = TrainState.new(NETWORK.build((1, 8, 8), seed=0).to(device), OptimizerConfig(kind, 1e-3), ema=0.9)
    if begin is not None:
        state.load(begin)
    data = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)).to(device)
    config = TrainConfig(n_updates=updates, batch_size=8)
    losses = [
        float(step.loss)
        for step in train(state, data, schedule=SCHEDULE, config=config, seed=0, launch=launch)
    ]
    return losses, state


def test_where_there_are_no_graphs_every_way_is_the_same_to_the_bit():
    eager, one = trained("eager", updates=4)
    for launch in ("graph", "compiled"):
        losses, other = trained(launch, updates=4)
        assert losses == eager
        left = one.tensors()
        right = other.tensors()
        assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("function", [train, run, execute])
def test_graphs_are_asked_for(function):
    """They take networks that never wait for the device alone."""
    assert inspect.signature(function).parameters["launch"].default == "eager"


@pytest.mark.parametrize("launch", ["fast", "", None, 3])
def test_an_unknown_way_is_refused_by_name(launch):
    with pytest.raises(InputError, match="launch: expected one of"):
        check_launch(launch, torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_a_recorded_update_is_the_update(kind):
    """The same draws, the same arithmetic but for the order of sums: float32 has 24 bits, 12 updates."""
    eager, one = trained("eager", "cuda", kind)
    graph, other = trained("graph", "cuda", kind)
    assert graph == pytest.approx(eager, rel=1e-3)
    left = one.tensors()
    right = other.tensors()
    assert left.keys() == right.keys()
    for name in left:
        assert torch.allclose(left[name], right[name], rtol=1e-2, atol=1e-3), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("launch", ["eager", "graph"])
def test_a_training_that_was_stopped_ends_with_the_same_bytes(launch):
    _, whole = trained(launch, "cuda", updates=24)
    _, half = trained(launch, "cuda", updates=11)
    saved = {name: tensor.clone() for name, tensor in half.tensors().items()}
    _, rest = trained(launch, "cuda", updates=24, begin=saved)
    left = whole.tensors()
    right = rest.tensors()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
