"""The statistic of the audit against its geometry."""

import math

import numpy as np
import pytest
import torch

from memhorizon.auditing.position import farthest_foot, position, position_by_structure


def squared(points, other):
    return (points - other).square().sum(-1)


def statistic(y, points):
    """The statistic of y with these points, [K, d], put in order."""
    r2 = squared(points, y)
    points = points[r2.argsort()]
    return float(position(r2.sort().values[None], squared(points, points[0])[None])[0])


def by_geometry(y, points):
    """Feet of the perpendicular by least squares on each line, then the definition."""
    y, points = y.numpy(), points.numpy()
    distance = np.linalg.norm(points - y, axis=1)
    first, *others = points[distance.argsort()]
    feet = [np.linalg.lstsq((a - first)[:, None], y - first, rcond=None)[0][0] for a in others]
    near, second = np.sort(distance)[:2]
    return max(abs(t) for t in feet) * math.sqrt(near / second)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("K", [2, 4, 7])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_it_is_the_largest_foot_times_the_root_of_the_ratio(K, share):
    for seed in range(20):
        points = drawn(K, 5, seed=seed)
        y = share * points[0] + (1 - share) * drawn(5, seed=100 + seed)
        # a billionth of the largest square is added to squares that are above a thousandth of it
        assert statistic(y, points) == pytest.approx(by_geometry(y, points), rel=1e-5)


def test_a_copy_has_0_and_the_middle_of_two_has_1_half():
    points = drawn(4, 30)
    assert statistic(points[2], points) == 0
    two = points[:2]
    assert statistic(two.mean(0), two) == pytest.approx(0.5, rel=1e-6)


def test_what_is_orthogonal_to_the_training_items_leaves_the_place():
    """Only the ratio of the distances changes, as it must."""
    along, D2 = in_a_plane()
    before = position(along[None], D2[None])
    ratio = (along[0] / along[1]) ** 0.25
    for length in (0.1, 1.0, 10.0):
        added = along + length  # of squared length, the same for all
        after = position(added[None], D2[None])
        expected = before / ratio * ((along[0] + length) / (along[1] + length)) ** 0.25
        # a billionth of the largest square is added to squares of a thousandth of it
        assert float(after) == pytest.approx(float(expected), rel=1e-5)


def in_a_plane():
    """Squared distances of a point to four others, and of these to the nearest one."""
    points = torch.zeros(4, 12, dtype=torch.float64)
    points[:, :6] = drawn(4, 6)
    y = points[1] + 0.1 * drawn(12, seed=1) * (torch.arange(12) < 6)
    r2 = squared(points, y)
    order = r2.argsort()
    return r2.sort().values, squared(points[order], points[order[0]])


def by_structure(r2, D2, structure):
    none = torch.zeros(1, dtype=torch.float64)
    foot = farthest_foot(r2[None], D2[None], none)
    return float(position_by_structure(foot, structure[None], none))


def test_noise_that_is_told_from_structure_changes_nothing():
    along, D2 = in_a_plane()
    before = by_structure(along, D2, along)
    # s = T max(r_1 / r_2, T): T is that of the plain statistic T sqrt(r_1 / r_2)
    ratio = float((along[0] / along[1]).sqrt())
    foot = float(position(along[None], D2[None])) / ratio**0.5
    assert before == pytest.approx(foot * max(ratio, foot), rel=1e-5)
    for length in (0.1, 10.0, 1e3):
        # of differences of numbers up to 1e3, about 0.01 in size, 16 - 5 digits are left
        assert by_structure(along + length, D2, along) == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_the_quotient_counts_no_more_than_the_foot(share):
    """Between two items at the place t nothing is called a copy because its distance was taken for noise."""
    points = drawn(2, 30)
    y = points[0] + share * (points[1] - points[0])
    r2 = squared(points, y)
    D2 = squared(points, points[0])
    no_structure = torch.tensor([-0.5, 1.0], dtype=torch.float64)  # less than none counts as none
    assert by_structure(r2, D2, no_structure) == pytest.approx(share**2, rel=1e-9)
    # with all of it the quotient t / (1 - t) is the larger one
    assert by_structure(r2, D2, r2) == pytest.approx(share**2 / (1 - share), rel=1e-9)


def test_items_that_cannot_be_told_apart_prove_nothing():
    """a_2 as near to a_1 as what counts as none: the foot is at 1/2, wherever y is."""
    r2 = torch.tensor([[0.0, 1e-6]])
    D2 = torch.tensor([[0.0, 1e-6]])
    assert float(farthest_foot(r2, D2, torch.tensor([1e-5]))) == 0.5
    assert float(farthest_foot(r2, D2, torch.tensor([1e-7]))) < 0.01


def test_items_that_have_nothing_to_do_with_one_another_are_at_1_half():
    """y and all a_k independent N(0, I_d): t = 1/2 + O(1/sqrt(d)), the ratio 1 - O(1/sqrt(d))."""
    d, K, m = 20_000, 4, 50
    points = drawn(m, K, d)
    y = drawn(m, d, seed=1)
    r2 = squared(points, y[:, None])
    order = r2.argsort(dim=1)
    points = points.gather(1, order[:, :, None].expand_as(points))
    s = position(r2.sort(dim=1).values, squared(points, points[:, :1]))
    # t - 1/2 = (r_1^2 - r_k^2) / (2 D^2), r^2 = 2 d +- sqrt(8 d), D^2 = 2 d: 6 standard deviations of the
    # difference of two, 6 * 4 sqrt(d) / (4 d)
    allowed = 6 / math.sqrt(d)
    assert float((s - 0.5).abs().max()) < allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_items_and_empty_distances_give_numbers(dtype):
    none = torch.zeros(3, 4, dtype=dtype)
    some = torch.ones(3, 4, dtype=dtype)
    for r2, D2 in ((none, none), (some, none), (none, some)):
        s = position(r2, D2)
        assert s.isfinite().all()
        assert (s >= 0).all()


def test_the_unit_changes_nothing():
    points = drawn(4, 6)
    y = drawn(6, seed=1)
    for unit in (1e-6, 1e6):
        assert statistic(unit * y, unit * points) == pytest.approx(statistic(y, points), rel=1e-9)
