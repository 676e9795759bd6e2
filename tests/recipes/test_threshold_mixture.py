"""n*(W): stacked networks are the single ones, thresholds are read right, the committed record follows."""

import math

import numpy as np
import pytest
import torch

from evidence_records import lines_of, observed, read, rows_of, shown
from memhorizon.datasets.split import load_split
from memhorizon.errors import InputError
from memhorizon.experiments import recipes
from memhorizon.networks.mlp import MLPConfig
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

recipe = recipes.load("threshold_mixture")
stacked = __import__("memhorizon.recipes.stacked_mlp", fromlist=["StackedMLP"])


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
    torch.testing.assert_close(stacked.StackedMLP(nets)(x, index), each)


def test_a_network_sees_no_items_but_its_own():
    stack, (x, index) = stacked.StackedMLP(some_nets()), some_items()
    before = stack(x, index)
    x[:, 1] += 1
    after = stack(x, index)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_a_stack_trains_as_its_networks_do_alone():
    """The noise of `train` written out, the steps of SGD with momentum done by hand on each network."""
    nets, schedule, lr, steps = some_nets(), Schedule.linear(), 0.01, 20
    data = torch.randn(12, 3, 8, generator=torch.Generator().manual_seed(6))
    stack = stacked.StackedMLP(nets)
    state = TrainState.new(stack, OptimizerConfig("sgd", lr=lr, momentum=0.9))
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
    moved = (each - stacked.StackedMLP(some_nets())(x, index)).abs().max()
    assert moved > 0.1  # far more than what is allowed below
    torch.testing.assert_close(stack(x, index), each, rtol=1e-4, atol=1e-4)


def test_an_adam_step_is_that_of_each_network_on_its_own_loss():
    """Adam hides the scale of a gradient, but for epsilon: the gradients themselves are compared."""
    nets, (x, index) = some_nets(), some_items()
    stack = stacked.StackedMLP(nets)
    stack(x, index).square().mean().backward()
    for k, net in enumerate(nets):
        net(x[:, k], index).square().mean().backward()
        for name, parameter in net.named_parameters():
            found = stack.weights[name.replace(".", "_")].grad[k]
            wanted = parameter.grad.mT if parameter.ndim == 2 else parameter.grad[None]
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 8), (5, 2, 8)])
def test_a_stack_wants_an_item_for_each_network(shape):
    with pytest.raises(InputError, match="3 networks"):
        stacked.StackedMLP(some_nets())(torch.zeros(shape), torch.ones(5, dtype=torch.int64))


def test_every_item_stands_equally_often_in_a_batch():
    splits = [load_split(own.data) for own in recipe.stacks("here")[8]]
    data = stacked.side_by_side(splits)
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
    found = recipe.threshold(sizes, falls, 0.2)
    assert found["status"] == "observed"
    assert found["value"] == pytest.approx(4 * 2 ** (0.7 / 0.25))


def test_a_threshold_outside_of_what_was_tried_is_a_bound():
    assert recipe.threshold([4, 8], [0.1, 0.0], 0.2)["status"] == "before first"
    assert recipe.threshold([4, 8], [0.9, 0.3], 0.2) == {
        "value": 8,
        "low": 8,
        "high": None,
        "status": "not reached",
    }


def test_a_threshold_is_the_last_crossing():
    assert 16 < recipe.threshold([4, 8, 16, 32], [0.9, 0.1, 0.3, 0.0], 0.2)["value"] < 32


def test_growth_is_the_slope_between_two_steps():
    one, two = ({"n_star": {"value": value, "status": "observed"}} for value in (10, 20))
    assert recipe.growth(one, two, 1000, 4000) == pytest.approx(0.5)
    two["n_star"]["status"] = "not reached"
    assert math.isnan(recipe.growth(one, two, 1000, 4000))


def test_widths_that_have_learned_nothing_are_left_out_of_the_law():
    """n* = p / 30 for all, but for one width whose samples are far from the law and which copies nothing."""
    widths = {8: 600, 10: 900, 16: 2000, 24: 4000}
    entry = {"level": 0.2, "step": 1000}
    found = [
        {**entry, "width": w, "parameters": p, "n_star": observed(p / 30 * (1 + 0.01 * k))}
        for w, p in widths.items()
        for k in range(3)
    ]
    for row in found[:3]:
        row["n_star"] = {"value": 4, "low": 0.0, "high": 4, "status": "before first"}
    groups = [{"width": w, "learned": w != 8} for w in widths]
    (law,) = (law for law in recipe.law_rows(found, groups) if law["level"] == 0.2)
    assert law["exponent"]["value"] == pytest.approx(1, abs=0.02)
    assert (law["exponent"]["observed"], law["exponent"]["censored"]) == (9, 0)


def test_the_record_of_thresholds_follows_from_its_curves():
    record = read(recipe)
    runs = rows_of(record, "run")
    assert {(row["width"], row["n_train"], row["seed"]) for row in runs} == {
        (w, n, seed) for w in recipe.WIDTHS for n in recipe.SIZES for seed in recipe.SEEDS
    }
    for row in runs:
        assert row["parameters"] == row["width"] * (2 * 8 + 13) + 8 + 6 * row["width"] ** 2
        pairs = zip(row["count"], row["total"], row["memorized"], strict=True)
        assert all(count / total == pytest.approx(share, abs=1e-6) for count, total, share in pairs)
    found = list(recipe.threshold_rows(runs))
    for made, kept in zip(found, rows_of(record, "threshold"), strict=True):
        assert made["n_star"]["status"] == kept["n_star"]["status"]
        assert made["n_star"]["value"] == pytest.approx(kept["n_star"]["value"], rel=1e-5)
    groups = list(recipe.group_rows(runs, found))
    for made, kept in zip(groups, rows_of(record, "group"), strict=True):
        assert made["n_star"]["status"] == kept["n_star"]["status"]
        assert ("growth" in made) == ("growth" in kept)
    for made, kept in zip(recipe.law_rows(found, groups), rows_of(record, "law"), strict=True):
        assert made["exponent"]["value"] == pytest.approx(kept["exponent"]["value"], rel=1e-3)


def test_the_page_says_of_thresholds_what_the_record_says():
    record, page = read(recipe), lines_of(recipe)
    for row in record["summary"]["thresholds"]:
        if row["n_star"]["status"] == "observed":
            assert shown(row["n_star"], 1) in page
        else:
            assert f"{row['n_star']['status']} {row['n_star']['value']:.0f}" in page
    for law in record["summary"]["laws"]:
        assert shown(law["exponent"]) in page
