"""Failures of a monitor: noted, warned of once, and never the end of a training."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memhorizon.monitor.state import Memory

LONGEST = 500  # characters of a failure that are kept


class Failures:
    """Notes what fails, and warns of the first failure of each kind."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def note(self, memory: Memory, kind: str, text: str) -> None:
        """Note a failure, and warn of the first of its kind."""
        memory.failed(text[:LONGEST])
        if kind in self._warned:
            return
        self._warned.add(kind)
        told = text.rstrip(".")
        with suppress(Warning):  # even where warnings are errors
            warnings.warn(f"memhorizon.Monitor: {told}; the training continues", stacklevel=5)

    def once(self, memory: Memory, kind: str, text: str) -> None:
        """Note the first failure of a kind, and warn of it; others of the kind are passed over."""
        if kind not in self._warned:
            self.note(memory, kind, text)

    @contextmanager
    def noted(self, memory: Memory, what: str) -> Iterator[None]:
        """Go on where something fails, and note it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the training continues
            self.note(memory, what, f"{what}: {type(error).__name__}: {error}")
