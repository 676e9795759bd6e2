"""Two halves: one unit, no preference of what has learned nothing, planted times, the committed record."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from evidence_records import agree, drawn, lines_of, read, shown
from memhorizon.recipes.halves_digits import numbers
from memhorizon.recipes.parts import Done
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.training import OptimizerConfig


def test_halves_are_disjoint_and_in_one_unit():
    configs = [numbers.config(32, half, 1, "here") for half in (0, 1)]
    one, other = numbers.both_halves(configs)
    assert not set(one.train_index.tolist()) & set(other.train_index.tolist())
    assert torch.equal(one.holdout_index, other.holdout_index)
    # The same held-out images with the mean of either half differ by rounding only, once in one unit.
    assert torch.allclose(one.holdout, other.holdout, atol=1e-5)
    assert float((numbers.load_split(configs[1].data).holdout - one.holdout).abs().max()) > 1e-3


def test_networks_that_have_learned_nothing_prefer_no_half():
    """Samples of two untrained networks are the same: one nearer to a half is not nearer to the other."""
    configs = [numbers.config(8, half, 0, "tiny") for half in (0, 1)]
    still = [replace(own, optimizer=OptimizerConfig("sgd", lr=1e-12, momentum=0.0)) for own in configs]
    pair = numbers.train_pair(still, torch.device("cpu"))
    for one, two in zip(pair.one, pair.two, strict=True):
        assert 2 * (one.own + two.own) == one.total + two.total


def planted_pair():
    """Own share rises through 0.55 at 300 steps, copies through 0.1 at 2,000, the loss turns at 500."""
    step = np.unique(np.geomspace(20, 8000, 30).round())
    total = 50_000
    own = 0.5 + 0.1 / (1 + (300 / step) ** 2)
    copies = 0.2 / (1 + (2000 / step) ** 3)
    holdout = 0.3 + 0.05 * np.log(step / 500) ** 2
    columns = zip(step, (own * total).round(), (copies * total).round(), holdout, strict=True)
    seen = tuple(
        numbers.Seen(int(at), int(nearer), int(copied), total, float(loss), 1e-6)
        for at, nearer, copied, loss in columns
    )
    return numbers.Pair(seen, seen, (0, 100_000))


def test_planted_times_of_a_pair_are_recovered():
    pair = planted_pair()
    level = 0.3 + 0.05 * math.log(5) ** 2
    row = numbers.run_row((32, 0), numbers.curves_of(pair), pair.null, level, seconds=1.0)
    # Snapshots lie 20 % apart and a logistic is nearly straight between them.
    planted = ((row.tau_gen, 100), (row.tau_bias, 300), (row.argmin, 500), (row.tau_mem, 2000))
    for time, step in planted:
        assert time.value == pytest.approx(step, rel=0.02)
    assert row.own_at_argmin == pytest.approx(0.5 + 0.1 / (1 + (300 / 500) ** 2), abs=2e-3)
    group = numbers.group_row([row, row, row], 32)
    assert group.lead.value == pytest.approx(300 / 500, rel=0.02)
    assert group.window.value == pytest.approx(20, rel=0.03)
    assert group.safe_window.value == pytest.approx(3, rel=0.03)


def pair_of(row):
    """Both networks together, as a row has them, in the place of one, and nothing in that of the other."""
    whole = (np.round(np.array(share) * row.total) for share in (row.own, row.copies))
    columns = zip(row.step, *whole, row.total, row.holdout, row.holdout_error, strict=True)
    seen = [(int(s), int(o), int(c), int(t), float(h), float(e)) for s, o, c, t, h, e in columns]
    one = tuple(numbers.Seen(*each) for each in seen)
    two = tuple(numbers.Seen(step, 0, 0, 0, loss, error) for step, _, _, _, loss, error in seen)
    return numbers.Pair(one, two, row.null)


@pytest.fixture(scope="module")
def kept():
    return rows_of(read("halves_digits"), "halves_digits", numbers.KINDS)


def test_the_record_of_halves_follows_from_its_curves(kept, tmp_path):
    runs = of_kind(kept, numbers.RunRow)
    wanted = {(n, pair) for n in numbers.STEPS for pair in numbers.PAIRS}
    assert {(row.n_train, row.pair) for row in runs} == wanted
    parts = {(row.n_train, row.pair): Done(pair_of(row), row.seconds, {}) for row in runs}
    for made, old in zip(numbers.rows_of(parts), kept, strict=True):
        for name in numbers.TIMESCALES:
            agree(getattr(made, name), getattr(old, name), rel=1e-3)
        if isinstance(old, numbers.GroupRow):
            for name in ("lead", "window", "safe_window"):
                agree(getattr(made, name), getattr(old, name), rel=1e-3)
            assert made.own_at_argmin.value == pytest.approx(old.own_at_argmin.value, rel=1e-3)
    drawn(read("halves_digits"), tmp_path)


def test_the_page_says_of_halves_what_the_record_says(kept):
    page = lines_of("halves_digits")
    *each, together = of_kind(kept, numbers.GroupRow)
    for found in each:
        assert shown(found.own_at_argmin) in page
        assert shown(found.tau_bias, 0) in page
        assert shown(found.argmin, 0) in page
        assert shown(found.window, 1) in page
        assert shown(found.safe_window, 1) in page
    assert shown(together.lead) in page
    for name in numbers.TIMESCALES:
        assert shown(getattr(together.exponent, name)) in page
