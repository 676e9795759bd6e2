"""A plan as a record: the images, the theory's guess, the pilots that are worth running, the answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.forecasting.answers import Forecast
from memhorizon.records.plain import Plain
from memhorizon.results import Estimate


@dataclass(frozen=True)
class ImageFacts:
    """What matters of a set of images.

    Attributes:
        source: where they were read from.
        n: how many.
        shape: of one of them, as it is trained on.
        duplicates: how many have an equal or nearly equal one before them.
        dimension: in how many directions they vary, at the scale of nearest neighbours.
        main_directions: of the covariance, that hold 95 % of the variance.
        participation: (sum of the eigenvalues)^2 over the sum of their squares.
        skipped: files that could not be used.
        digest: SHA-256 of their values, as they are trained on; empty where unknown.
    """

    source: str
    n: int
    shape: tuple[int, ...]
    duplicates: int
    dimension: Estimate
    main_directions: int
    participation: float
    skipped: int = 0
    digest: str = ""


@dataclass(frozen=True)
class TheoryGuess:
    """What the random-features theory says before anything is trained.

    Attributes:
        psi_n: n over the number of pixels.
        psi_p: features over the number of pixels, assumed.
        t: diffusion time.
        ratio: tau_mem over tau_gen.
        exponent: of n in tau_mem between n/2 and n.
        off: how far the ratio was off at most where it was held beside trained networks.
        evidence: the record that says so.
    """

    psi_n: float
    psi_p: float
    t: float
    ratio: float
    exponent: float
    off: float
    evidence: str


@dataclass(frozen=True)
class PlannedPilot:
    """Pilots of one size.

    Attributes:
        n_train: number of training items.
        seeds: how many runs, each on images of its own.
        n_updates: length of each: a guess until smaller pilots have run.
        seconds: that all of them take on one core of this machine, as far as was measured.
    """

    n_train: int
    seeds: int
    n_updates: int
    seconds: float


@dataclass(frozen=True, repr=False)
class PlanRecord:
    """How to find out after how many steps a set of images would be copied.

    Attributes:
        name: of the record.
        command: that made it.
        facts: of the images.
        theory: the first guess; None where it could not be made.
        config: of the pilots, but for size, length and seed.
        pilots: worth running, smallest first.
        cores: that run side by side.
        forecast: the answer, once pilots have run.
        seconds: of one core that the pilots have taken; NaN before.
        made: date and time (UTC), where known.
        notes: what else one should know.
        minutes: that the pilots were chosen for; NaN where unknown.
    """

    name: str
    command: str
    facts: ImageFacts
    theory: TheoryGuess | None
    config: Mapping[str, Plain]
    pilots: tuple[PlannedPilot, ...]
    cores: int
    forecast: Forecast | None = None
    seconds: float = math.nan
    made: str = ""
    notes: tuple[str, ...] = field(default=())
    minutes: float = math.nan

    def __repr__(self) -> str:
        """Name, number of pilots and the answer."""
        answer = "not run yet" if self.forecast is None else repr(self.forecast)
        return f"PlanRecord({self.name!r}, {len(self.pilots)} sizes of pilots, {answer})"

    @property
    def wall_seconds(self) -> float:
        """Until all pilots are done, side by side, as planned."""
        return sum(one.seconds * math.ceil(one.seeds / self.cores) / one.seeds for one in self.pilots)
