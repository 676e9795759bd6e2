"""Noised training items: where they lie, and what is to be learned there."""

import pytest
import torch

from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule
from memhorizon.tangent.draws import noised

SCHEDULE = Schedule.linear(101)
TRAIN = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prediction", ["noise", "x0", "v"])
def test_the_target_is_what_the_perfect_memorizer_puts_out(prediction):
    draws = noised(TRAIN, SCHEDULE, noises=4, prediction=prediction)
    memorizer = ideal_model(Empirical(TRAIN.flatten(1)), SCHEDULE, prediction)
    torch.testing.assert_close(draws.target, memorizer(draws.x, draws.index))


def test_every_item_has_one_level_in_each_part_of_the_schedule():
    draws = noised(TRAIN, SCHEDULE, noises=4, seed=3)
    levels = draws.index.reshape(4, 5)
    assert ((levels - 1) // 25).tolist() == [[k] * 5 for k in range(4)]
    assert int(draws.index.min()) >= 1


def test_the_noise_is_unit_noise_of_its_item():
    draws = noised(TRAIN, SCHEDULE, noises=400)
    alpha_bar = SCHEDULE.at(draws.index).reshape(-1, 1, 1)
    noise = (draws.x - alpha_bar.sqrt() * TRAIN.repeat(400, 1, 1)) / (1 - alpha_bar).sqrt()
    count = noise.numel()
    # five standard errors of a mean and of a variance
    assert abs(float(noise.mean())) < 5 / count**0.5
    assert abs(float(noise.var()) - 1) < 5 * (2 / count) ** 0.5


def test_draws_follow_from_the_seed_and_one_level_can_be_asked_for():
    one, same, other = (noised(TRAIN, SCHEDULE, noises=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.x, same.x)
    assert not torch.equal(one.x, other.x)
    t = float(SCHEDULE.t(7))
    assert noised(TRAIN, SCHEDULE, noises=2, diffusion_time=t).index.tolist() == [7] * 10
    with pytest.raises(InputError, match="t: expected within"):
        noised(TRAIN, SCHEDULE, noises=2, diffusion_time=1e6)
