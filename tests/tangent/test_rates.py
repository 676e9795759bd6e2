"""Learning rates of single weights against what the optimizers do."""

import pytest
import torch
from torch import nn

from memhorizon.errors import InputError
from memhorizon.tangent import learning_rates
from memhorizon.training import OptimizerConfig

GRADIENT = torch.tensor([2.0, -0.5, 0.01])


def steady(optimizer, weight, count):
    """Steps with one gradient; what the last of them moved."""
    for _ in range(count):
        before = weight.detach().clone()
        weight.grad = GRADIENT.clone()
        optimizer.step()
    return weight.detach() - before


@pytest.mark.parametrize(
    ("config", "count"),
    # momentum has forgotten its start after 1/(1 - 0.9) steps: 0.9^300 = 2e-14
    [(OptimizerConfig("sgd", lr=0.1, momentum=0.9), 300), (OptimizerConfig("adam", lr=1e-3), 300)],
)
def test_a_steady_gradient_moves_each_weight_by_its_rate(config, count):
    weight = nn.Parameter(torch.zeros(3))
    optimizer = config.build([weight])
    moved = steady(optimizer, weight, count)
    # moves are differences of weights that have gone up to 0.9 * 2 * 300 far, of 24 bits
    torch.testing.assert_close(moved, -learning_rates(optimizer) * GRADIENT, rtol=1e-3, atol=1e-9)


def test_adam_divides_by_the_gradient():
    weight = nn.Parameter(torch.zeros(3))
    optimizer = OptimizerConfig("adam", lr=1e-3).build([weight])
    steady(optimizer, weight, 1)
    torch.testing.assert_close(learning_rates(optimizer), 1e-3 / (GRADIENT.abs() + 1e-8), rtol=1e-5, atol=0)


def test_weights_come_in_the_order_of_the_optimizer():
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1))]
    optimizer = OptimizerConfig("adam", lr=1.0).build(weights)
    for weight, size in zip(weights, (1.0, 4.0), strict=True):
        weight.grad = torch.full_like(weight, size)
    optimizer.step()
    torch.testing.assert_close(learning_rates(optimizer), torch.tensor([1.0, 1.0, 0.25]), rtol=1e-5, atol=0)


def test_what_has_no_rates_is_refused():
    weight = nn.Parameter(torch.zeros(3))
    with pytest.raises(InputError, match="expected one that has done a step"):
        learning_rates(torch.optim.Adam([weight]))
    with pytest.raises(InputError, match="expected SGD or Adam, got RMSprop"):
        learning_rates(torch.optim.RMSprop([weight]))
    with pytest.raises(InputError, match="expected one without weight decay, got 0.1"):
        learning_rates(torch.optim.SGD([weight], 0.1, weight_decay=0.1))
