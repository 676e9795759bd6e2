"""Locks: two writers never enter, with and without the system's locks; dead ones let go."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest

from memhorizon.errors import InputError
from memhorizon.experiments.locks import BusyError, held


@pytest.fixture(params=["flock", errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF, "no fcntl"])
def disk(request, monkeypatch):
    """A disk with locks, three kinds without, and a system that does not know them."""
    if request.param == "no fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif request.param != "flock":

        def refuse(descriptor, operation):
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", refuse)
    return request.param


def test_one_at_a_time(disk, tmp_path):
    with held(tmp_path, tries=0):
        with pytest.raises(BusyError, match="another process"), held(tmp_path, tries=1):
            pass
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    with held(tmp_path, tries=0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_tidied_away_still_holds(tmp_path):
    with held(tmp_path, tries=0):
        (tmp_path / "lock").unlink()
        with pytest.raises(BusyError), held(tmp_path, tries=0):
            pass


def test_an_error_within_lets_go(disk, tmp_path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path, tries=0):
        raise KeyboardInterrupt
    with held(tmp_path, tries=0):
        pass


def claim_of(tmp_path, **changes):
    with held(tmp_path, tries=0):
        mine = json.loads((tmp_path / "lock").read_text())
    (tmp_path / "lock").write_text(json.dumps(mine | changes))


def test_that_of_a_dead_process_is_taken_over(disk, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for changes in ({"pid": gone.pid}, {"born": "another time"}, {"pid": 10**30}):
        claim_of(tmp_path, **changes)
        with held(tmp_path, tries=0):
            pass


@pytest.mark.parametrize("disk", [errno.ENOLCK], indirect=True)
def test_that_of_another_machine_is_respected_and_says_what_to_do(disk, tmp_path):
    claim_of(tmp_path, host="elsewhere", pid=1)
    said = "elsewhere, process 1.*delete .*lock"
    with pytest.raises(InputError, match=said) as raised, held(tmp_path, tries=0):
        pass
    assert not isinstance(raised.value, BusyError)  # nobody waits for it
    (tmp_path / "lock").write_text("")  # of a process killed between making and writing it
    with pytest.raises(InputError, match="delete .*lock"), held(tmp_path, tries=0):
        pass


def test_a_folder_made_anew_is_another_one(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with held(folder, tries=0):
        shutil.move(folder, tmp_path / "away")
        folder.mkdir()
        with held(folder, tries=0):
            pass
