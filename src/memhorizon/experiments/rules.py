"""Whether the runs that are planned will have the curves that rules name."""

from collections.abc import Sequence
from pathlib import Path

from memhorizon.datasets.config import SYNTHETIC
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, measured_times
from memhorizon.experiments.perception import LABELLED
from memhorizon.experiments.perception import NAME as CLASSIFIER
from memhorizon.measure.config import time_name
from memhorizon.measure.snapshot import KL_NEIGHBOURS
from memhorizon.records.files import load_record
from memhorizon.records.sweep import SweepRecord
from memhorizon.timescales.rules import AT_A_TIME, QUALITIES, Rules

LEAST_FOR_KL = 2 * KL_NEIGHBOURS + 1  # samples


def planned_rules(configs: Sequence[Config]) -> Rules:
    """The default rules of the runs of these configurations, as `times.default_rules` finds them later."""
    are_of_all_times = all(config.train.diffusion_time is None for config in configs)
    have_samples = all(not _too_few(config) for config in configs)
    return Rules.of_samples() if are_of_all_times and have_samples else Rules()


def check_rules(configs: Sequence[Config], rules: Rules | None) -> None:
    """Refuse rules that name a curve which a run of these configurations will not have.

    As where a record is made, the default ones take what there is.

    Raises:
        InputError: if a run will not have the curve; it says what that needs.
    """
    if rules is None or rules.is_of_default_curve:
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
    if quality == "holdout":
        return "" if held >= 1 else "data.n_holdout of at least 1, got 0"
    if quality == CLASSIFIER and config.data.name not in LABELLED:
        return f"data with classes ({', '.join(LABELLED)}), got {config.data.name}"
    if quality in ("frechet", CLASSIFIER):
        return _too_few(config)
    if quality not in QUALITIES:
        return f"to be measured by a function of yours (mh.RunWriter); here there are {', '.join(QUALITIES)}"
    return _without_truth(config, quality)


def _too_few(config: Config) -> str:
    """Which of the two sets that are compared have less than two items."""
    sizes = {"data.n_holdout": config.data.n_holdout, "measure.n_samples": config.measure.n_samples}
    few = [f"{name} of at least 2, got {count}" for name, count in sizes.items() if count < 2]
    return " and ".join(few)


def _without_truth(config: Config, quality: str) -> str:
    """What a quality needs that compares with the distribution of the data."""
    drawn = config.measure.n_samples
    if config.data.name not in SYNTHETIC:
        return f"data whose distribution is known ({' or '.join(SYNTHETIC)}), got {config.data.name}"
    if quality == "kl" and drawn < LEAST_FOR_KL:
        return f"measure.n_samples of at least {LEAST_FOR_KL}, got {drawn}"
    return ""


def rules_of(path: Path | str) -> Rules | None:
    """The rules of the record of a sweep in this folder, or else in the one above; None where there is none.

    Raises:
        InputError: if there is a record that cannot be read.
    """
    folder = Path(path).resolve()
    for place in (folder, folder.parent):
        file = place / "record.json"
        record = load_record(file) if file.is_file() else None
        if isinstance(record, SweepRecord):
            return record.rules
    return None
