"""Pilots from the records of sweeps: hyperparameters, times, and all else that must be alike."""

from collections.abc import Mapping

from memhorizon.experiments.comparable import setting
from memhorizon.experiments.config import Config, config_of
from memhorizon.experiments.hyperparameters import CONTRASTS
from memhorizon.experiments.written import WrittenConfig
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.progress import relative_gap
from memhorizon.records.codec import decode
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import RunRecord, SweepRecord


def pilots_of_record(
    record: SweepRecord | RunRecord, seconds: Mapping[str, float] | None = None
) -> list[Pilot]:
    """The runs of a record as pilots, those that do not compare with the others included.

    Args:
        record: of a sweep, or one of its runs.
        seconds: that each run took, by key.
    """
    took = seconds or {}
    if isinstance(record, RunRecord):
        return [_pilot(record, took.get(record.key))]
    runs = [*record.runs, *(run for other in record.others for run in other.runs)]
    return [_pilot(run, took.get(run.key)) for run in runs]


def _pilot(run: RunRecord, seconds: float | None) -> Pilot:
    config = _config(run)
    batch = _number(run, "batch_size")
    return Pilot(
        key=run.key,
        point=Point(
            float(run.n_train), _filled(batch, run.n_train), _number(run, "width"), _number(run, "lr")
        ),
        tau_mem=run.timescales.tau_mem,
        tau_gen=run.timescales.tau_gen,
        seed=run.seed,
        batch_limit=_limit(config, batch),
        setting=_setting(run, config),
        n_updates=run.n_updates,
        seconds=seconds,
        gap=relative_gap(run.curves),
    )


def _number(run: RunRecord, factor: str) -> float | None:
    value = run.factor(factor)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _config(run: RunRecord) -> Config | WrittenConfig:
    """The configuration of a run, typed again."""
    if "model" in run.config:
        return config_of(run.config)
    return decode(run.config, WrittenConfig, f"run {run.key}: config")


def _filled(batch: float | None, n_train: int) -> float | None:
    """Items in each update: a loop of one's own may name a batch that its set does not fill."""
    return None if batch is None else min(batch, float(n_train))


def _limit(config: Config | WrittenConfig, batch: float | None) -> float | None:
    """The batch that smaller sets do not fill; None where the whole set is in each update, or unknown."""
    if isinstance(config, WrittenConfig):
        return batch
    return None if config.train.batch_size is None else float(config.train.batch_size)


def _setting(run: RunRecord, config: Config | WrittenConfig) -> dict[str, Plain]:
    """What has to be the same in all pilots."""
    contrasted: dict[str, Plain] = {name: run.factor(name) for name in CONTRASTS}
    return setting(config) | contrasted
