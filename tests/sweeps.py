"""Run directories with curves of known form, so that pictures and pages can be held against known numbers."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.experiments.run_directory import RunDir
from memhorizon.measure.config import MeasureConfig, snapshot_steps
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.training import TrainConfig

THRESHOLD, TOTAL = 1 / 3, 400


def make_runs(
    root: Path,
    *,
    n_train: Sequence[int] = (8, 16, 32),
    widths: Sequence[int] = (16,),
    seeds: Sequence[int] = (0,),
    steps: int = 4000,
    until: int | None = None,
    onset: float = 30.0,
    name: str = "digits",
    channels: int = 1,
) -> list[RunDir]:
    """Runs whose memorized fraction passes 1/2 at onset * n_train * 16 / width (times 1.1 ** seed),
    but for a scatter of up to 12 %."""
    runs = []
    for n in n_train:
        for width in widths:
            for seed in seeds:
                model = MLPConfig(width=width) if name == "mixture" else UNetConfig(width=width)
                measure = MeasureConfig(snapshots=14, first=20, n_samples=TOTAL)
                config = Config(
                    data=DataConfig(name=name, n_train=n, n_holdout=200),
                    model=model,
                    train=TrainConfig(n_updates=steps),
                    measure=measure,
                    seed=seed,
                )
                run = RunDir.create(root, config)
                run.begin({"torch": "2.13.0", "device": "cpu"}, {}, 0)
                half = onset * n * 16 / width * 1.1**seed * 1.06 ** ((7 * n + 3 * width) % 5 - 2)
                for step in snapshot_steps(20, steps, 14):
                    if until is None or step <= until:
                        _snapshot(run, step, half, channels if name != "mixture" else None)
                runs.append(run)
    return runs


def _snapshot(run: RunDir, step: int, half: float, channels: int | None) -> None:
    fraction = 1 / (1 + (half / step) ** 3)
    rows = []
    for t in run.config.measure.diffusion_times:
        holdout = 0.3 + 2.0 * (10 / step) ** 0.8 + 0.8 * fraction / (1 + t)
        train = 0.3 + 2.0 * (10 / step) ** 0.8 - 0.25 * fraction / (1 + t)
        for measure, value in (("train", train), ("holdout", holdout), ("gap", holdout - train)):
            rows.append({"step": step, "measure": measure, "t": t, "value": value, "se": 0.01})
    copies = math.floor(fraction * TOTAL)
    counts = {"count": copies, "total": TOTAL, "null_count": 1, "null_total": 200}
    rows.append(
        {"step": step, "measure": "memorized", "value": copies / TOTAL, "threshold": THRESHOLD} | counts
    )
    run.append_measures(rows)
    if channels is not None:
        run.write_samples(step, _pictures(step, fraction, channels))


def _pictures(step: int, fraction: float, channels: int) -> dict[str, torch.Tensor]:
    """24 samples of which a share are copies, beside blobs as training images."""
    noise = torch.randn(24, channels, 8, 8, generator=torch.Generator().manual_seed(step))
    axis = torch.arange(8.0)
    place = torch.arange(24.0)[:, None, None] % 5 + 1.5
    blob = torch.exp(-((axis[:, None] - place) ** 2 + (axis - 3.5) ** 2) / 4)[:, None].expand(
        -1, channels, -1, -1
    )
    copied = torch.arange(24) % 7 < 7 * fraction * 0.999
    size = torch.where(copied, 0.02, 0.25)[:, None, None, None]
    ratio = torch.where(copied, 0.1, 0.8) + torch.arange(24) / 200
    return {"samples": blob + size * noise, "neighbours": blob.clone(), "ratio": ratio}
