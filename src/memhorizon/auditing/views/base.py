"""What a view is: a statistic of any item against the training set, and how it changes when one joins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int
from torch import Tensor

from memhorizon.auditing.scores import Changes

Report = Callable[[int, int], None]  # how many are done, of how many
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True, eq=False)
class Found:
    """The statistic of some items in one view.

    Attributes:
        statistic: small for copies. [q]
        nearest: training item that it refers to. [q]
        state: what the view needs of these items to tell later how their statistics change; its first axis
            is that of the items. By name.
    """

    statistic: Float64[np.ndarray, " q"]
    nearest: Int[np.ndarray, " q"]
    state: dict[str, Tensor]


@runtime_checkable
class View(Protocol):
    """One view of the items. Everything that it has learned is from training items that are no reference."""

    @property
    def name(self) -> str:
        """Of the view."""
        ...

    @property
    def compares(self) -> str:
        """What it compares, in words."""
        ...

    @property
    def note(self) -> str:
        """What was left out or reduced; empty where nothing was."""
        ...

    @property
    def digest(self) -> str:
        """Of what it has learned or was given beside the items, for the cache; empty for nothing."""
        ...

    def find(
        self, queries: Float[Tensor, " q *item"], left_out: Int[Tensor, " q"] | None, report: Report
    ) -> Found:
        """The statistic of items against the training set, without the group left out for each of them."""
        ...

    def changes(
        self,
        items: Float[Tensor, " R *item"],
        left_out: Int[Tensor, " R"],
        found: Found,
        joining: Float[Tensor, " j *item"],
        report: Report,
    ) -> Changes:
        """How the statistics of items change once each of the joining ones has joined the training set.

        Args:
            items: as `find` was asked about.
            left_out: as there.
            found: what it gave.
            joining: items that join, one at a time; `row` of the answer counts them.
            report: told how far it is.
        """
        ...
