"""The rules by which times are read off curves; they belong to a record and are written with it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any

from memhorizon.datasets import SYNTHETIC
from memhorizon.experiments.config import Config, measured_times, time_name
from memhorizon.experiments.observe import KL_NEIGHBOURS
from memhorizon.results import InputError

QUALITIES = ("holdout", "score_error", "frechet", "kl")  # what tau_gen may be read from
AT_A_TIME = ("holdout", "score_error")  # those that are measured at diffusion times
DEFAULT_T = 0.1
MOST_TOLERANCE = 1e9  # levels stay far below the largest number of a record
LEAST_FOR_KL = 2 * KL_NEIGHBOURS + 1  # samples


@dataclass(frozen=True)
class Rules:
    """How the two clocks are read.

    Attributes:
        quality: the curve that tau_gen is read from: "holdout" (the held-out loss), "score_error", "frechet"
            or "kl".
        t: the diffusion time of that curve, where it has one. Where the default of 0.1 was not measured, a
            record takes the measured time nearest to it, and states that.
        tolerance: the level is this share above the worst of the runs' best values.
        memorized: the memorized fraction above its null that tau_mem stands for.
    """

    quality: str = "holdout"
    t: float | None = DEFAULT_T
    tolerance: float = 0.05
    memorized: float = 0.1

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise InputError(
                f"rules.quality: expected one of {', '.join(QUALITIES)}, got {str(self.quality)[:60]!r}"
            )
        if self.quality in AT_A_TIME and not _positive(self.t):
            raise InputError(
                f"rules.t: expected the diffusion time of {self.quality}, > 0, got {self.t!r:.60}"
            )
        if not (self.t is None or _positive(self.t)):
            raise InputError(f"rules.t: expected a positive diffusion time or none, got {self.t!r:.60}")
        if not (_positive(self.tolerance) and self.tolerance <= MOST_TOLERANCE):
            wanted = f"a positive number up to {MOST_TOLERANCE:g}"
            raise InputError(f"rules.tolerance: expected {wanted}, got {self.tolerance!r:.60}")
        if not (_positive(self.memorized) and self.memorized < 1):
            raise InputError(f"rules.memorized: expected a fraction in (0, 1), got {self.memorized!r:.60}")

    @property
    def curve(self) -> str:
        """The name of the curve that tau_gen is read from."""
        return f"{self.quality}@{self.t:g}" if self.quality in AT_A_TIME else self.quality


def check_rules(configs: Sequence[Config], rules: Rules | None) -> None:
    """Refuse rules that name a curve which a run of these configurations will not have.

    As where a record is made, the default ones take what there is.

    Raises:
        InputError: if a run will not have the curve; it says what that needs.
    """
    if rules is None or (rules.quality, rules.t) == (Rules.quality, DEFAULT_T):
        return
    for config in configs:
        lack = _lack(config, rules)
        if lack:
            raise InputError(f"{lack} ({config.key})")


def _lack(config: Config, rules: Rules) -> str:
    """Why a run will not have the curve of these rules; empty where it will."""
    missing = _missing(config, rules.quality)
    if missing:
        return f"rules.quality: {rules.quality} needs {missing}"
    measured = [time_name(t) for t in measured_times(config)]
    if rules.quality in AT_A_TIME and time_name(rules.t or 0.0) not in measured:
        return f"rules.t: expected a time that is measured ({', '.join(measured)}), got {rules.t:g}"
    return ""


def _missing(config: Config, quality: str) -> str:
    """What the curve of a quality needs and this configuration lacks, in words; empty where nothing."""
    held = config.data.n_holdout
    drawn = config.measure.n_samples
    if quality == "holdout":
        return "" if held >= 1 else "data.n_holdout of at least 1, got 0"
    if quality == "frechet":
        pairs = {"data.n_holdout": held, "measure.n_samples": drawn}
        few = [f"{name} of at least 2, got {count}" for name, count in pairs.items() if count < 2]
        return " and ".join(few)
    if config.data.name not in SYNTHETIC:
        return f"data whose law is known ({' or '.join(SYNTHETIC)}), got {config.data.name}"
    if quality == "kl" and drawn < LEAST_FOR_KL:
        return f"measure.n_samples of at least {LEAST_FOR_KL}, got {drawn}"
    return ""


def _positive(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(0 < value <= sys.float_info.max)  # pyright: ignore[reportOperatorIssue]


def read_rules(value: Any) -> Rules:
    """Rules from the plain values of a record.

    Raises:
        InputError: if an entry is unknown, missing or wrong; it is named.
    """
    names = [field.name for field in fields(Rules)]
    if not isinstance(value, dict) or set(value) != set(names):
        raise InputError(f"rules: expected an object with the entries {names}, got {str(value)[:60]!r}")
    if not isinstance(value["quality"], str):
        raise InputError(f"rules.quality: expected text, got {value['quality']!r:.60}")
    for name in ("t", "tolerance", "memorized"):
        number = isinstance(value[name], int | float) and not isinstance(value[name], bool)
        if not (number or (name == "t" and value[name] is None)):
            raise InputError(f"rules.{name}: expected a number, got {value[name]!r:.60}")
    return Rules(**value)


def rules_of(path: Path | str) -> Rules | None:
    """The rules of the record that lies in this folder, or else in the one above; None where there is none.

    Raises:
        InputError: if there is a record whose rules cannot be read.
    """
    folder = Path(path).resolve()
    for place in (folder, folder.parent):
        file = place / "record.json"
        if file.is_file():
            return _rules_in(file)
    return None


def _rules_in(file: Path) -> Rules:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"path: cannot read the record {file}: {error}") from error
    if not isinstance(record, dict):
        raise InputError(f"path: expected a record in {file}, got {type(record).__name__}")
    return read_rules(record.get("rules"))
