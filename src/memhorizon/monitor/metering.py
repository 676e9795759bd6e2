"""The time of a training, divided between the training and its monitor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from memhorizon.monitor.isolation import synchronize
from memhorizon.monitor.looks import Purse, paced


class Meter:
    """Measures how long the training took, and the monitor.

    Args:
        timer: gives the time in seconds.
        first: step of the first look.
        n_updates: planned length of the training; None where it is not known.
    """

    def __init__(self, timer: Callable[[], float], *, first: int, n_updates: int | None) -> None:
        self._timer = timer
        self._first = first
        self._n_updates = n_updates
        self._last: float | None = None

    def start(self) -> None:
        """The training begins here, where it has not begun."""
        if self._last is None:
            self._last = self._timer()

    def forget(self) -> None:
        """The training begins anew."""
        self._last = None

    @contextmanager
    def aside(self, purse: Purse, step: int) -> Iterator[None]:
        """Count the time since the last look as training, and what is done here as the monitor's."""
        with suppress(RuntimeError):
            synchronize()
        start = self._timer()
        spent = purse.spent
        purse.train_seconds += start - (start if self._last is None else self._last)
        self._foresee(purse, step)
        try:
            yield
        finally:
            self._last = self._timer()
            # what was not counted as losses or samples
            counted = purse.spent - spent
            purse.paid_rest(max(0.0, self._last - start - counted), looked=counted > 0)

    def _foresee(self, purse: Purse, step: int) -> None:
        """How long the whole training will take, by its pace so far."""
        if self._n_updates is not None and step > 0:
            planned = purse.train_seconds * self._n_updates / step
            purse.whole_seconds = planned
            purse.planned_seconds = planned * paced(step, self._first, self._n_updates)

    @contextmanager
    def timed(self) -> Iterator[list[float]]:
        """Give the seconds that something took, accelerators included."""
        seconds = [0.0]
        start = self._timer()
        yield seconds
        synchronize()
        seconds[0] = self._timer() - start
