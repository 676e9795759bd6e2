"""The command as it was typed, for its record."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

_words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


def remember(words: Sequence[str]) -> None:
    """Take these as the words after `memhorizon` of the command that is about to be run."""
    _words.set(tuple(words))


def words() -> tuple[str, ...]:
    """The words after `memhorizon`."""
    return _words.get()


def command() -> str:
    """The whole line, as a shell takes it."""
    return shlex.join(("memhorizon", *words()))
