"""One monitor at a time writes to a folder: whoever comes first, as long as it lives.

The file `writer` names it. That of a process that has ended, of another machine, or of a monitor that is
finished or forgotten is taken over, so that a training can be begun anew or resumed in its folder.
"""

import json
import os
import platform
import secrets
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from memhorizon.errors import InputError
from memhorizon.experiments.locks import BusyError, held, is_dead, this_process
from memhorizon.files.plain import Row, make_folder, read_object, write_atomically

WRITER = "writer"  # the file
TRIES = 20  # to look at it and write it while nobody else does; it takes some milliseconds


class Claim:
    """The right of one monitor to write to a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._token = secrets.token_hex(8)
        self._is_held = False
        _LIVE[self._token] = self

    def take(self) -> bool:
        """Take the folder where it is not held yet; give whether it was not.

        Raises:
            BusyError: if another monitor writes there.
        """
        if self._is_held:
            return False
        make_folder(self._root, "root")
        with held(self._root, tries=TRIES):  # of two that come at once, one writes after the other has looked
            self._check_free()
            row = {**this_process(), "token": self._token}
            write_atomically(self._root / WRITER, json.dumps(row).encode())
        self._is_held = True
        return True

    def _check_free(self) -> None:
        other = _writer(self._root)
        if other is not None and _is_alive(other):
            who = f"process {other.get('pid')}, since {other.get('since')}"
            raise BusyError(
                f"root: {self._root} is being written by another monitor ({who}): nothing of this training "
                "is kept there; give each one its own folder, or call finish of the other one"
            )

    def release(self) -> None:
        """Let others write there."""
        if not self._is_held:
            return
        self._is_held = False
        other = _writer(self._root)
        if other is not None and other.get("token") == self._token:
            with suppress(OSError):
                (self._root / WRITER).unlink()


_LIVE: WeakValueDictionary[str, Claim] = WeakValueDictionary()  # of this process, by token


def _writer(root: Path) -> Row | None:
    """Who writes to a folder; None where nobody does, as far as can be read."""
    try:
        return read_object(root / WRITER)
    except (OSError, InputError):
        return None


def _is_alive(writer: Row) -> bool:
    """Whether a writer may still write: asked on this machine, elsewhere it is taken to have ended."""
    pid = writer.get("pid")
    if writer.get("host") != platform.node() or not isinstance(pid, int):
        return False
    if pid == os.getpid():
        return str(writer.get("token")) in _LIVE
    return os.name != "nt" and "born" in writer and not is_dead(writer)
