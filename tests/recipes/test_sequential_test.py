"""The recipe sequential_test: its pieces by other means, and what the page says of its record."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evidence_records import read
from memhorizon import recipes
from memhorizon.monitor.sequential import run_test
from memhorizon.recipes.sequential_test.numbers import (
    ALPHA,
    KINDS,
    PATHS,
    POWER,
    Q0,
    DelayRow,
    LevelRow,
    fixed_size,
    median_delay,
    single_start,
)
from memhorizon.recipes.tables import of_kind, typed_rows
from memhorizon.records.files import load_record

PAGE = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text()


def committed(kind):
    return of_kind(typed_rows(read("sequential_test").rows, KINDS), kind)


def test_every_path_lies_within_the_hypothesis():
    assert all(0 <= path(k) <= Q0 for path in PATHS.values() for k in range(40))


def test_no_path_is_stopped_more_often_than_the_level():
    """Of the committed record: the exact interval of each share lies below alpha."""
    assert len(committed(LevelRow)) == 2 * len(PATHS)
    assert all(row.stops.high <= ALPHA for row in committed(LevelRow))


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_fixed_size_has_its_power_by_simulation(share):
    size = fixed_size(share)
    least = next(c for c in range(size + 1) if stats.binom.sf(c - 1, size, Q0) <= ALPHA)
    found = np.random.default_rng(0).binomial(size, share, 20_000) >= least
    # four standard errors
    assert found.mean() >= POWER - 4 * math.sqrt(POWER * (1 - POWER) / 20_000)


def test_a_single_start_is_the_same_test_at_the_first_look_but_for_its_weight():
    """With one look there is one start, of weight 1 instead of 1/2: it stops no later."""
    for count in range(8):
        if run_test([count], [64], q0=Q0, alpha=ALPHA) == 0:
            assert single_start([count], [64]) == 0
    assert single_start([0] * 20 + [64], [64] * 21) == 20
    assert single_start([0] * 20, [64] * 20) is None


def test_the_median_of_delays_counts_those_that_never_stop():
    assert median_delay([4, 5, None], begins=4) == 2
    assert median_delay([None, None, 3], begins=0) == math.inf


def test_the_page_has_the_delays_of_the_record():
    block = PAGE.split("<!-- DELAYS -->")[1].split("<!-- end -->")[0]
    lines = [
        line for line in block.splitlines() if line.startswith("| ") and "%" in line and "share" not in line
    ]
    rows = committed(DelayRow)
    assert len(lines) == len(rows) / 2
    for line in lines:
        share, fixed, first, later, single = (cell.strip() for cell in line.strip("|").split("|"))
        own = {row.begins: row for row in rows if f"{100 * row.share:g} %" == share}
        wanted = [own[0].fixed, own[0].samples, own[20].samples, own[20].single_start]
        assert [fixed, first, later, single] == [written(number) for number in wanted]


def written(number):
    return f"{number:,.0f}" if math.isfinite(number) else "never in 40 looks"


def test_the_page_has_the_most_false_stops_of_the_record():
    most = max((row.stops for row in committed(LevelRow)), key=lambda stops: stops.value)
    assert f"{most.value:.4f} [{most.low:.4f}, {most.high:.4f}]" in PAGE


def test_the_tiny_twin_gives_a_record(tmp_path):
    record = load_record(recipes.load("sequential_test").run(tmp_path, "tiny", root=tmp_path / "runs"))
    assert record.tiny
    assert len(record.rows) == len(committed(LevelRow)) + len(committed(DelayRow))
