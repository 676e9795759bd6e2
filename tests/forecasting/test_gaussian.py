"""The misfit of the law: its covariance is that of simulated walks."""

import numpy as np
import pytest

from memhorizon.forecasting.design import design
from memhorizon.forecasting.gaussian import VAGUE, Structure, boards, walks
from memhorizon.forecasting.pilots import Point
from memhorizon.forecasting.priors import FIXED, FULL, ONLY, Exponent

BELIEFS = {name: Exponent(1.0, 0.5) for name in (ONLY, FULL, FIXED, "width", "lr")}
FINE = 256  # steps of a simulated walk per doubling


def at(*sizes):
    return [Point(float(n)) for n in sizes]


@pytest.mark.parametrize("bends", [False, True])
def test_walks_are_those_of_simulation(bends):
    """Sizes 16 to 128, one of them below the smallest pilot."""
    made = design(at(16, 32, 128), at(8, 64), BELIEFS)
    found = walks(made, bends=bends)
    rng = np.random.default_rng(0)
    count = 4000
    up, down = (np.cumsum(rng.normal(size=(count, 3 * FINE)), axis=1) / np.sqrt(FINE) for _ in range(2))
    if bends:
        up, down = (np.cumsum(path, axis=1) / FINE for path in (up, down))
    places = {16: np.zeros(count), 32: up[:, FINE - 1], 128: up[:, 3 * FINE - 1]}
    places |= {8: down[:, FINE - 1], 64: up[:, 2 * FINE - 1]}
    simulated = np.array([places[n] for n in (16, 32, 128, 8, 64)])
    error = 4 * np.sqrt(2 / count) * np.sqrt(np.outer(np.diag(found), np.diag(found)))
    grid = 0.02 * found.max()  # a walk of 256 steps a doubling
    assert np.all(abs(simulated @ simulated.T / count - found) <= error + grid)


def test_the_law_is_its_prefactor_and_its_slope():
    made = design(at(16, 64), at(256), BELIEFS)
    exact, larger = boards(made, [Structure(0.1, 0.0, False), Structure(0.1, 0.5, False)]).covariance
    x = np.log([16, 64, 256]) - np.log([16, 64]).mean()
    assert exact[:3, :3] == pytest.approx(VAGUE**2 + 0.25 * np.outer(x, x))
    assert exact[3] == pytest.approx([*(0.25 * x), 0.25])
    assert larger[2, 2] - exact[2, 2] == pytest.approx(0.25 * 4)  # four doublings
    assert boards(made, []).mean == pytest.approx([*x, 1.0])


def test_columns_are_those_that_vary():
    """At full batches it is the batch that grows, at a fixed one the steps of an epoch."""
    full = design([Point(16, 16), Point(32, 32)], [Point(64, 64)], BELIEFS)
    fixed = design([Point(16, 8), Point(32, 8)], [Point(64, 8)], BELIEFS)
    both = design([Point(16, 16), Point(64, 32)], [Point(128, 32)], BELIEFS)
    alone = design([Point(16), Point(64, 32)], [Point(128, 32)], BELIEFS)
    assert (full.names, fixed.names, both.names, alone.names) == ((FULL,), (FIXED,), (FULL, FIXED), (ONLY,))
    wide = design([Point(16, None, 8.0)], [Point(16, None, 16.0)], BELIEFS)
    assert wide.names == ("width",)
    assert wide.asked - wide.pilots == pytest.approx(np.log(2))
