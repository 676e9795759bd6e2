"""The rules that people use, on curves whose answers are read off by eye."""

import math
from dataclasses import dataclass

import pytest

from memhorizon.monitor import rules


@dataclass(frozen=True)
class Seen:
    """A row of a training."""

    step: int
    holdout_loss: float = math.nan
    gap: float = math.nan
    gap_error: float = 0.1
    stable_rank: float = math.nan
    frechet: float = math.nan


def rows(name, values):
    return [Seen(10 * (k + 1), **{name: value}) for k, value in enumerate(values)]


def step_of(row):
    return None if row is None else row.step


@pytest.mark.parametrize(
    ("losses", "lowest", "stop"),
    [
        ((3, 2, 1), 30, None),
        ((3, 1, 2, 2, 2, 0), 60, 50),
        ((3, 1, 2, 2, 0.5, 2, 2), 50, None),  # a new smallest one begins the count again
        ((1, 1, 1, 1), 10, 40),  # as large as the smallest is not below it
        ((3, 1, 2, math.nan, 2, 2), 20, 60),
        ((math.nan, math.nan), None, None),
    ],
)
def test_held_out_loss(losses, lowest, stop):
    curve = rows("holdout_loss", losses)
    assert step_of(rules.held_out_minimum(curve)) == lowest
    assert step_of(rules.out_of_patience(curve)) == stop


@pytest.mark.parametrize(
    ("gaps", "step"),
    [
        ((0.3, 0.1, 0.3, 0.3), 40),  # one alone is no opening
        ((0.3, 0.3, 0.0), 20),
        ((0.2, 0.2, 0.2), None),  # two errors are not above two errors
        ((0.3, math.nan, 0.3), 30),
        ((0.3,), None),
    ],
)
def test_gap(gaps, step):
    assert step_of(rules.gap_opens(rows("gap", gaps))) == step


def test_stable_rank_is_compared_with_its_largest_value_so_far():
    assert step_of(rules.stable_rank_falls(rows("stable_rank", (8, 10, 9.5, 9.4, 20)))) == 40
    assert rules.stable_rank_falls(rows("stable_rank", (8, 9, 10))) is None


def test_frechet_distance_is_smallest_where_it_is_known():
    assert step_of(rules.frechet_minimum(rows("frechet", (math.nan, 3, 2, math.nan, 2)))) == 30


def test_a_step_between_two_rows_is_the_earlier_one():
    curve = rows("gap", (0, 0, 0))
    assert [step_of(rules.up_to(curve, step)) for step in (9, 10, 19, 20, 99)] == [None, 10, 10, 20, 30]
