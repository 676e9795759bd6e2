"""What is asked of an audit."""

from dataclasses import dataclass

from memhorizon.checks import LARGEST, check_number, check_whole
from memhorizon.errors import InputError

VIEWS = ("pixels", "coarse", "aligned", "features")  # that there are
# By default. Near-duplicates by chance have the lowest ranks in every view; a view that finds little beyond
# the others costs power, as "pixels" does beside "aligned".
FOR_PICTURES = ("coarse", "aligned")
FOR_VECTORS = ("pixels", "coarse")
N_REFERENCE = 4000
# Near-duplicates by chance are more frequent in large training sets, and few among few reference items: how
# many there are is then left to the draw, and with it whether a copy is seen beside them.
SHARE_OF_REFERENCE = 4  # a reference item for so many training items, where these are many
MOST_PAIRS = 900_000_000  # of a reference item and a training item, where these are still more


@dataclass(frozen=True)
class AuditConfig:
    """What is asked of an audit.

    Attributes:
        views: names of the views, see `VIEWS`; None for those that pay, see `views_for`.
        fdr: rate at which false discoveries are controlled, between 0 and 1.
        seed: of the reference items and of everything that is learned; less than 2**63.
        n_reference: items that the p-values are calibrated on, at most half of the training set; None for as
            many as pay, see `reference_items`.
        minutes: that learning the descriptor may take; the answer then depends on the machine. None for no
            limit.
    """

    views: tuple[str, ...] | None = None
    fdr: float = 0.05
    seed: int = 0
    n_reference: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        self._check_views()
        check_number("fdr", self.fdr, above=0, below=1)
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        self._check_limits()

    def _check_views(self) -> None:
        if self.views is not None and not _are_different_views(self.views):
            raise InputError(f"views: expected different ones of {', '.join(VIEWS)}, got {self.views}")

    def _check_limits(self) -> None:
        """Numbers that may be left open."""
        if self.n_reference is not None:
            check_whole("n_reference", self.n_reference, least=1)
        if self.minutes is not None:
            check_number("minutes", self.minutes, above=0)

    def views_for(self, *, registered: bool, with_features: bool) -> tuple[str, ...]:
        """The views that are asked for, or those for pictures that can be registered, and for all else."""
        if self.views is not None:
            return self.views
        chosen = FOR_PICTURES if registered else FOR_VECTORS
        return (*chosen, "features") if with_features else chosen

    def reference_items(self, n_train: int) -> int:
        """How many items the p-values are calibrated on, if there are enough, with so many training items."""
        if self.n_reference is not None:
            return self.n_reference
        if self.views is not None and "aligned" not in self.views:
            return N_REFERENCE  # searching is all the work then, for reference items as for samples
        return max(N_REFERENCE, min(n_train // SHARE_OF_REFERENCE, MOST_PAIRS // max(n_train, 1)))


def _are_different_views(names: tuple[str, ...]) -> bool:
    """Whether there is each of these views, at least one of them and none twice."""
    are_known = all(name in VIEWS for name in names)
    return bool(names) and are_known and len(set(names)) == len(names)
