"""The descriptor: what it learns is decided by its seed, and finds originals."""

import math

import pytest
import torch

from memhorizon.auditing import descriptor
from memhorizon.auditing.descriptor import Descriptor, edited, learn
from memhorizon.auditing.planted import EDITS
from scenes import scenes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count, side, seed=0):
    return scenes(count, side, generator=seeded(seed)).mean(1, keepdim=True)


def quiet(done, total):
    """Tell nobody."""


@pytest.fixture
def few(monkeypatch):
    """Few updates: for what does not depend on how much is learned."""
    monkeypatch.setattr(descriptor, "UPDATES", 4)
    monkeypatch.setattr(descriptor, "BATCH", 16)


def weights(net):
    return torch.cat([w.flatten() for w in net.state_dict().values()])


@pytest.mark.usefixtures("few")
def test_the_seed_decides():
    train = pictures(30, 12)
    first, learning = learn(train, seed=3, minutes=None, report=quiet)
    again, _ = learn(train, seed=3, minutes=100.0, report=quiet)
    other, _ = learn(train, seed=4, minutes=None, report=quiet)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))
    assert (learning.n_updates, learning.wanted) == (4, 4)
    assert not any(weight.requires_grad for weight in first.parameters())


@pytest.mark.usefixtures("few")
def test_it_learns_from_what_it_is_given():
    train = pictures(30, 12)
    other = train.clone()
    other[7] = 1 - other[7]
    one, _ = learn(train, seed=0, minutes=None, report=quiet)
    two, _ = learn(other, seed=0, minutes=None, report=quiet)
    assert not torch.equal(weights(one), weights(two))


def test_the_time_ends_it():
    train = pictures(4, 8)
    seen = []
    _, learning = learn(train, seed=0, minutes=0.002, report=lambda done, total: seen.append((done, total)))
    assert learning.n_updates < learning.wanted == descriptor.UPDATES  # 0.1 seconds for 500 updates
    assert seen == [(k, learning.wanted) for k in range(1, learning.n_updates + 1)]
    net, learning = learn(train, seed=0, minutes=1e-12, report=quiet)
    assert learning.n_updates == 0
    assert weights(net).isfinite().all()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("size", [(8, 8), (9, 28), (13, 8)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_pictures_of_any_size_have_a_place_on_the_sphere(size, channels):
    train = torch.rand(3, channels, *size, generator=seeded())
    net, _ = learn(train, seed=0, minutes=None, report=quiet)  # fewer than a batch
    places = net(train)
    assert places.shape == (3, descriptor.SIZE)
    torch.testing.assert_close(places.norm(dim=1), torch.ones(3))
    assert net(torch.zeros(2, channels, *size)).isfinite().all()


def test_to_make_one_leaves_the_generator_alone():
    before = torch.random.get_rng_state()
    Descriptor((1, 8, 8))
    assert torch.equal(before, torch.random.get_rng_state())


def test_edits_keep_the_range_and_are_drawn():
    x = pictures(50, 12)
    y = edited(x, seeded(1))
    assert y.shape == x.shape
    assert 0 <= y.min() <= y.max() <= 1
    assert torch.equal(y, edited(x, seeded(1)))
    assert (y - edited(x, seeded(2))).flatten(1).norm(dim=1).min() > 0


def test_a_picture_that_was_drawn_twice_is_no_wrong_answer():
    """The loss by loops: -log of the share that the other edit has among those of all other pictures."""
    places = torch.randn(2, 6, 4, generator=seeded(), dtype=torch.float64)
    a, b = places / places.norm(dim=2, keepdim=True)
    drawn = [0, 1, 0, 2, 1, 0]
    total = 0.0
    for one, other in ((a, b), (b, a)):
        for i in range(6):
            like = [math.exp(float(one[i] @ other[j]) / descriptor.TEMPERATURE) for j in range(6)]
            wrong = sum(like[j] for j in range(6) if drawn[j] != drawn[i])
            total -= math.log(like[i] / (like[i] + wrong)) / 12
    found = descriptor._contrastive(a.float(), b.float(), torch.tensor(drawn))
    assert float(found) == pytest.approx(total, rel=1e-5)


def test_originals_of_edited_pictures_are_found(monkeypatch):
    """Of 200 pictures that it never saw, edited, the original is the first; chance would find one in 200."""
    monkeypatch.setattr(descriptor, "UPDATES", 60)
    monkeypatch.setattr(descriptor, "BATCH", 96)
    net, _ = learn(pictures(400, 12), seed=0, minutes=None, report=quiet)
    originals = pictures(200, 12, seed=1)
    places = net(originals)

    def found(edit):
        similarity = net(EDITS[edit](originals, seeded(2))) @ places.T
        return float((similarity.argmax(1) == torch.arange(200)).float().mean())

    shares = {
        edit: found(edit) for edit in ("exact", "flip", "shift 1, edge", "brightness 0.8", "noise 0.05")
    }
    assert shares["exact"] == 1
    # by pixels flipped and moved ones have other pictures first more often than not
    assert min(shares.values()) > 0.3, shares
