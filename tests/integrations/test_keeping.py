"""The state of a monitor as a file of plain values."""

import json

import pytest

import memhorizon as mh
from memhorizon.integrations.keeping import read_state, write_state
from watched_training import monitor, perfect, seen, trained


def test_what_is_read_goes_on_as_what_was_written(tmp_path):
    """Evidence may be infinite, and losses are unknown without held-out items."""
    path = tmp_path / "state.json"
    for settings in ({}, {"holdout": None, "denoiser": perfect}):
        watched = monitor(**settings)
        model = trained(8, after=watched.update)
        write_state(watched, path, {"of": "this"})
        resumed = monitor(**settings)
        assert read_state(resumed, path, {"of": "this"})
        for both in (watched, resumed):
            both.update(30, model)
        assert len(watched.history) >= 4
        assert repr(seen(resumed)) == repr(seen(watched))
        assert resumed.verdict == watched.verdict


def test_a_state_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "state.json"
    assert not read_state(monitor(), path)
    watched = monitor()
    trained(4, after=watched.update)
    write_state(watched, path, {"seed": 1})
    other = monitor()
    assert not read_state(other, path, {"seed": 2})
    assert other.history == ()


@pytest.mark.parametrize("state", [5, {"version": 99}, {"version": 1, "lowest": {"tensor": ["x"]}}])
def test_a_damaged_state_is_refused(tmp_path, state):
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"about": {}, "state": state}))
    with pytest.raises(mh.InputError, match="state"):
        read_state(monitor(), path)
    path.write_text("no JSON")
    with pytest.raises(mh.InputError, match=r"is damaged: .*; remove .*state\.json to begin anew, or"):
        read_state(monitor(), path)
