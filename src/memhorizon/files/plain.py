"""Files of plain values: written whole or not at all, read without trust.

A file is written under a name that nobody can foresee, synced and renamed, so a reader never sees half of it
and a symbolic link is replaced, not followed. What is read may have been cut short, edited or made by a
stranger: whatever is no JSON ends in an `InputError` that names the file.
"""

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, kind_of, printable

Row = dict[str, Any]
SUFFIX = ".tmp"  # of what is being written; a killed process leaves it behind
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # each system lacks one of them
# What is wrong where nothing can be made at a path.
UNFIT = (
    *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
)
MAX_BYTES = 2**28  # of a file of plain values; ours are below 2**20


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file: it is there complete, or not at all."""
    temporary = path.with_name(f".{secrets.token_hex(8)}{SUFFIX}")
    try:
        with temporary.open("xb") as handle:  # made here or not opened at all, so no link is followed
            _write_through(handle, content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = str(path)  # what was asked for, not our name for it
        error.filename2 = None
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_path(argument: str, path: object) -> Path:
    """Return the path that an argument names.

    Raises:
        InputError: if it is no path, or none that a system has.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in os.fsdecode(path):
        raise InputError(f"{argument}: expected a path, got {path!r:.100}")
    return Path(os.fsdecode(path))


def make_folder(path: Path, argument: str = "path", *, mode: int = 0o777) -> None:
    """Make a folder that is to be written in, if it is not there.

    Args:
        path: of the folder.
        argument: that names it, for the error.
        mode: who may do what in a folder that is made.

    Raises:
        InputError: if none can be made there, or one may not write in it.
    """
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in UNFIT:  # a full disk is no fault of the path
            raise
        raise InputError(f"{argument}: cannot make the folder {str(path)!r}: {error.strerror}") from error
    check_writable(path, argument)


def check_folder(path: Path, argument: str = "path") -> None:
    """Refuse a path at which no folder can be made or written in, before the work; makes none.

    Raises:
        InputError: if there is something else, on the way to it as well, or one may not write there.
    """
    for place in (path, *path.parents):
        try:
            mode = place.stat().st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(
                f"{argument}: cannot make the folder {printable(path)!r:.200}: {error.strerror}"
            ) from error
        if not stat.S_ISDIR(mode):
            raise InputError(f"{argument}: expected a folder, got the file {printable(place)!r:.200}")
        check_writable(place, argument)
        return


def check_writable(folder: Path, argument: str = "path") -> None:
    """Refuse a folder in which one may not write.

    Raises:
        InputError: if one may not.
    """
    if not os.access(folder, os.W_OK):
        raise InputError(f"{argument}: expected a folder in which one may write, got {str(folder)!r}")


def check_file(path: Path, argument: str = "path") -> None:
    """Refuse a path at which no file can be written, before the work whose answer is to go there.

    Raises:
        InputError: if there is a folder, a pipe or a device, or its folder is not there or takes no file.
    """
    shown = printable(path)
    if not path.name or os.path.isdir(path):  # False where the name is too long
        raise InputError(f"{argument}: expected a file to write, got the folder {shown!r}")
    if not os.path.isdir(path.parent):
        raise InputError(f"{argument}: expected a file in a folder that exists, got {shown!r}")
    _check_is_no_device(path, argument)
    check_writable(path.parent, argument)
    try:
        _check_replaceable(path, argument)
        temporary = path.with_name(f".{secrets.token_hex(8)}{SUFFIX}")
        temporary.open("xb").close()
        temporary.unlink()
    except OSError as error:
        raise InputError(f"{argument}: cannot write {shown!r}: {error.strerror}") from error


def _check_is_no_device(path: Path, argument: str) -> None:
    """Refuse the system's devices; links to them, such as /dev/stdout, would be replaced for everybody."""
    if os.path.realpath(path.parent) == "/dev":
        raise InputError(f"{argument}: expected a file to write, got the device {printable(path)!r}")


def _check_replaceable(path: Path, argument: str) -> None:
    """Refuse what is there and no file; a link is replaced, whatever it leads to."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise InputError(f"{argument}: expected a file to write, got {kind_of(mode)} at {printable(path)!r}")


def write_at(path: Path, content: bytes, argument: str = "path") -> None:
    """Write a whole file where an argument names it, its folders too where they are not there.

    Raises:
        InputError: if no such file can be made there, by the path or by what one may do, or there is a pipe
            or a device.
    """
    _check_is_no_device(path, argument)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(path, argument)
        write_atomically(path, content)
    except OSError as error:
        if error.errno not in UNFIT:  # a full disk is no fault of the path
            raise
        raise InputError(f"{argument}: cannot write {str(path)!r}: {error.strerror}") from error


def write_page(path: object, html: str) -> Path:
    """Write a page to a file, named report.html in a folder that exists.

    Returns:
        The path of the page.

    Raises:
        InputError: if no file can be written at `path`.
    """
    place = check_path("path", path)
    if os.path.isdir(place):  # noqa: PTH112  False where one may not look
        place = place / "report.html"
    write_at(place, html.encode())
    return place


def append_lines(path: Path, rows: Iterable[Row]) -> None:
    """Append rows; they are on the disk when it returns. A symbolic link is refused by the system."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_FOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "ab") as handle:
        _write_through(handle, as_lines(rows))


def _write_through(handle: BinaryIO, content: bytes) -> None:
    """Write, and wait until it is on the disk."""
    handle.write(content)
    handle.flush()
    os.fsync(handle.fileno())


def as_lines(rows: Iterable[Row]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()


def parse_json(text: str, what: str) -> object:
    """Read a JSON value.

    Raises:
        InputError: naming `what`, if it is none, is nested too deeply or holds numbers that are none.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what}: expected JSON, got {text[:60]!r} ({error})") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def is_there(path: Path) -> bool:
    """Whether there is a regular file, or nothing at all.

    Raises:
        InputError: if there is anything else: a folder, a named pipe, a link that leads nowhere.
        OSError: if one may not look.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: expected a regular file, got a link that leads nowhere") from error
    return True


def read_text(path: Path) -> str:
    """Read a file of plain values.

    Raises:
        InputError: naming the file, if it is no regular one, larger than any of ours or no UTF-8.
    """
    if check_regular(path) > MAX_BYTES:
        raise InputError(f"file: expected at most {MAX_BYTES:,} bytes, got more in {path}")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"file: {path} is damaged: {error}") from error


def read_object(path: Path) -> Row:
    """Read a file that holds one JSON object.

    Raises:
        InputError: naming the file, if it does not.
    """
    value = parse_json(read_text(path), f"file: {path} is damaged")
    if not isinstance(value, dict):
        raise InputError(f"file: {path} is damaged: expected an object, got {str(value)[:60]}")
    return value


def read_lines(path: Path) -> list[Row]:
    """Read the complete lines of a stream; a last line without its end is not one.

    Raises:
        InputError: naming the file, if a complete line is no JSON object.
    """
    if not is_there(path):
        return []
    complete = read_text(path).split("\n")[:-1]
    values = [parse_json(line, f"file: {path} is damaged") for line in complete]
    return [_row_of(value, path) for value in values]


def _row_of(value: object, path: Path) -> Row:
    if not isinstance(value, dict):
        raise InputError(f"file: {path} is damaged: expected an object a line, got {str(value)[:60]}")
    return value


def digest(content: bytes) -> str:
    """Name what was written, to be compared later."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def user_cache(name: str) -> Path | None:
    """The user's folder for what memhorizon keeps under this name; None where the user has no home.

    It is memhorizon/NAME in $XDG_CACHE_HOME, or in ~/.cache where that is not set or no absolute path.
    """
    place = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not place.is_absolute():
        try:
            place = Path.home() / ".cache"
        except RuntimeError:  # no HOME, and no user of this number
            return None
    return place / "memhorizon" / name
