"""What one snapshot is measured for: its losses, its samples, their copies and their quality."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.experiments.config import Config, measured_times
from memhorizon.experiments.run_directory import Row
from memhorizon.measure.losses import DenoisingLosses, denoising_losses, loss_gap
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.measure.neighbors import nearest
from memhorizon.measure.features import pca_features
from memhorizon.measure.quality import frechet_distance, kernel_distance
from memhorizon.measure.truth import kl_divergence, score_error
from memhorizon.samplers import sample as draw_samples

SHOWN = 24  # samples kept for the eye
LOSS_SEED, SAMPLE_SEED = 1, 1_000_000
KL_NEIGHBOURS = 3
MAIN_DIRECTIONS = 64


@dataclass(frozen=True)
class Observation:
    """The rows of one snapshot, and a few samples with their nearest training items."""

    rows: list[Row]
    samples: dict[str, Tensor]


def observe(model: nn.Module, split: Split, config: Config) -> Observation:
    """Measure a network against its training and its held-out set, which lie on its device.

    What a set is too small for is left out: `memorized` needs two training items that are no duplicates of
    each other, `holdout` and `gap` one held-out item, the qualities two.

    Duplicates (`Split.group`, `Split.holdout_group`) are no independent items: the first of each group stands
    for it in the losses, in the null and among the held-out items of the qualities.

    Noise and samples start from the same seeds at every snapshot of a run, so that differences along training
    are due to the network.
    """
    rows = _losses(model, split, config) + _score_errors(model, split, config)
    if not config.measure.n_samples:
        return Observation(rows, {})
    generated = draw_samples(
        model,
        tuple(split.train.shape[1:]),
        schedule=config.schedule.build(),
        seeds=range(SAMPLE_SEED, SAMPLE_SEED + config.measure.n_samples),
        sampler=config.measure.sampler,
        prediction=config.train.prediction,
        device=split.train.device,
    )
    finite = generated.flatten(1).isfinite().all(1)
    valid = generated[finite]
    rows.append({"measure": "invalid", "value": float((~finite).double().mean()), "se": 0.0})
    if len(valid) and len(split.group.unique()) > 1:
        rows.append(_memorized(valid, split, config.measure.threshold))
    holdout = _distinct(split.holdout, split.holdout_group)
    if min(len(valid), len(holdout)) > 1:
        rows += _quality(valid, holdout)
    if split.truth is not None and len(valid) > 2 * KL_NEIGHBOURS:
        kl = kl_divergence(valid.flatten(1), split.truth, k=KL_NEIGHBOURS)
        rows.append(_mean("kl", None, kl.value, kl.standard_error))
    return Observation(rows, _shown(valid, split) if len(valid) else {})


def _losses(model: nn.Module, split: Split, config: Config) -> list[Row]:
    """Training loss, held-out loss and their gap at each noise level."""
    schedule = config.schedule.build()
    times = measured_times(config)
    indices = [schedule.index_of_t(t) for t in times]

    def measured(data: Tensor, seed: int) -> DenoisingLosses:
        return denoising_losses(
            model,
            data,
            schedule=schedule,
            indices=indices,
            repeats=config.measure.repeats,
            seed=seed,
            prediction=config.train.prediction,
        )

    def rows_of(name: str, losses: DenoisingLosses) -> list[Row]:
        pairs = zip(times, losses.mean, losses.standard_error, strict=True)
        return [_mean(name, t, value, error) for t, value, error in pairs]

    items = _distinct(split.train, split.group)
    train = measured(items[: config.measure.n_train_loss], LOSS_SEED)
    rows = rows_of("train", train)
    if len(split.holdout):
        held = measured(_distinct(split.holdout, split.holdout_group), LOSS_SEED + 1)
        rows += rows_of("holdout", held)
        gaps = loss_gap(train, held)
        rows += [_mean("gap", t, g.value, g.standard_error) for t, g in zip(times, gaps, strict=True)]
    return rows


def _score_errors(model: nn.Module, split: Split, config: Config) -> list[Row]:
    """Distance to the exact score, where the law of the data is known."""
    if split.truth is None:
        return []
    schedule = config.schedule.build()
    times = measured_times(config)
    errors = score_error(
        model,
        split.truth,
        schedule=schedule,
        indices=[schedule.index_of_t(t) for t in times],
        item_shape=split.train.shape[1:],
        prediction=config.train.prediction,
    )
    return [_mean("score_error", t, e.value, e.standard_error) for t, e in zip(times, errors, strict=True)]


def _mean(name: str, t: float | None, value: Tensor | float, error: Tensor | float) -> Row:
    numbers = {"value": float(value), "se": float(error)}
    finite = {key: number if math.isfinite(number) else None for key, number in numbers.items()}
    return {"measure": name, **({} if t is None else {"t": t}), **finite}


def _memorized(valid: Tensor, split: Split, threshold: float) -> Row:
    found = memorized_fraction(_ratios(valid, split), threshold=threshold)
    row = {
        "measure": "memorized",
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "count": found.count,
        "total": found.total,
        "threshold": threshold,
    }
    if len(split.holdout):
        holdout = _distinct(split.holdout, split.holdout_group)
        null = memorized_fraction(_ratios(holdout, split), threshold=threshold)
        row |= {"null_count": null.count, "null_total": null.total}
    return row


def _distinct(items: Tensor, group: Tensor) -> Tensor:
    """The first item of every group of duplicates, in their order."""
    first = np.unique(group.cpu().numpy(), return_index=True)[1]
    return items[torch.from_numpy(np.sort(first)).to(items.device)]


def _ratios(items: Tensor, split: Split) -> Tensor:
    """Gap ratios to the training items, duplicates of which count as one, in the unit of the network.

    The ranges are not compared: samples of a poor network may lie anywhere.
    """
    return gap_ratios(items, split.train, group=split.group, same_units=True)


def _quality(valid: Tensor, holdout: Tensor) -> list[Row]:
    """Distances of samples from held-out items, in pixels or, for large items, in their main directions."""
    dim = holdout[0].numel()
    few = min(MAIN_DIRECTIONS, len(holdout))
    features, name = (None, "pixels") if dim <= MAIN_DIRECTIONS else (pca_features(holdout, few), f"pca{few}")
    rows = []
    for measure, distance in (("frechet", frechet_distance), ("kernel", kernel_distance)):
        found = distance(valid, holdout, features=features, same_units=True)
        row = _mean(measure, None, found.corrected.value, found.corrected.standard_error)
        rows.append({**row, "uncorrected": found.value, "features": name, "status": found.status})
    return rows


def _shown(valid: Tensor, split: Split) -> dict[str, Tensor]:
    """The first samples, each with its nearest training item and, where there is a second one, its ratio."""
    first = valid[:SHOWN]
    _, index = nearest(first, split.train, k=1, same_units=True)
    several = len(split.group.unique()) > 1
    ratio = _ratios(first, split) if several else torch.zeros(len(first))
    return {"samples": first, "neighbours": split.train[index[:, 0]], "ratio": ratio}
