"""The cheap signals against slow twins."""

import math

import numpy as np
import pytest
import torch

from memhorizon.denoiser import Denoiser
from memhorizon.measure.losses import denoising_losses
from memhorizon.monitor.signals import Probe, level_indices, measure_losses, rise, stable_rank
from memhorizon.networks.mlp import MLPConfig
from memhorizon.schedule import Schedule

SCHEDULE = Schedule.linear()


def items(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    return MLPConfig(width=16).build((6,), seed=seed)


def measured(size, *, n=40, seed=0, batch_size=7):
    probe = Probe.of(items(n, 1), items(n, 2), size, seed=3)
    denoiser = Denoiser.noise(network(seed), SCHEDULE)
    with torch.no_grad():
        return measure_losses(denoiser, probe, device=torch.device("cpu"), batch_size=batch_size)


def test_losses_are_those_of_the_measure():
    """`denoising_losses` gives item i the noise of (seed, i), as the probe gives row i."""
    found = measured(20)
    slow = denoising_losses(
        Denoiser.noise(network(), SCHEDULE),
        found.probe.train,
        indices=level_indices(SCHEDULE),
        repeats=1,
        seed=3,
    )
    # float32: relative rounding of 2^-24 in sums of a few terms
    assert torch.allclose(found.train, slow.items, rtol=1e-5)


def test_batches_do_not_change_losses():
    assert torch.allclose(measured(20).holdout, measured(20, batch_size=10_000).holdout, rtol=1e-5)


def test_the_gap_is_paired_where_no_item_is_there_twice():
    found = measured(40)
    value, error = found.gap()
    difference = (found.holdout - found.train).mean(1).numpy() / found.holdout_loss
    assert math.isclose(value, difference.mean(), rel_tol=1e-9)
    assert math.isclose(error, difference.std(ddof=1) / math.sqrt(40), rel_tol=1e-9)


def test_where_items_are_repeated_the_error_is_that_of_items():
    """Five items in forty rows: the error is that of five means, not that of forty numbers."""
    probe = Probe.of(items(5, 1), items(5, 2), 40, seed=3)
    rows = torch.randn(40, generator=torch.Generator().manual_seed(0)).double() + probe.holdout_of.double()
    value, error = rise(rows, torch.ones(40).double(), probe)
    means = np.array([float((rows - 1)[probe.holdout_of == k].mean()) for k in range(5)])
    assert math.isclose(value, means.mean(), rel_tol=1e-9)
    assert math.isclose(error, means.std(ddof=1) / math.sqrt(5), rel_tol=1e-9)


def of_items(losses, item_of):
    """The mean over the rows of each item. [items, levels]"""
    rows = losses.numpy()
    return np.array([rows[item_of == k].mean(0) for k in np.unique(item_of)])


def test_where_items_are_repeated_the_errors_of_the_levels_are_those_of_items_too():
    """Five and seven items in forty rows: the variances of two means add, at each of the nine levels."""
    probe = Probe.of(items(5, 1), items(7, 2), 40, seed=3)
    denoiser = Denoiser.noise(network(), SCHEDULE)
    with torch.no_grad():
        found = measure_losses(denoiser, probe, device=torch.device("cpu"), batch_size=9)
    train = of_items(found.train, probe.train_of.numpy())
    holdout = of_items(found.holdout, probe.holdout_of.numpy())
    errors = np.hypot(train.std(0, ddof=1) / math.sqrt(5), holdout.std(0, ddof=1) / math.sqrt(7))
    levels = found.levels()
    assert [level.quantile for level in levels] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    gaps = (found.holdout.mean(0) - found.train.mean(0)).numpy()
    np.testing.assert_allclose([level.gap for level in levels], gaps, rtol=1e-9)
    np.testing.assert_allclose([level.gap_error for level in levels], errors, rtol=1e-9)


def test_the_quantiles_of_a_schedule_are_levels_of_it():
    """Of eleven levels the tenths lie between the first and the last."""
    assert level_indices(Schedule.linear(11)) == (1, 2, 3, 4, 5, 6, 7, 8, 9)


def test_the_noise_drops_out_of_a_change():
    """The same network twice has not changed at all, whatever the noise."""
    found = measured(40)
    assert rise(found.holdout_rows, found.holdout_rows, found.probe) == (0.0, 0.0)


def test_every_item_is_seen_before_one_is_seen_twice():
    probe = Probe.of(items(30, 1), items(10, 2), 64, seed=0)
    assert np.bincount(probe.train_of).tolist().count(2) == 26
    assert set(np.bincount(probe.holdout_of)) == {6, 7}


def test_without_held_out_items_there_is_no_gap():
    probe = Probe.of(items(30, 1), None, 16, seed=0)
    denoiser = Denoiser.noise(network(), SCHEDULE)
    with torch.no_grad():
        found = measure_losses(denoiser, probe, device=torch.device("cpu"), batch_size=99)
    assert math.isnan(found.holdout_loss)
    assert all(math.isnan(each) for each in found.gap())
    assert len(found.levels()) == 9


def layer_of(values):
    """A layer 6 -> 4 whose weights U diag(values) V' have these four singular values."""
    generator = torch.Generator().manual_seed(1)
    left = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(6, 4, generator=generator, dtype=torch.float64)).Q
    weight = left * torch.tensor(values) @ right.T
    layer = torch.nn.Linear(6, 4, bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight.float())
    return layer


# in float32, in units of half an eps: 24 for the sum of 6 x 4 squares, 2 * 6 * sqrt(4) for |W v|^2, of which
# each entry is a sum of 6 products; as many again for |v| = 1 and for the weights
ROUNDING = 3 * 24 * torch.finfo(torch.float32).eps / 2


@pytest.mark.parametrize(("others", "rank"), [(1.0, 1.75), (2.0, 4.0)])
def test_the_stable_rank_is_that_of_the_singular_values(others, rank):
    """(2^2 + 3 s^2)/2^2: the power method leaves (s/2)^40 of other ones, which for s = 2 are as good."""
    assert math.isclose(stable_rank([layer_of([2.0] + [others] * 3)]), rank, rel_tol=ROUNDING)


def test_the_stable_rank_comes_from_above():
    """Between s_2 and s_1 lies |W v| for any v, and with s_2 = 0.95 s_1 the power method is not done yet."""
    found = stable_rank([layer_of([20.0] + [19.0] * 3)])
    exact = (20**2 + 3 * 19**2) / 20**2
    assert exact * (1 - ROUNDING) <= found <= exact * 20**2 / 19**2 * (1 + ROUNDING)


def test_a_network_without_matrices_has_no_stable_rank():
    assert math.isnan(stable_rank([torch.nn.LayerNorm(4)]))
