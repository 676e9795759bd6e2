"""Files from anywhere: which may be opened, how much may come out of one, which names may be printed.

The bounds, all checked before anything is unpacked: a picture has at most MOST_PIXELS pixels, and is resized
to sides of at most MOST_SIDE; an array, also one of resized pictures, has at most MOST_BYTES bytes; what is
packed (.npz, .gz) unpacks to at most MOST_RATIO times its size on the disk, where that is more than
FREE_BYTES.
"""

import os
import stat

from memhorizon.errors import InputError

MOST_PIXELS = 2**26
MOST_SIDE = 2**13  # of a square of MOST_PIXELS
MOST_BYTES = 2**34
MOST_RATIO = 250
FREE_BYTES = 2**25

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def printable(text: object, *, kept: str = "") -> str:
    r"""Escape all that a terminal or a page would obey instead of show: control, direction, surrogates.

    Args:
        text: what is to be shown.
        kept: characters that are left as they are, such as the ends of lines.

    >>> print(printable("a" + chr(27) + "[2J.png"))
    a\x1b[2J.png
    """
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in str(text)
    )


def kind_of(mode: int) -> str:
    """Name what lies at a path, from the `st_mode` of its status."""
    return next((name for matches, name in _KINDS if matches(mode)), "a regular file")


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]} ..."


def problem_with(path: str | os.PathLike[str]) -> str | None:
    """Explain why nothing can be read at a path, where that is so."""
    shown = _shortened(printable(path))
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a name with a zero byte
        return f"no such file or folder as {shown}"
    except OSError as error:
        return f"{shown} cannot be looked at ({error.strerror})"
    return None


def check_regular(path: str | os.PathLike[str]) -> int:
    """Return the size of a regular file in bytes; anything else must not be opened, since it may never end.

    Raises:
        InputError: if it is a folder, a named pipe, a socket or a device.
        OSError: if it is not there.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{printable(path)}: expected a regular file, got {kind_of(status.st_mode)}")
    return status.st_size


def check_unpacked(unpacked: int, where: str, *, packed: int | None = None) -> None:
    """Refuse what would take far more memory than its file suggests; `packed` is its size on the disk.

    Raises:
        InputError: if it is beyond MOST_BYTES, or beyond FREE_BYTES and MOST_RATIO times `packed`.
    """
    if unpacked > MOST_BYTES:
        raise InputError(f"{where}: expected at most {MOST_BYTES:,} bytes, got an array of {unpacked:,}")
    if packed is not None:
        _check_ratio(unpacked, packed, where)


def _check_ratio(unpacked: int, packed: int, where: str) -> None:
    if unpacked > max(FREE_BYTES, MOST_RATIO * packed):
        raise InputError(
            f"{where}: expected at most {MOST_RATIO} times the {packed:,} bytes that it takes on the disk, "
            f"got an array of {unpacked:,} bytes; if it comes from a source that you trust, save it unpacked "
            "as .npy"
        )
