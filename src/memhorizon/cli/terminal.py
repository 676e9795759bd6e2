"""What reaches a terminal: signs that its encoding has, and nothing that it would obey instead of show."""

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from memhorizon.errors import InputError
from memhorizon.files.bounds import printable

BLANKS = "\u00a0\u2009\u202f"  # no-break and thin: shown as they are, by nobody obeyed
# In words or signs of ASCII, where the encoding of the terminal has no such sign.
SIGNS = {
    "∞": "inf",
    "×": "x",
    "·": "*",
    "•": "*",
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "√": "sqrt",
    "∂": "d",
    "∇": "grad",
}


def say(text: str) -> None:
    """Say something beside the answer, on the error stream."""
    print(text, file=sys.stderr)


@runtime_checkable
class Stream(Protocol):
    """What a terminal, a pipe or a file is to the texts that are written to it."""

    @property
    def encoding(self) -> str | None:
        """The encoding of its bytes; None where it keeps the texts as they are."""
        ...

    def write(self, text: str, /) -> int:
        """Take a text."""
        ...

    def flush(self) -> None:
        """Hand on what was taken."""
        ...

    def fileno(self) -> int:
        """Its number for the system."""
        ...


class NobodyReadsError(BrokenPipeError):
    """The reader of the output is gone, as in `memhorizon ... | head`."""


@contextmanager
def readable() -> Iterator[None]:
    """Let both streams show every text, whatever their encoding; one that is closed or missing takes all."""
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        sys.stdout = _filtered(sys.stdout, stack, kept=f"\n\t{BLANKS}")  # pyright: ignore[reportAttributeAccessIssue]
        sys.stderr = _filtered(sys.stderr, stack, kept=f"\n\t\r{BLANKS}")  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _filtered(stream: Stream | None, stack: ExitStack, kept: str) -> "Filter":
    """The stream behind a filter; one that is not there takes everything."""
    if stream is None or _is_closed(stream):
        nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  closed with the stack
        return Filter(stack.enter_context(nowhere), kept, missing=True)
    return Filter(stream, kept)


def check_reader() -> None:
    """Before work whose answer is printed and goes nowhere else: is there an output that takes it?

    Raises:
        InputError: if it is closed or missing.
    """
    if isinstance(sys.stdout, Filter) and sys.stdout.missing:
        raise InputError("stdout: expected an open output for the answer, got a closed one")


def _is_closed(stream: Stream) -> bool:
    """Whether nothing can be written any more, as in a service; pythonw has no streams at all."""
    return bool(getattr(stream, "closed", False))


class Filter:
    """A text stream that spells out what its encoding lacks, and escapes control characters.

    It is no terminal, so that nobody sends it colours.
    """

    def __init__(self, stream: Stream, kept: str, *, missing: bool = False) -> None:
        """Filter a stream.

        Args:
            stream: where the texts go.
            kept: control characters that are handed on.
            missing: whether the stream only stands for one that is not there.
        """
        self._stream = stream
        self._kept = kept
        self.missing = missing

    def write(self, text: str) -> int:
        """Write a text.

        Raises:
            NobodyReadsError: if the reader is gone.
        """
        with self._met():
            self._stream.write(spelled(printable(text, kept=self._kept), self._stream.encoding))
        return len(text)

    def flush(self) -> None:
        """Hand on what is written.

        Raises:
            NobodyReadsError: if the reader is gone.
        """
        with self._met():
            self._stream.flush()

    @property
    def behind(self) -> Stream:
        """The stream that is written to."""
        return self._stream

    def isatty(self) -> bool:
        """Whether escape sequences are obeyed: never."""
        return False

    @contextmanager
    def _met(self) -> Iterator[None]:
        """Meet an error here, not once more when the interpreter closes the stream."""
        try:
            yield
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise NobodyReadsError from error
            raise

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def spelled(text: str, encoding: str | None) -> str:
    """Spell out what an encoding lacks; a stream without encoding takes everything.

    >>> spelled("τ → ∞, 3 × 5, café", "ascii")
    'tau -> inf, 3 x 5, cafe'
    """
    if encoding is None:
        return text
    return text.encode(encoding, "memhorizon.spelled").decode(encoding)


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Handle what cannot be encoded, as the codecs of Python ask."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_word, error.object[error.start : error.end])), error.end


def _word(c: str) -> str:
    """One character in ASCII."""
    if c in SIGNS:
        return SIGNS[c]
    name = unicodedata.name(c, "").split()
    if name[:1] == ["GREEK"]:
        return name[-1].lower()
    if name[:1] == ["BOX"]:
        return {"HORIZONTAL": "-", "VERTICAL": "|"}.get(name[-1], "+")
    plain = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
    return plain or c.encode("ascii", "backslashreplace").decode()


codecs.register_error("memhorizon.spelled", _spell)
