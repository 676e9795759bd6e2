"""What is measured and when: the grid of snapshots, and settings that cannot be."""

import pytest

from memhorizon.errors import InputError
from memhorizon.measure.config import MeasureConfig, snapshot_steps
from typecheck import unchecked


def test_marks_are_even_in_the_logarithm_and_end_with_the_training():
    assert MeasureConfig(snapshots=5, first=10).marks(1000) == [10, 32, 100, 316, 1000]
    assert snapshot_steps(1, 4, 30) == [1, 2, 3, 4]


BAD = {
    "a method, no sampler": (lambda: unchecked(MeasureConfig, sampler="ddim"), "sampler: .* got 'ddim'"),
    "no sampler": (lambda: unchecked(MeasureConfig, sampler=None), "sampler: .* got None"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
