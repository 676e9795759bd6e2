"""The tangent of a network: its outputs, its gradients, and that one update of it is one of the network."""

import copy
from dataclasses import replace

import pytest
import torch

from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig, sample
from memhorizon.schedule import Schedule
from memhorizon.tangent import TangentNetwork, tangent_state
from memhorizon.tangent.products import flattened, pull, trained
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

SCHEDULE = Schedule.linear(50)
INDEX = torch.tensor([1, 5, 20, 49])
CONFIG = TrainConfig(n_updates=5, batch_size=4)
OPTIMIZERS = [OptimizerConfig("sgd", lr=0.02, momentum=0.9), OptimizerConfig("adam", lr=1e-3)]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network():
    return MLPConfig(width=8, blocks=1).build((3,), n_levels=50, seed=0)


def weights_of(module):
    return flattened(trained(module)).detach().clone()


def updated(state, data, count):
    for _ in train(state, data, schedule=SCHEDULE, config=replace(CONFIG, n_updates=count), seed=3):
        pass


def test_at_no_change_it_is_the_network_with_its_gradient():
    net = network()
    tangent = TangentNetwork(net)
    x = random(4, 3)
    out = tangent(x, INDEX)
    torch.testing.assert_close(out, net(x, INDEX))
    out.backward(random(4, 3, seed=1))
    torch.testing.assert_close(tangent.change.grad, pull(net, x, INDEX, random(4, 3, seed=1)))
    assert len(list(tangent.parameters())) == 1


def test_it_is_linear_and_the_tangent():
    net = network()
    tangent = TangentNetwork(net)
    x = random(4, 3)
    change = random(len(tangent.change), seed=1)
    moved = {}
    for size in (0.0, 1e-3, 2e-3):
        tangent.change.data = size * change
        moved[size] = tangent(x, INDEX).detach() - net(x, INDEX).detach()
    torch.testing.assert_close(moved[2e-3], 2 * moved[1e-3], rtol=1e-4, atol=1e-6)
    for weight, part in zip(trained(net), change.split([w.numel() for w in trained(net)]), strict=True):
        weight.data += 1e-3 * part.reshape(weight.shape)
    real = net(x, INDEX).detach()
    tangent.change.data = torch.zeros_like(change)
    # the curvature: second order in 1e-3
    torch.testing.assert_close(real - tangent(x, INDEX).detach(), moved[1e-3], rtol=0.05, atol=1e-4)


def test_the_network_that_goes_on_does_not_move_its_tangent():
    net = network()
    tangent = TangentNetwork(net)
    x = random(4, 3)
    before = tangent(x, INDEX).detach()
    for weight in trained(net):
        weight.data += 1
    torch.testing.assert_close(tangent(x, INDEX).detach(), before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: one.name)
def test_the_first_update_is_that_of_the_network_and_later_ones_are_not(optimizer):
    data = random(8, 3)
    state = TrainState.new(network(), optimizer)
    updated(state, data, 5)
    linear = tangent_state(state, optimizer)
    at = weights_of(state.model)
    distances = []
    for count in (6, 40):
        updated(state, data, count)
        updated(linear, data, count)
        change = weights_of(state.model) - at
        distances.append(float((linear.model.change.detach() - change).norm() / change.norm()))
    assert linear.step == state.step == 40
    # of the same batch, noise and moments: rounding of weights near 1 against changes of some 1e-3
    assert distances[0] < 1e-3
    assert distances[1] > 3e-3


def test_it_is_sampled_like_a_network():
    net = MLPConfig(width=8, blocks=1).build((3,), seed=0)
    sampler = SamplerConfig(n_solver_steps=3)
    made = [
        sample(model, (3,), schedule=Schedule.linear(1000), seeds=range(4), sampler=sampler)
        for model in (net, TangentNetwork(net))
    ]
    torch.testing.assert_close(made[1], made[0])


def test_a_new_training_can_be_made_linear():
    state = TrainState.new(network(), OPTIMIZERS[1])
    linear = tangent_state(copy.deepcopy(state), OPTIMIZERS[1])
    updated(linear, random(8, 3), 1)
    assert linear.step == 1
    assert state.step == 0
