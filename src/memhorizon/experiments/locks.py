"""Who may write to a folder: one process at a time, on any disk.

Where the disk has locks (`flock`), the folder itself is locked: there is no file that could be tidied away,
and a killed process lets go at once. Elsewhere (NFS without locks, Windows) the file `lock` decides: it is
made by whoever comes first and names its maker; that of a dead process of this machine is taken over. The
file is there on every disk, so that one can see who is at work.

Locks of a disk may reach no further than one machine, and a machine can be lost. So the file is renewed every
few seconds: one of another machine counts until it has not been renewed for `LEASE` seconds, by the clock of
the disk, and whoever finds that his was taken over stops writing.
"""

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memhorizon.errors import InputError
from memhorizon.files.plain import Row, parse_json, read_text, write_atomically

PAUSE = 0.1  # seconds between two tries
RENEWED = 15.0  # seconds between two signs of life of a process that holds a folder
LEASE = 120.0  # seconds without one after which a process of another machine is taken for lost


class BusyError(InputError):
    """Another process is writing there; it will let go when it ends, or when its machine is lost."""


class Hold:
    """A folder that is held, and renewed by a thread.

    Attributes:
        lost: whether another process took it over.
    """

    def __init__(self, folder: Path, mine: Row) -> None:
        """Hold a folder for a process; `renewing` renews it."""
        self._folder = folder
        self._mine = mine
        self._ended = threading.Event()
        self.lost = False

    def check(self) -> None:
        """Go on only while the folder is held.

        Raises:
            BusyError: if another process took it over, because this one gave no sign of life for too long.
        """
        if self.lost:
            raise BusyError(_busy(self._folder, _maker(self._folder / "lock")))

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew it while the block lasts."""
        thread = threading.Thread(target=self._renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _renew(self) -> None:
        claim = self._folder / "lock"
        while not self._ended.wait(RENEWED):
            maker = _maker(claim)
            if maker is not None and maker != self._mine:
                self.lost = True
                return
            with suppress(OSError):  # tidied away, or a disk that is away for a moment
                os.utime(claim)


@contextmanager
def held(folder: Path, *, tries: int) -> Iterator[Hold]:
    """Hold a folder while the block lasts.

    Args:
        folder: what is to be written to.
        tries: how many more times to try, a tenth of a second apart.

    Raises:
        BusyError: if another process holds it.
        InputError: if there is a folder where the file `lock` belongs.
    """
    claim = folder / "lock"
    if claim.is_dir() and not claim.is_symlink():
        raise InputError(f"{claim}: expected the file of who writes there, got a folder; remove it")
    mine = this_process()
    descriptor = _take(folder, claim, mine, tries)
    hold = Hold(folder, mine)
    try:
        with hold.renewing():
            yield hold
    finally:
        try:
            if _maker(claim) == mine:
                claim.unlink(missing_ok=True)
        finally:
            if descriptor is not None:
                os.close(descriptor)  # and with it the lock


def _take(folder: Path, claim: Path, mine: Row, tries: int) -> int | None:
    for left in range(tries, -1, -1):
        try:
            return _try_once(folder, claim, mine)
        except InputError:
            if not left:
                raise
            time.sleep(PAUSE)
    raise AssertionError("unreachable: the last try returns or raises")


def _try_once(folder: Path, claim: Path, mine: Row) -> int | None:
    descriptor = _lock_folder(folder, claim)
    if descriptor is None:
        _make_claim(folder, claim, mine)
        return None
    try:
        _check_elsewhere(folder, claim)
        write_atomically(claim, json.dumps(mine).encode())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_folder(folder: Path, claim: Path) -> int | None:
    """Lock a folder and return its descriptor, None where there are no such locks.

    Raises:
        BusyError: if another process holds it, or the folder was replaced meanwhile.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            return descriptor
    except BlockingIOError:
        pass
    except OSError:  # this disk has no locks: EOPNOTSUPP, ENOLCK, on NFS also EBADF
        os.close(descriptor)
        return None
    os.close(descriptor)
    raise BusyError(_busy(folder, _maker(claim)) + "; wait until it ends")


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder, as far as its file tells."""
    claim = folder / "lock"
    return os.path.lexists(claim) and not _is_over(claim, _maker(claim))


def _check_elsewhere(folder: Path, claim: Path) -> None:
    """Respect a process of another machine, which the locks of the disk may not reach.

    Raises:
        BusyError: if one holds the folder.
    """
    maker = _maker(claim)
    if maker is not None and maker["host"] != platform.node() and not _is_over(claim, maker):
        raise BusyError(_busy(folder, maker) + f"; wait, or delete {claim} if that machine is gone")


def _make_claim(folder: Path, claim: Path, mine: Row) -> None:
    """Make the file that decides where there are no locks.

    Raises:
        BusyError: if another process has made it.
    """
    maker = _maker(claim)
    stale = _is_over(claim, maker)
    if stale:
        claim.unlink(missing_ok=True)
    try:
        with claim.open("x") as handle:
            json.dump(mine, handle)
    except FileExistsError as error:
        raise BusyError(_busy(folder, maker) + f"; wait, or end it and delete {claim}") from error
    if stale:
        _check_still(folder, claim, mine)


def _check_still(folder: Path, claim: Path, mine: Row) -> None:
    """See that the file stays ours: another process may have seen the same dead one, and removed ours for it.

    Raises:
        BusyError: if it is gone.
    """
    time.sleep(2 * PAUSE)
    if _maker(claim) != mine:
        raise BusyError(_busy(folder, _maker(claim)))


def _busy(folder: Path, maker: Row | None) -> str:
    who = f" ({maker['host']}, process {maker['pid']}, since {maker['since']})" if maker else ""
    return f"run: {folder} is being written by another process{who}"


def this_process() -> Row:
    """What tells this process apart: machine, number, when it began, when it was asked."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": platform.node(), "pid": os.getpid(), "born": _born(os.getpid()), "since": since}


def _maker(claim: Path) -> Row | None:
    """Who made the file; None where there is none, or nothing that could be read."""
    try:
        maker = parse_json(read_text(claim), "lock")
    except (OSError, InputError):
        return None
    if not isinstance(maker, dict) or not {"host", "pid", "born", "since"} <= set(maker):
        return None
    return maker if isinstance(maker["pid"], int) else None


def _is_over(claim: Path, maker: Row | None) -> bool:
    """Whether the maker of a file has ended: asked on this machine, elsewhere by its last sign of life."""
    if maker is not None and maker["host"] == platform.node() and os.name != "nt":
        return is_dead(maker)
    return _age(claim) > LEASE


def _age(claim: Path) -> float:
    """Seconds since a file was renewed, by the clock of its disk; 0 where that cannot be found out."""
    probe = claim.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        probe.touch()
        return probe.stat().st_mtime - claim.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with suppress(OSError):
            probe.unlink()


def is_dead(maker: Row) -> bool:
    """Whether the maker, a process of this machine, has ended."""
    try:
        os.kill(maker["pid"], 0)  # signal 0 does nothing: it asks whether the process is there
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return _born(maker["pid"]) != maker["born"]


def _born(pid: int) -> str:
    """When a process began, in the system's units, so that its number used again is told apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""
