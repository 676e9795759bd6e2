"""What is asked of an audit."""

from dataclasses import dataclass

from memhorizon.checks import LARGEST, check_number, check_whole
from memhorizon.errors import InputError

VIEWS = ("pixels", "coarse", "aligned", "features")  # that there are
DEFAULT_VIEWS = ("pixels", "coarse", "aligned")
N_REFERENCE = 4000


@dataclass(frozen=True)
class AuditConfig:
    """What is asked of an audit.

    Attributes:
        views: names of the views, see `VIEWS`.
        fdr: rate at which false discoveries are controlled, between 0 and 1.
        seed: of the reference items and of everything that is learned; less than 2**63.
        n_reference: items that the p-values are calibrated on, at most half of the training set.
        minutes: that learning the descriptor may take; the answer then depends on the machine. None for no
            limit.
    """

    views: tuple[str, ...] = DEFAULT_VIEWS
    fdr: float = 0.05
    seed: int = 0
    n_reference: int = N_REFERENCE
    minutes: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.views if name not in VIEWS]
        if not self.views or unknown or len(set(self.views)) < len(self.views):
            raise InputError(f"views: expected different ones of {', '.join(VIEWS)}, got {self.views}")
        check_number("fdr", self.fdr, above=0, below=1)
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        check_whole("n_reference", self.n_reference, least=1)
        if self.minutes is not None:
            check_number("minutes", self.minutes, above=0)
