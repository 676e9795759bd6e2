import pytest

from memhorizon.errors import InputError
from memhorizon.networks.embedding import TimeTable


def test_a_table_has_at_least_one_level():
    with pytest.raises(InputError, match="n_levels: expected a whole number of at least 1, got 0"):
        TimeTable(0, 8)
