"""Exactness of the tiled search, against all distances by direct differences in 64 bits."""

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure import neighbors, ranking
from memhorizon.measure.neighbors import kth_among, nearest, pairs_in_balls, pairs_within
from reference import nearest_slow

SHAPES = [(16, 700, 30, 2), (9, 1, 5, 1), (12, 9, 1, 3), (3, 300, 2500, 4)]  # m, n, d, k


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def agree(samples, train, k, **options):
    distance, index = nearest(samples, train, k=k, **options)
    true_distance, true_index = nearest_slow(samples, train, k)
    assert torch.equal(index, true_index)
    # the distance is rounded once, to the bits of its type (subnormal numbers: to a fixed grid)
    info = torch.finfo(distance.dtype)
    allowed = info.eps * true_distance + info.smallest_normal * info.eps
    if distance.dtype == torch.float64:
        allowed *= 4 * train[0].numel()  # the twin rounds in 64 bits as well, once per entry of the sums
    assert bool(((distance.double() - true_distance).abs() <= allowed).all())


@pytest.fixture(params=["default tiles", "tiny tiles"])
def tiles(request, monkeypatch):
    """The second pass goes over every seam: tiles, runs of the product, blocks of minima, pieces."""
    if request.param == "tiny tiles":
        ranks = {"_ROWS": 7, "_COLUMNS": 130, "_POINTS": 300, "_INNER": 11, "_BLOCK": 4, "_PIECE": 512}
        for name, value in ranks.items():
            monkeypatch.setattr(ranking, name, value)
        for name, value in {"_CHUNK": 900, "_SPARE": 1}.items():
            monkeypatch.setattr(neighbors, name, value)


DATA = {
    "normal": lambda a, b: (a, b),
    "far from the origin": lambda a, b: (a + 1e4, b + 1e4),
    "on a lattice, full of ties": lambda a, b: (a.sign(), b.sign()),
    "one training point, repeated": lambda a, b: (a, b[:1].expand_as(b)),
    "samples far away": lambda a, b: (a * 1e5, b),
    "huge": lambda a, b: (a * 1e29, b * 1e29),
    "beyond 32-bit distances": lambda a, b: (a * 3e37, b * 3e37),
    "subnormal": lambda a, b: (a * 1e-41, b * 1e-41),
    "one outlier in training": lambda a, b: (a, torch.cat([b[:-1], b[-1:] * 1e25])),
    "64 bits, beyond the range of 32": lambda a, b: (a.double() * 1e100, b.double() * 1e100),
    "64 bits, apart in the last bits": lambda a, b: (1 + a.double() * 1e-12, 1 + b.double() * 1e-12),
    "zero": lambda a, b: (a * 0, b * 0),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("tiles")
def test_equals_the_slow_twin(kind, shape):
    m, n, d, k = shape
    samples, train = DATA[kind](normal(m, d), normal(n, d, seed=1))
    copies = min(m, n) // 2
    samples[:copies] = train[:copies]
    agree(samples, train, k)
    assert bool((nearest(samples, train, k=1)[0][:copies] == 0).all())  # exactly


def test_copies_are_at_exactly_zero_where_products_cancel():
    train = 5.5 + 0.1 * normal(300, 1024)
    distance, index = nearest(train[:100], train)
    assert bool((distance[:, 0] == 0).all())
    assert torch.equal(index[:, 0], torch.arange(100))


@pytest.mark.usefixtures("tiles")
def test_near_ties_beyond_the_bits_of_the_ranking_are_ordered_exactly():
    """Squared distances 2^22, 2^22 + 1, ..., shuffled: whole numbers, so the twin is exact."""
    steps = torch.arange(400)
    train = torch.zeros(400, 64)
    train[:, 0] = 2048.0
    for bit in range(9):  # 2^bit as the square of one entry, or of two equal ones: no root is rounded
        for column in range(1 + 2 * bit, 2 + 2 * bit + bit % 2):
            train[:, column] = ((steps >> bit) % 2) * 2.0 ** (bit // 2)
    assert torch.equal(train.double().square().sum(1), 2.0**22 + steps.double())
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    samples = torch.zeros(3, 64)
    agree(samples, train[order], 7)
    assert torch.equal(nearest(samples, train[order], k=7)[1][0], order.argsort()[:7])


def test_more_duplicates_than_candidates_come_by_index():
    train = normal(500, 20)
    train[100:160] = train[7]
    distance, index = nearest(train[7:8] + 1e-3, train, k=3)
    assert index.tolist() == [[7, 100, 101]]
    assert float(distance[0, 0]) == float(distance[0, 2])
    agree(train[:20], train, 30)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.bool, torch.int64, torch.float16, torch.bfloat16]
)
def test_every_real_type_is_compared_exactly(dtype):
    train = (normal(200, 3, 4, 4, seed=1) * 40).abs().clamp(max=127).to(dtype)
    samples = (normal(30, 3, 4, 4) * 40).abs().clamp(max=127).to(dtype)
    samples[:5] = train[:5]
    agree(samples, train, 2)


def test_mixed_types_are_compared_by_value():
    train = (normal(200, 16) * 40).abs().clamp(max=255).to(torch.uint8)
    agree(normal(30, 16, seed=1).double() * 40, train, 2)
    agree(normal(30, 16, seed=1) * 40, train, 2)


@pytest.mark.usefixtures("tiles")
def test_the_chunk_never_changes_a_bit():
    samples, train = normal(23, 40), normal(300, 40, seed=1)
    whole = nearest(samples, train, k=3)
    for chunk in (1, 2, 7, 23, 1000):
        part = nearest(samples, train, k=3, chunk=chunk)
        assert torch.equal(part[0], whole[0])
        assert torch.equal(part[1], whole[1])


def test_views_are_as_good_as_copies():
    samples, train = normal(10, 6, 8), normal(90, 6, 8, seed=1)
    agree(samples.transpose(1, 2), train.transpose(1, 2), 2)
    agree(samples[::2, :, ::3], train[::2, :, ::3], 2)


def test_swapping_the_two_sets_is_another_question():
    samples, train = normal(30, 4), normal(50, 4, seed=1)
    assert nearest(samples, train)[0].shape == (30, 2)
    assert nearest(train, samples)[0].shape == (50, 2)


@pytest.mark.usefixtures("tiles")
def test_pairs_within_are_those_of_the_distance_matrix():
    points = normal(90, 3)
    points[80:] = points[:10]
    points[70] = points[71] + 1e-4
    distance = torch.stack([(row - points.double()).square().sum(1).sqrt() for row in points.double()])
    for reach in (0.0, 2e-4, 0.7):
        i, j = pairs_within(points, reach)
        order = (i * 90 + j).argsort()
        expected = ((distance <= reach) & (torch.arange(90)[:, None] < torch.arange(90))).nonzero()
        assert torch.equal(torch.stack([i, j], 1)[order], expected)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.usefixtures("tiles")
def test_pairs_in_balls_hold_what_nearest_found_and_nothing_farther(kind):
    """Balls that reach exactly to the 3rd nearest: on the sphere is inside, for every type and range."""
    points, centers = (x.reshape(len(x), -1) for x in DATA[kind](normal(70, 3), normal(90, 3, seed=1)))
    distance, _ = nearest(centers, points, k=70, same_units=True)
    radius = distance[:, 2]
    found = [torch.stack(pair, 1) for pair in pairs_in_balls(centers, points, radius)]
    count = torch.cat(found)[:, 0].bincount(minlength=90)
    assert torch.equal(count, (distance <= radius[:, None]).sum(1))
    assert len(torch.unique(torch.cat(found), dim=0)) == len(torch.cat(found))


def test_pairs_in_balls_are_named_by_center_and_point():
    centers, points = torch.tensor([[0.0], [10]]), torch.tensor([[11.0], [1], [12]])
    found = torch.cat(
        [torch.stack(pair, 1) for pair in pairs_in_balls(centers, points, torch.tensor([0.5, 2]))]
    )
    assert sorted(found.tolist()) == [[1, 0], [1, 2]]


GOOD = torch.ones(4, 3)
BAD = {
    "shapes": (torch.ones(4, 3), torch.ones(5, 2), 2, None, "items of one shape"),
    "transposed images": (torch.ones(4, 1, 2), torch.ones(5, 2, 1), 2, None, "items of one shape"),
    "no training point": (GOOD, torch.ones(0, 3), 1, None, "train: expected items .*at least one"),
    "no sample": (torch.ones(0, 3), GOOD, 1, None, "samples: expected items .*at least one"),
    "no entries": (torch.ones(4, 0), torch.ones(4, 0), 1, None, "at least one"),
    "a number": (torch.tensor(1.0), torch.tensor(1.0), 1, None, "at least one"),
    "complex": (GOOD.to(torch.complex64), GOOD, 1, None, "real numbers"),
    "k too large": (GOOD, GOOD, 5, None, "k: expected 1 to 4"),
    "k zero": (GOOD, GOOD, 0, None, "k: expected 1 to 4"),
    "chunk zero": (GOOD, GOOD, 1, 0, "chunk: expected a whole number of at least 1"),
    "NaN": (GOOD, torch.tensor([[1.0, 2, 3], [1, float("nan"), 3]]), 1, None, r"train: .* rows \[1\]"),
    "infinity": (torch.tensor([[1.0, 2, float("inf")]]), GOOD, 1, None, r"samples: .* rows \[0\]"),
    "overflowing squares": (GOOD.double() * 1e200, GOOD, 1, None, "below 1e"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    samples, train, k, chunk, message = BAD[case]
    with pytest.raises(InputError, match=message):
        nearest(samples, train, k=k, chunk=chunk)


def test_numpy_numbers_and_huge_chunks_are_taken():
    plain = nearest(normal(9, 3), normal(20, 3, seed=1), k=2)
    for k, chunk in ((np.int64(2), None), (2, 10**30), (2, np.int32(4))):
        assert all(map(torch.equal, nearest(normal(9, 3), normal(20, 3, seed=1), k=k, chunk=chunk), plain))


@pytest.mark.parametrize("exponent", [-500, -540, -700, -950])
def test_distances_whose_squares_underflow_are_those_of_larger_numbers(exponent):
    """Scaling by a power of 2 is exact, so the distances scale exactly but for the rounding of the norm."""
    x, y = normal(9, 3).double(), normal(20, 3, seed=1).double()
    distance, index = nearest(x * 2.0**exponent, y * 2.0**exponent)
    expected, order = nearest(x, y)
    assert torch.equal(index, order)
    torch.testing.assert_close(distance * 2.0**-exponent, expected.double(), rtol=2.0**-48, atol=0)


@pytest.mark.parametrize("chunk", [600, 900, 2100])
def test_pairs_are_the_same_however_many_rows_are_placed_at_once(chunk, monkeypatch):
    """Blocks of 256 rows, 300 and all, of which the second are no power of two."""
    points = normal(700, 3, seed=2)
    monkeypatch.setattr(neighbors, "_CHUNK", chunk)
    i, j = pairs_within(points, 0.4)
    near = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist") <= 0.4
    expected = (near & torch.ones(700, 700).triu(1).bool()).nonzero()
    order = (i * 700 + j).argsort()
    assert len(expected) > 700
    assert torch.equal(torch.stack([i, j], 1)[order], expected)


def test_the_kth_neighbour_among_those_that_are_allowed():
    """Against a walk along each row; the last column where fewer than k are allowed."""
    generator = torch.Generator().manual_seed(3)
    index = torch.stack([torch.randperm(30, generator=generator)[:7] for _ in range(50)])
    allowed = torch.rand(30, generator=generator) < 0.5
    for k in (1, 2, 3):
        expected = []
        for row in index.tolist():
            columns = [column for column, point in enumerate(row) if allowed[point]]
            expected.append(columns[k - 1] if len(columns) >= k else 6)
        assert kth_among(index, allowed, k).flatten().tolist() == expected
        assert len(set(expected)) > 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same_neighbours():
    generator = torch.Generator().manual_seed(0)
    train = torch.rand(20_000, 256, generator=generator)
    samples = torch.rand(200, 256, generator=generator)
    distance, index = nearest(samples, train)
    other, there = nearest(samples.cuda(), train.cuda())
    assert torch.equal(there.cpu(), index)
    assert other.cpu() == pytest.approx(distance, rel=256 * torch.finfo(torch.float64).eps)
