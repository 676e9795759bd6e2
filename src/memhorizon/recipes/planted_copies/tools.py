"""The tools of the suite: each says of a set of samples how much of it is copied, some also which samples."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Literal

from jaxtyping import Bool
from torch import Tensor

from memhorizon.recipes.planted_copies.suite import Case, Group

Direction = Literal[1, -1]
HERE = "memhorizon"
NOT_INSTALLED = "not installed"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a tool says of a set of samples.

    Attributes:
        number: of the whole set.
        is_flagged: which samples it calls copies; None where it does not tell. [m]
    """

    number: float
    is_flagged: Bool[Tensor, " m"] | None = None

    @classmethod
    def of_flags(cls, is_flagged: Bool[Tensor, " m"]) -> "Verdict":
        """The share of the samples that are called copies."""
        return cls(float(is_flagged.double().mean()), is_flagged)


@dataclass(frozen=True)
class Tool:
    """A tool of the suite.

    Attributes:
        name: of the tool.
        package: the distribution that has it; "memhorizon" where its published formula is computed here.
        call: what is called, or the formula and whose it is.
        judge: what it says.
        direction: 1 where copies make the number larger, -1 where they make it smaller.
        group: of the tools that judge a run together.
    """

    name: str
    package: str
    call: str
    judge: Callable[[Case], Verdict]
    direction: Direction = 1
    group: Group = "quick"

    @property
    def version(self) -> str:
        """Of the package, or that it is not installed."""
        return version_of(self.package)

    @property
    def is_there(self) -> bool:
        """Whether it can be called."""
        return self.version != NOT_INSTALLED


@cache
def version_of(package: str) -> str:
    """The version of an installed package, or that there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED
