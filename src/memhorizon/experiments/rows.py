"""The rows of measures.jsonl: what was observed at a snapshot, in plain values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.experiments.config import Config, measured_times
from memhorizon.files.plain import Row
from memhorizon.measure.means import Mean
from memhorizon.measure.qualities import Quality
from memhorizon.measure.quality import Distance
from memhorizon.measure.reference import Reference
from memhorizon.measure.snapshot import Observation, Shown, observe
from memhorizon.results import Fraction

_LOSSES = ("train", "holdout", "gap", "score_error")  # measured at each diffusion time


def reference_of(split: Split, qualities: Mapping[str, Quality] | None = None) -> Reference:
    """What the networks of a run are measured against."""
    return Reference.of(
        split.train,
        split.holdout,
        train_group=split.group,
        holdout_group=split.holdout_group,
        truth=split.truth,
        qualities=qualities,
    )


def observed(model: nn.Module, reference: Reference, config: Config) -> Observation:
    """Measure a network of a run as its configuration says."""
    settings = replace(config.measure, diffusion_times=measured_times(config))
    schedule = config.schedule.build()
    return observe(model, reference, settings=settings, schedule=schedule, prediction=config.train.prediction)


def rows_of(seen: Observation) -> list[Row]:
    """One row for each number that was measured; what is not finite is null."""
    rows = [row for name in _LOSSES for row in _at_times(name, seen.diffusion_times, getattr(seen, name))]
    if seen.invalid is not None:
        rows.append({"measure": "invalid", "value": seen.invalid.value, "se": 0.0})
    if seen.memorized is not None:
        rows.append(_memorized(seen.memorized, seen.null, seen.threshold))
    rows += _distances(seen)
    return rows + [_quality(name, mean, seen.notes.get(name, "")) for name, mean in seen.qualities.items()]


def _distances(seen: Observation) -> list[Row]:
    """How far the samples are from the data, by each distance that was measured."""
    rows = []
    if seen.frechet is not None:
        rows.append(_distance("frechet", seen.frechet, seen.features))
    if seen.kernel is not None:
        rows.append(_distance("kernel", seen.kernel, seen.features))
    if seen.kl is not None:
        rows.append({"measure": "kl", **_mean(seen.kl)})
    return rows


def _quality(name: str, mean: Mean, note: str) -> Row:
    """A quality of the user's, with what limits it."""
    row: Row = {"measure": name, **_mean(mean)}
    return row | {"note": note} if note else row


def tensors_of(shown: Shown | None) -> dict[str, Tensor]:
    """The samples that are kept, by name; none where there are none."""
    if shown is None:
        return {}
    return {"samples": shown.samples, "neighbours": shown.neighbours, "ratio": shown.ratio}


def _at_times(name: str, times: Iterable[float], means: Iterable[Mean]) -> list[Row]:
    return [{"measure": name, "t": t, **_mean(mean)} for t, mean in zip(times, means, strict=False)]


def _mean(mean: Mean) -> Row:
    numbers = {"value": mean.value, "se": mean.standard_error}
    return {key: number if math.isfinite(number) else None for key, number in numbers.items()}


def _memorized(found: Fraction, null: Fraction | None, threshold: float) -> Row:
    """The memorized fraction with its counts, and those of its null."""
    row: Row = {
        "measure": "memorized",
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "count": found.count,
        "total": found.total,
        "threshold": threshold,
    }
    if null is not None:
        row |= {"null_count": null.count, "null_total": null.total}
    return row


def _distance(name: str, distance: Distance, features: str) -> Row:
    return {
        "measure": name,
        **_mean(distance.corrected),
        "uncorrected": distance.value,
        "features": features,
        "status": str(distance.status),
        "note": distance.note,
    }
