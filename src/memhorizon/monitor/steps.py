"""The steps that a training tells its monitor: whole numbers that do not fall.

Nothing here ends a training: what is no step is passed over, and warned of once.
"""

from memhorizon.checks import LARGEST
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.state import Memory


class Steps:
    """Reads steps, and warns of those that cannot be right.

    Attributes:
        last: the step that was told last; -1 before the first.
    """

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self.last = -1

    def resume(self, memory: Memory) -> None:
        """The steps that follow are those of a training that is resumed after its last look."""
        self.last = memory.looks[-1].step if memory.looks else -1

    def read(self, step: object, memory: Memory) -> int | None:
        """Give a step as a whole number; None where it is none.

        A step below the one before it is one all the same: a training that counts anew in each epoch gets no
        looks until it is past its last look, which the warning says.
        """
        whole = step if type(step) is int else _whole(step)
        if whole is None or not 0 <= whole < LARGEST:
            self._pass_over(step, memory)
            return None
        if whole < self.last:
            self._warn_of_order(whole, memory)
        self.last = whole
        return whole

    def _pass_over(self, step: object, memory: Memory) -> None:
        words = f"step: expected the number of updates done so far, got {step!r:.60}; it is passed over"
        self._failures.once(memory, "step", words)

    def _warn_of_order(self, step: int, memory: Memory) -> None:
        words = (
            f"step {step:,} came after step {self.last:,}: expected the updates done so far in all of "
            "the training; nothing is looked at before the step of the last look"
        )
        self._failures.once(memory, "order of steps", words)


def _whole(step: object) -> int | None:
    """A whole number of any type that has one, such as a tensor or 20.0."""
    try:
        whole = int(step)  # pyright: ignore[reportArgumentType]
        return whole if bool(whole == step) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
