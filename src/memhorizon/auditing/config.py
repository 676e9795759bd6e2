"""What is asked of an audit."""

from dataclasses import dataclass

from memhorizon.checks import LARGEST, check_number, check_whole
from memhorizon.errors import InputError

VIEWS = ("pixels", "coarse", "aligned", "features")  # that there are
DEFAULT_VIEWS = ("pixels", "coarse", "aligned")
N_REFERENCE = 4000
# Near-duplicates by chance are more frequent in large training sets, and few among few reference items: how
# many there are is then left to the draw, and with it whether a copy is seen beside them.
SHARE_OF_REFERENCE = 8  # a reference item for so many training items, where these are many
MOST_REFERENCE = 8000


@dataclass(frozen=True)
class AuditConfig:
    """What is asked of an audit.

    Attributes:
        views: names of the views, see `VIEWS`.
        fdr: rate at which false discoveries are controlled, between 0 and 1.
        seed: of the reference items and of everything that is learned; less than 2**63.
        n_reference: items that the p-values are calibrated on, at most half of the training set. None for
            4,000; with the view "aligned" for an eighth of a larger training set, up to 8,000.
        minutes: that learning the descriptor may take; the answer then depends on the machine. None for no
            limit.
    """

    views: tuple[str, ...] = DEFAULT_VIEWS
    fdr: float = 0.05
    seed: int = 0
    n_reference: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.views if name not in VIEWS]
        if not self.views or unknown or len(set(self.views)) < len(self.views):
            raise InputError(f"views: expected different ones of {', '.join(VIEWS)}, got {self.views}")
        check_number("fdr", self.fdr, above=0, below=1)
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        if self.n_reference is not None:
            check_whole("n_reference", self.n_reference, least=1)
        if self.minutes is not None:
            check_number("minutes", self.minutes, above=0)

    def reference_items(self, n_train: int) -> int:
        """How many items the p-values are calibrated on, if there are enough, with so many training items."""
        if self.n_reference is not None:
            return self.n_reference
        if "aligned" not in self.views:  # searching is all the work then, for reference items as for samples
            return N_REFERENCE
        return max(N_REFERENCE, min(n_train // SHARE_OF_REFERENCE, MOST_REFERENCE))
