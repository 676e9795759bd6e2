"""The run that is asked for, and others like it at other n."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memhorizon.errors import InputError
from memhorizon.forecasting.pilots import Pilot, Point


@dataclass(frozen=True)
class Target:
    """Runs like the one that is asked for, at any n.

    Attributes:
        n_train: of the run that is asked for.
        batch_limit: the batch size that smaller sets do not fill; None where the whole set is in each update.
        batch_known: whether anything is known of the batch.
        width: of its network; None where unknown.
        lr: its learning rate; None where unknown.
    """

    n_train: int
    batch_limit: float | None
    batch_known: bool
    width: float | None = None
    lr: float | None = None

    def at(self, n_train: float) -> Point:
        """The hyperparameters at another n."""
        batch = min(n_train, self.batch_limit or n_train) if self.batch_known else None
        return Point(n_train, batch, self.width, self.lr)

    @property
    def point(self) -> Point:
        """The hyperparameters of the run that is asked for."""
        return self.at(self.n_train)


def target_of(
    pilots: Sequence[Pilot],
    n_train: int,
    *,
    batch_size: float | None,
    width: float | None,
    lr: float | None,
) -> Target:
    """What is asked for; what is not given is as in the pilots.

    Raises:
        InputError: if it is not given and the pilots have several values, or given and the pilots have none.
    """
    wanted_width = _shared("width", width, pilots, lambda point: point.width)
    wanted_lr = _shared("lr", lr, pilots, lambda point: point.lr)
    target = Target(n_train, batch_size, True, wanted_width, wanted_lr)
    if any(pilot.point.batch_size is None for pilot in pilots):
        return replace(target, batch_known=batch_size is not None)
    return target if batch_size is not None else replace(target, batch_limit=_limit(pilots))


def _shared(
    name: str, given: float | None, pilots: Sequence[Pilot], of: Callable[[Point], float | None]
) -> float | None:
    values = {of(pilot.point) for pilot in pilots}
    if given is None and len(values) == 1:
        return values.pop()
    if given is None:
        raise InputError(f"{name}: expected that of the run, for the pilots have several, got none")
    if None in values:
        raise InputError(f"{name}: expected none, for it is not known of all pilots, got {given:g}")
    return given


def _limit(pilots: Sequence[Pilot]) -> float | None:
    """The batch size that the pilots share; None where each has its whole set in each update."""
    limits = {pilot.batch_limit for pilot in pilots}
    if len(limits) == 1:
        return limits.pop()
    if all(pilot.point.batch_size == pilot.point.n_train for pilot in pilots):
        return None
    raise InputError("batch_size: expected that of the run, for the pilots have several, got none")
