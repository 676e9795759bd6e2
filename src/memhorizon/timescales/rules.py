"""The rules by which times are read off curves; they belong to a record and are written with it."""

import re
import sys
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from memhorizon.checks import check_choice
from memhorizon.errors import InputError

QUALITIES = ("holdout", "score_error", "frechet", "frechet_classifier", "kl")  # what tau_gen may be read from
OF_SAMPLES = ("frechet", "frechet_classifier")  # first what sees noise in single samples
RelativeTo = Literal["worst", "best"]  # of the runs' best values, which one a level is relative to
NO_QUALITIES = ("memorized", "invalid", "train", "gap")  # curves that say nothing of quality
NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)  # of a quality that a user's function gives
AT_A_TIME = ("holdout", "score_error")  # those that are measured at diffusion times
DEFAULT_T = 0.1
MOST_TOLERANCE = 1e9  # levels stay far below the largest number of a record


@dataclass(frozen=True)
class Rules:
    """How the two timescales are read.

    Attributes:
        quality: the curve that tau_gen is read from: "holdout" (the held-out loss), "score_error", "frechet"
            (of pixels or their main directions), "frechet_classifier" (in the features of a small trained
            classifier) or "kl", or the name of a quality function of one's own.
        t: the diffusion time of that curve, where it has one. Where the default of 0.1 was not measured, a
            record takes the measured time nearest to it, and states that.
        tolerance: the level is this share above the best value that `relative_to` names.
        relative_to: "worst": the worst of the runs' best values, so that every run reaches the level (the
            first descent of a loss); "best": the best value of any run, so that the level stands for samples
            as good as they get, and a run whose samples never are has no tau_gen.
        memorized: the memorized fraction above its null that tau_mem stands for.
    """

    quality: str = "holdout"
    t: float | None = DEFAULT_T
    tolerance: float = 0.05
    memorized: float = 0.1
    relative_to: RelativeTo = "worst"

    def __post_init__(self) -> None:
        check_choice("rules.relative_to", self.relative_to, get_args(RelativeTo))
        self._check_quality()
        self._check_time_of_quality()
        self._check_time()
        self._check_tolerance()
        self._check_memorized()

    def _check_quality(self) -> None:
        if not _can_be_quality(self.quality):
            wanted = f"one of {', '.join(QUALITIES)} or the name of a quality of one's own"
            raise InputError(f"rules.quality: expected {wanted}, got {str(self.quality)[:60]!r}")

    def _check_tolerance(self) -> None:
        if not (_positive(self.tolerance) and self.tolerance <= MOST_TOLERANCE):
            wanted = f"a positive number up to {MOST_TOLERANCE:g}"
            raise InputError(f"rules.tolerance: expected {wanted}, got {self.tolerance!r:.60}")

    def _check_memorized(self) -> None:
        if not (_positive(self.memorized) and self.memorized < 1):
            raise InputError(f"rules.memorized: expected a fraction in (0, 1), got {self.memorized!r:.60}")

    def _check_time_of_quality(self) -> None:
        if self.quality in AT_A_TIME and not _positive(self.t):
            wanted = f"the diffusion time of {self.quality}, > 0"
            raise InputError(f"rules.t: expected {wanted}, got {self.t!r:.60}")

    def _check_time(self) -> None:
        if not (self.t is None or _positive(self.t)):
            raise InputError(f"rules.t: expected a positive diffusion time or none, got {self.t!r:.60}")

    @classmethod
    def of_samples(cls, quality: str = "frechet") -> "Rules":
        """The rules where samples are measured: twice the best value of any run.

        >>> Rules.of_samples().tolerance
        1.0
        """
        return cls(quality=quality, t=None, tolerance=1.0, relative_to="best")

    @property
    def at(self) -> float | None:
        """The diffusion time of the curve that tau_gen is read from; None where the quality has none."""
        return self.t if self.quality in AT_A_TIME else None

    @property
    def curve(self) -> str:
        """The name of the curve that tau_gen is read from."""
        return self.quality if self.at is None else f"{self.quality}@{self.at:g}"

    @property
    def is_of_samples(self) -> bool:
        """Whether tau_gen is read from the quality of samples, which falls over orders of magnitude."""
        return self.relative_to == "best" or self.quality in OF_SAMPLES

    @property
    def is_of_default_curve(self) -> bool:
        """Whether tau_gen is read from the default curve, for which another is taken where it is missing."""
        return (self.quality, self.t) == (Rules.quality, DEFAULT_T)


def _can_be_quality(name: object) -> bool:
    """Whether a curve of this name can be a quality: one of ours, or one that a user's function gave."""
    return isinstance(name, str) and name not in NO_QUALITIES and bool(NAME.fullmatch(name))


def _positive(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(0 < value <= sys.float_info.max)  # pyright: ignore[reportOperatorIssue]
