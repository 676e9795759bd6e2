"""n*(W): stacked networks are the single ones, thresholds are read right, the committed record follows."""

import math

import numpy as np
import pytest
import torch

from evidence_records import agree, drawn, lines_of, not_reached, observed, read, shown
from memhorizon.datasets.split import load_split
from memhorizon.errors import InputError
from memhorizon.networks.mlp import MLPConfig
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.recipes.threshold_mixture import numbers, stack
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train


def some_nets(count=3, width=8):
    nets = [MLPConfig(width=width).build((8,), seed=seed) for seed in range(count)]
    for k, net in enumerate(nets):  # LayerNorm starts the same in all: only other values show a mix-up
        with torch.no_grad():
            for block in net.blocks:
                block.norm.weight.mul_(1 + 0.1 * k)
                block.norm.bias.add_(0.1 * k)
    return nets


def some_items(count=3, batch=16):
    generator = torch.Generator().manual_seed(5)
    index = torch.randint(1, 1000, (batch,), generator=generator)
    return torch.randn(batch, count, 8, generator=generator), index


def test_a_stack_predicts_as_its_networks_do():
    nets, (x, index) = some_nets(), some_items()
    each = torch.stack([net(x[:, k], index) for k, net in enumerate(nets)], 1)
    torch.testing.assert_close(stack.StackedMLP(nets)(x, index), each)


def test_a_network_sees_no_items_but_its_own():
    stacked, (x, index) = stack.StackedMLP(some_nets()), some_items()
    before = stacked(x, index)
    x[:, 1] += 1
    after = stacked(x, index)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_a_stack_trains_as_its_networks_do_alone():
    """The noise of `train` written out, the steps of SGD with momentum done by hand on each network."""
    nets, schedule, lr, steps = some_nets(), Schedule.linear(), 0.01, 20
    data = torch.randn(12, 3, 8, generator=torch.Generator().manual_seed(6))
    stacked = stack.StackedMLP(nets)
    state = TrainState.new(stacked, OptimizerConfig("sgd", lr=lr, momentum=0.9))
    for _ in train(state, data, schedule=schedule, config=TrainConfig(steps, None), seed=4):
        pass
    by_hand = [torch.optim.SGD(net.parameters(), lr, 0.9) for net in nets]
    for step in range(steps):
        words = np.random.SeedSequence((4, step)).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]))
        noise = torch.randn(12, 3, 8, generator=generator)
        index = torch.randint(1, 1000, (12,), generator=generator)
        a = schedule.at(index).float()[:, None]
        for k, (net, optimizer) in enumerate(zip(nets, by_hand, strict=True)):
            x = a.sqrt() * data[:, k] + (1 - a).sqrt() * noise[:, k]
            optimizer.zero_grad()
            (net(x, index) - noise[:, k]).square().mean().backward()
            optimizer.step()
    x, index = some_items()
    each = torch.stack([net(x[:, k], index) for k, net in enumerate(nets)], 1)
    moved = (each - stack.StackedMLP(some_nets())(x, index)).abs().max()
    assert moved > 0.1  # far more than what is allowed below
    torch.testing.assert_close(stacked(x, index), each, rtol=1e-4, atol=1e-4)


def test_an_adam_step_is_that_of_each_network_on_its_own_loss():
    """Adam hides the scale of a gradient, but for epsilon: the gradients themselves are compared."""
    nets, (x, index) = some_nets(), some_items()
    stacked = stack.StackedMLP(nets)
    stacked(x, index).square().mean().backward()
    for k, net in enumerate(nets):
        net(x[:, k], index).square().mean().backward()
        for name, parameter in net.named_parameters():
            found = stacked.weights[name.replace(".", "_")].grad[k]
            wanted = parameter.grad.mT if parameter.ndim == 2 else parameter.grad[None]
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 8), (5, 2, 8)])
def test_a_stack_wants_an_item_for_each_network(shape):
    with pytest.raises(InputError, match="3 networks"):
        stack.StackedMLP(some_nets())(torch.zeros(shape), torch.ones(5, dtype=torch.int64))


def test_every_item_stands_equally_often_in_a_batch():
    splits = [load_split(own.data) for own in numbers.stacks("here")[8]]
    data = stack.side_by_side(splits)
    assert data.shape == (128, len(splits), 8)
    for k, split in enumerate(splits):
        rows, counts = torch.unique(data[:, k], dim=0, return_counts=True)
        assert len(rows) == len(split.train)
        assert set(counts.tolist()) == {128 // len(split.train)}
    assert not torch.isin(splits[0].train, splits[1].train).any()  # seeds have items of their own


def test_a_threshold_is_read_off_a_line():
    """A share that falls as a straight line in log n crosses the level where the line does."""
    sizes = [4, 8, 16, 32, 64]
    falls = [0.9 - 0.25 * math.log2(n / 4) for n in sizes]
    found = numbers.threshold(sizes, falls, 0.2)
    assert found.observed
    assert found.value == pytest.approx(4 * 2 ** (0.7 / 0.25))


def test_a_threshold_outside_of_what_was_tried_is_a_bound():
    assert numbers.threshold([4, 8], [0.1, 0.0], 0.2).status == "before first"
    assert numbers.threshold([4, 8], [0.9, 0.3], 0.2) == not_reached(8)


def test_a_threshold_is_the_last_crossing():
    assert 16 < numbers.threshold([4, 8, 16, 32], [0.9, 0.1, 0.3, 0.0], 0.2).value < 32


def n_star(time, *, width=8, parameters=600, seed=0, step=1000):
    return numbers.ThresholdRow(
        width=width, parameters=parameters, seed=seed, step=step, level=0.2, n_star=time
    )


def test_growth_is_the_slope_between_two_steps():
    one = n_star(observed(10.0), step=1000)
    assert numbers.growth(one, n_star(observed(20.0), step=4000)) == pytest.approx(0.5)
    assert math.isnan(numbers.growth(one, n_star(not_reached(20.0), step=4000)))


def test_widths_that_have_learned_nothing_are_left_out_of_the_law():
    """n* = p / 30 for all, but for one width whose samples are far from the data and which copies nothing."""
    sizes = {8: 600, 10: 900, 16: 2000, 24: 4000}
    nothing = numbers.threshold([4, 8], [0.0, 0.0], 0.2)
    found = [
        n_star(observed(p / 30 * (1 + 0.01 * k)) if w > 8 else nothing, width=w, parameters=p, seed=k)
        for w, p in sizes.items()
        for k in range(3)
    ]
    groups = [
        numbers.GroupRow(
            width=w, parameters=p, step=1000, level=0.2, n_star=numbers.mean_time([]), learned=w != 8
        )
        for w, p in sizes.items()
    ]
    (law,) = (law for law in numbers.law_rows(found, groups) if law.level == 0.2)
    assert law.exponent.value == pytest.approx(1, abs=0.02)
    assert (law.exponent.observed, law.exponent.censored) == (9, 0)


@pytest.fixture(scope="module")
def kept():
    return rows_of(read("threshold_mixture"), "threshold_mixture", numbers.KINDS)


def test_the_record_of_thresholds_follows_from_its_curves(kept, tmp_path):
    runs = of_kind(kept, numbers.RunRow)
    wanted = {(w, n, seed) for w in numbers.WIDTHS for n in numbers.SIZES for seed in numbers.SEEDS}
    assert {(row.width, row.n_train, row.seed) for row in runs} == wanted
    for row in runs:
        assert row.parameters == row.width * (2 * 8 + 13) + 8 + 6 * row.width**2
        assert np.array(row.count) / row.total == pytest.approx(row.memorized, abs=1e-6)
    found = list(numbers.threshold_rows(runs))
    for made, old in zip(found, of_kind(kept, numbers.ThresholdRow), strict=True):
        agree(made.n_star, old.n_star, rel=1e-5)
    groups = list(numbers.group_rows(runs, found))
    for made, old in zip(groups, of_kind(kept, numbers.GroupRow), strict=True):
        agree(made.n_star, old.n_star)
        assert (made.growth is None) == (old.growth is None)
    for made, old in zip(numbers.law_rows(found, groups), of_kind(kept, numbers.LawRow), strict=True):
        agree(made.exponent, old.exponent, rel=1e-3)
    drawn(read("threshold_mixture"), tmp_path)


def test_the_page_says_of_thresholds_what_the_record_says(kept):
    page = lines_of("threshold_mixture")
    final = [row for row in of_kind(kept, numbers.GroupRow) if row.growth is not None]
    for row in final:
        if row.n_star.status == "observed":
            assert shown(row.n_star, 1) in page
        else:
            assert f"{row.n_star.status} {row.n_star.value:.0f}" in page
    for law in of_kind(kept, numbers.LawRow):
        assert shown(law.exponent) in page
