"""What a training is told apart by, so that a monitor resumes from no state but its own."""

from collections.abc import Mapping

from memhorizon.errors import InputError
from memhorizon.files.digests import digest_of
from memhorizon.monitor.settings import MonitorSets, MonitorSettings


class Identity:
    """The sets of a monitor and those of its settings that what it remembers depends on.

    The budget and the batch size may change between two parts of a training, and how often it is looked at.
    """

    def __init__(self, settings: MonitorSettings, sets: MonitorSets) -> None:
        self._settings = settings
        self._sets = sets
        self._entries: dict[str, object] = {}

    def entries(self) -> dict[str, object]:
        """Plain values by name; the sets are read at the first call."""
        if not self._entries:
            settings = self._settings
            holdout = self._sets.holdout
            self._entries = {
                "train": digest_of(self._sets.train),
                "holdout": "" if holdout is None else digest_of(holdout),
                "target": settings.target,
                "confidence": settings.confidence,
                "most_certificates": settings.most_certificates,
                "sampler": repr(settings.sampler),
                "n_probe": settings.plan.n_probe,
                "seed": settings.seed,
            }
        return dict(self._entries)

    def check(self, state: Mapping[str, object]) -> None:
        """Refuse the state of another training.

        Raises:
            InputError: naming what differs.
        """
        told = state.get("of")
        if not isinstance(told, Mapping):
            raise InputError("state.of: expected what training the state is of, got nothing of the kind")
        other = [name for name, value in self.entries().items() if told.get(name) != value]
        if other:
            raise InputError(
                f"state: expected that of this training, got one with another {', '.join(other)}"
            )
