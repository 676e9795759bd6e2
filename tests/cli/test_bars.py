"""Progress: live on a terminal, a state now and then in a file."""

import io

import pytest

from memhorizon.cli.bars import SECONDS_IN_FILES, bar
from memhorizon.cli.terminal import readable


class Terminal(io.StringIO):
    def isatty(self):
        return True


def states(monkeypatch, stream, filtered):
    """What 200 updates write to an error output, and the least time between two states."""
    monkeypatch.setattr("sys.stderr", stream)
    if filtered:
        with readable():
            interval = steps()
    else:
        interval = steps()
    return stream.getvalue().count("\r"), interval


def steps():
    with bar("runs", unit="step", total=200) as shown:
        for done in range(200):
            shown.set_postfix_str(f"{done} of 200", refresh=False)
            shown.update()
        return shown.mininterval


@pytest.mark.parametrize("filtered", [True, False])
def test_in_a_file_a_bar_is_written_at_its_begin_and_end_and_rarely_between(monkeypatch, filtered):
    count, interval = states(monkeypatch, io.StringIO(), filtered)
    assert interval == SECONDS_IN_FILES
    assert count <= 4  # begin, end and what closing adds


@pytest.mark.parametrize("filtered", [True, False])
def test_on_a_terminal_it_is_live(monkeypatch, filtered):
    assert states(monkeypatch, Terminal(), filtered)[1] <= 1
