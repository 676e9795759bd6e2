"""The flow of a tangent against dense algebra, and against gradient descent of a model that is linear."""

import numpy as np
import pytest
import torch

from dense_tangent import dense
from memhorizon.errors import InputError
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.schedule import Schedule
from memhorizon.tangent import tangent_flow
from memhorizon.tangent.products import flattened, trained

SCHEDULE = Schedule.linear(50)
TRAIN = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def flow_of(network, rates, **settings):
    asked = {"noises": 3, "size": 36} | settings
    return tangent_flow(network, TRAIN, rates, schedule=SCHEDULE, **asked)


def rates_of(network, size=0.01):
    """Rates over a decade, as Adam has them."""
    count = sum(weight.numel() for weight in trained(network))
    return size * torch.logspace(-1, 0, count, dtype=torch.float64)


@pytest.fixture
def mlp():
    return MLPConfig(width=6, blocks=1).build((3,), n_levels=50, seed=0).double()


def test_losses_and_weights_are_those_of_the_dense_kernel(mlp):
    rates = rates_of(mlp)
    flow = flow_of(mlp, rates)
    draws = flow.draws
    J = dense(mlp, draws.x, draws.index)
    residual = (mlp(draws.x, draws.index) - draws.target).detach().flatten()
    count = len(residual)
    eigenvalues, vectors = torch.linalg.eigh(2 / count * (J * rates) @ J.T)
    steps = [0.0, 1.0, 30.0, 1000.0]
    # r = e^{-K step} r_0; theta = -R 2/(m d) J^T integral of r
    for step, excess in zip(steps, flow.excess(steps), strict=True):
        at = vectors @ (torch.exp(-step * eigenvalues) * (vectors.T @ residual))
        assert excess == pytest.approx(float(at.square().mean()), rel=1e-9)
    past = vectors @ (-torch.expm1(-30 * eigenvalues) / eigenvalues * (vectors.T @ residual))
    wanted = -2 / count * rates * (J.T @ past)
    torch.testing.assert_close(flow.model(30.0).change.detach(), wanted, rtol=1e-6, atol=1e-12)


def test_a_linear_model_trained_by_small_steps_follows_it():
    network = FeaturesConfig(n_features=12, t=0.3).build((3,), seed=0).double()
    network.readout.data = torch.randn(3, 12, generator=torch.Generator().manual_seed(1)).double()
    rates = rates_of(network, 1e-2)
    flow = flow_of(network, rates)
    start = flattened(trained(network)).detach().clone()
    largest = float(flow.krylov.eigenvalues[-1])
    steps = round(1 / largest)
    draws = flow.draws
    for _ in range(steps):  # gradient descent of the loss, written anew
        loss = (network(draws.x, draws.index) - draws.target).square().mean()
        gradient = flattened(torch.autograd.grad(loss, trained(network)))
        network.readout.data -= (rates * gradient).reshape(3, 12)
    end = flattened(trained(network)).detach().clone()
    loss = float((network(draws.x, draws.index) - draws.target).detach().square().mean())
    network.readout.data = start.reshape(3, 12)
    moved = flow.model(float(steps)).change.detach()
    # (1 - K)^step against e^{-K step}: a relative error of step K^2/2 <= K/2 for K step <= 1
    error = float((end - start - moved).norm() / moved.norm())
    assert error < largest
    assert flow.excess([float(steps)])[0] == pytest.approx(loss, rel=2 * largest)


def test_few_nodes_are_enough_for_a_short_time(mlp):
    rates = rates_of(mlp)
    steps = [1.0, 10.0, 100.0]
    np.testing.assert_allclose(
        flow_of(mlp, rates, size=12).excess(steps), flow_of(mlp, rates).excess(steps), rtol=1e-3
    )


def test_the_network_is_left_as_it_is_and_no_time_changes_nothing(mlp):
    before = flattened(trained(mlp)).detach().clone()
    flow = flow_of(mlp, rates_of(mlp))
    assert torch.equal(flow.model(0.0).change.detach(), torch.zeros_like(before))
    assert torch.equal(flattened(trained(mlp)).detach(), before)
    assert repr(flow).startswith(f"TangentFlow({len(before)} weights, 12 noised items, Krylov(")


def test_bad_input_is_refused(mlp):
    with pytest.raises(InputError, match=r"rates: expected one for each of \d+ weights, got \(3,\)"):
        flow_of(mlp, torch.ones(3))
    with pytest.raises(InputError, match="noises"):
        flow_of(mlp, rates_of(mlp), noises=0)
    with pytest.raises(InputError, match="step"):
        flow_of(mlp, rates_of(mlp)).model(-1.0)
