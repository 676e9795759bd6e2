"""What a monitor remembers, and its plain form for a checkpoint of the training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.monitor.looks import Purse
from memhorizon.monitor.sequential import EProcess, allowed_share
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.verdict import NOTHING, Finding
from memhorizon.records.codec import decode, encode
from memhorizon.records.monitor import Look, Sheet, Verdict

VERSION = 5
READABLE = (4, VERSION)  # in 4 the reason of a verdict is one text
MOST_FAILURES = 20
SEEDS = 2**32  # seeds of samples are below


@dataclass(frozen=True)
class Seen:
    """What was seen, as a state holds it.

    Attributes:
        looks: so far.
        verdict: after the last look.
        sheets: contact sheets.
        failures: the last that failed.
        candidates: steps of those whose weights are kept.
        finding: the verdict with its reason in parts; None in states of earlier versions.
    """

    looks: tuple[Look, ...]
    verdict: Verdict
    sheets: tuple[Sheet, ...]
    failures: tuple[str, ...]
    candidates: tuple[int, ...]
    finding: Finding | None = None


@dataclass
class Memory:
    """Everything that changes while a training is watched.

    Attributes:
        purse: what was spent.
        test: the e-process.
        due: step from which on the next look is due.
        next_sample: step from which on samples are due while the training is learning.
        next_seed: seed of the next sample; no seed is used twice.
        lowest: held-out loss of each row of the probe at the look where its mean was smallest; none at first.
        looks: so far.
        finding: after the last look, with what was seen of certificates since.
        certificates: looks that were certified.
        sheets: contact sheets.
        failures: the last that failed.
        kept: step of the weights in best.safetensors; -1 for none.
        candidates: steps of low held-out losses whose weights are kept, the lowest one last.
        rows: items that losses are measured on; 0 where that is open.
    """

    purse: Purse
    test: EProcess
    due: int
    next_sample: int
    next_seed: int
    lowest: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    looks: list[Look] = field(default_factory=list)
    finding: Finding = NOTHING
    certificates: int = 0
    sheets: list[Sheet] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    kept: int = -1
    candidates: list[int] = field(default_factory=list)
    rows: int = 0

    @classmethod
    def at_first(cls, settings: MonitorSettings, null: float) -> "Memory":
        """That of a monitor that has seen nothing.

        Args:
            settings: of the monitor.
            null: share of honest samples that the test for the stop allows for.
        """
        plan = settings.plan
        return cls(
            purse=Purse(settings.budget),
            test=EProcess(allowed_share(settings.target, null), settings.alpha),
            due=plan.first if settings.budget is None else max(1, plan.first // 2),
            next_sample=plan.first,
            next_seed=first_seed(settings.seed),
        )

    @property
    def verdict(self) -> Verdict:
        """Where the training is."""
        return self.finding.verdict

    def seeds(self, count: int) -> list[int]:
        """Take seeds that no look has used."""
        first = self.next_seed
        self.next_seed = (first + count) % SEEDS
        return [(first + k) % SEEDS for k in range(count)]

    def failed(self, what: str) -> None:
        """Note a failure; the last 20 are kept."""
        self.failures = [*self.failures, what][-MOST_FAILURES:]

    def state_dict(self) -> dict[str, object]:
        """Plain values and one tensor."""
        return {
            "version": VERSION,
            "purse": asdict(self.purse),
            "test": encode(self.test),
            "due": self.due,
            "next_sample": self.next_sample,
            "next_seed": self.next_seed,
            "lowest": self.lowest.clone(),
            "certificates": self.certificates,
            "kept": self.kept,
            "rows": self.rows,
            "seen": encode(self._seen()),
        }

    def _seen(self) -> Seen:
        return Seen(
            tuple(self.looks),
            self.verdict,
            tuple(self.sheets),
            tuple(self.failures),
            tuple(self.candidates),
            self.finding,
        )

    @classmethod
    def of_state(cls, state: Mapping[str, object]) -> "Memory":
        """The memory of a state.

        Raises:
            InputError: if it is the state of no monitor.
        """
        if not isinstance(state, Mapping) or state.get("version") not in READABLE:
            raise InputError(f"state: expected the state of a monitor, version {VERSION}, got another")
        seen = _seen_of(state)
        numbers = _numbers_of(state)
        return cls(
            purse=_purse_of(state),
            test=decode(state.get("test"), EProcess, "state.test"),
            lowest=_lowest_of(state, numbers["rows"]),
            looks=list(seen.looks),
            finding=seen.finding or Finding.of_whole(seen.verdict, seen.looks),
            sheets=list(seen.sheets),
            failures=list(seen.failures),
            candidates=list(seen.candidates),
            **numbers,
        )


_LEAST = {"due": 0, "next_sample": 0, "next_seed": 0, "certificates": 0, "kept": -1, "rows": 0}


def _numbers_of(state: Mapping[str, object]) -> dict[str, int]:
    """The whole numbers of a state by name."""
    return {
        name: check_whole(f"state.{name}", decode(state.get(name), int, f"state.{name}"), least=least)
        for name, least in _LEAST.items()
    }


def _lowest_of(state: Mapping[str, object], rows: int) -> Tensor:
    """The losses of a state, which are those of the rows of a probe, or of none."""
    lowest = state.get("lowest")
    if not isinstance(lowest, Tensor):
        raise InputError(f"state.lowest: expected a tensor, got {type(lowest).__name__}")
    _check_lowest(lowest, rows)
    return lowest.clone().double().cpu()


def _check_lowest(lowest: Tensor, rows: int) -> None:
    if lowest.ndim != 1 or len(lowest) not in (0, rows):
        raise InputError(f"state.lowest: expected 0 or {rows} numbers, got shape {tuple(lowest.shape)}")


def _seen_of(state: Mapping[str, object]) -> Seen:
    """What was seen, with candidates among the looks."""
    seen = decode(state.get("seen"), Seen, "state.seen")
    if not set(seen.candidates) <= {look.step for look in seen.looks}:
        raise InputError("state.seen.candidates: expected steps of looks, got others")
    return seen


def _purse_of(state: Mapping[str, object]) -> Purse:
    """What was spent: times of which none is negative."""
    purse = decode(state.get("purse"), Purse, "state.purse")
    for name, value in asdict(purse).items():
        if value is not None:
            check_number(f"state.purse.{name}", value, least=0)
    return purse


def first_seed(seed: int) -> int:
    """Where the seeds of samples begin: far from those that people choose."""
    return int(np.random.SeedSequence((seed, 0x6D6F6E)).generate_state(1)[0])
