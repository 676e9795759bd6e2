"""Locks: two writers never enter, with and without the system's locks; dead ones let go."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from memhorizon.experiments import locks
from memhorizon.experiments.locks import BusyError, held, is_held
from memhorizon.files.plain import write_atomically


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


def aged(claim, seconds):
    """Let a file look as if it had last been renewed so long ago."""
    then = time.time() - seconds
    os.utime(claim, (then, then))


def test_that_of_another_machine_counts_until_it_is_not_renewed_any_more(disk, tmp_path):
    claim_of(tmp_path, host="elsewhere", pid=1)
    aged(tmp_path / "lock", locks.LEASE - 10)
    assert is_held(tmp_path)
    with pytest.raises(BusyError, match="elsewhere, process 1.*delete .*lock"), held(tmp_path, tries=0):
        pass
    aged(tmp_path / "lock", locks.LEASE + 10)
    assert not is_held(tmp_path)
    with held(tmp_path, tries=0):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("disk", [errno.ENOLCK], indirect=True)
def test_one_of_a_process_killed_before_it_was_written_is_waited_for(disk, tmp_path):
    (tmp_path / "lock").write_text("")
    with pytest.raises(BusyError, match="delete .*lock"), held(tmp_path, tries=0):
        pass
    aged(tmp_path / "lock", locks.LEASE + 10)
    with held(tmp_path, tries=0):
        pass


def test_who_holds_a_folder_renews_it_and_stops_when_it_was_taken_over(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "RENEWED", 0.02)
    with held(tmp_path, tries=0) as hold:
        aged(tmp_path / "lock", 1000)
        wait_until(lambda: time.time() - (tmp_path / "lock").stat().st_mtime < 100)
        hold.check()
        theirs = json.loads((tmp_path / "lock").read_text()) | {"host": "elsewhere"}
        write_atomically(tmp_path / "lock", json.dumps(theirs).encode())
        wait_until(lambda: is_lost(hold))
    assert json.loads((tmp_path / "lock").read_text()) == theirs  # it stays


def is_lost(hold):
    try:
        hold.check()
    except BusyError as error:
        return "elsewhere" in str(error)
    return False


def wait_until(happened):
    last = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_a_folder_made_anew_is_another_one(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with held(folder, tries=0):
        shutil.move(folder, tmp_path / "away")
        folder.mkdir()
        with held(folder, tries=0):
            pass
