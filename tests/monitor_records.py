"""Records of monitored trainings, made of curves that real ones have: for figures and pages."""

import math

import numpy as np
import torch

from memhorizon.files.layouts import read_digits
from memhorizon.records.monitor import (
    Best,
    Certificate,
    CopyRule,
    LevelLoss,
    Look,
    MonitorRecord,
    Phase,
    Sheet,
    SheetRow,
    Stop,
    Verdict,
)
from memhorizon.results import Fraction

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
STEPS = (50, 100, 200, 400, 700, 1000, 1500, 2200, 3200, 4600)
BEST = 1000


def look_at(step, *, with_holdout=True, with_samples=True):
    """Losses fall; copies from step 1,500 on; the held-out loss rises from the best step on."""
    train = 0.9 * max(step, 1) ** -0.35
    holdout = train * (1 + 0.4 * (step / BEST) ** 1.5)
    share = 0.0 if step < 1500 else min(0.9, 0.02 * (step / 1500) ** 3)
    total = 700 if step == BEST else 64
    copies = Fraction.of(round(share * total), total)
    phase = Phase.LEARNING if step < 400 else Phase.WINDOW if step < 1500 else Phase.MEMORIZING
    losses = tuple(
        LevelLoss(q, int(999 * q), train * (1 + q), holdout * (1 + q), (holdout - train) * (1 + q), 0.003)
        for q in QUANTILES
    )
    looked = Look(
        step=step,
        phase=phase,
        stop=Stop.COPIES if step >= 2200 else Stop.NO,
        losses=losses,
        train_loss=train,
        stable_rank=4 - step / 4000,
        train_seconds=step / 10,
        monitor_seconds=step / 220,
    )
    entries = dict(vars(looked))
    if with_holdout:
        entries |= {"holdout_loss": holdout, "rise": max(0, step / BEST - 1) / 50, "rise_error": 0.004}
        entries |= {
            "gap": (holdout - train) / holdout,
            "gap_error": 0.004,
            "frechet": 30 * max(step, 1) ** -0.2,
        }
    else:
        entries["losses"] = tuple(LevelLoss(q, int(999 * q), train) for q in QUANTILES)
    if with_samples:
        entries |= {"copies": copies, "upper": copies.high, "certified": step == BEST}
        entries |= {"log_e": -0.3 if step < 1500 else 2.0 * step / 1500, "sheet": f"sheet-{step}.png"}
    return Look(**entries)


def certificate():
    copies = Fraction.of(0, 700)
    return Certificate(BEST, copies, 0.0083, 0.95, 8, 1 / 3)


def monitored(*, steps=STEPS, best=True, with_holdout=True, with_samples=True, sheets=()):
    """A training that was watched, with or without held-out items, samples, and a best checkpoint."""
    looks = tuple(look_at(s, with_holdout=with_holdout, with_samples=with_samples) for s in steps)
    last = looks[-1]
    quality = next((look.holdout_loss for look in looks if look.step == BEST), math.nan)
    found = Best(BEST, quality, certificate().copies, certificate(), "best/step-1000.safetensors")
    return MonitorRecord(
        looks=looks,
        verdict=Verdict(
            last.phase,
            last.step,
            "57 % of 64 samples are copies of training images, where at most 1 % are fine.",
            last.stop,
            {"copies": last.copies.value if last.copies else math.nan},
        ),
        best=found if best else None,
        rule=CopyRule(1 / 3, Fraction.of(1, 600), 0.002, 9.3, 2, "d1/d2 below 1/3"),
        target=0.01,
        confidence=0.95,
        budget=0.05,
        n_train=300,
        n_holdout=300 if with_holdout else 0,
        shared=1,
        item_shape=(1, 8, 8),
        sampler="ddim, 50 steps",
        certificates=1,
        most_certificates=8,
        train_seconds=last.train_seconds,
        monitor_seconds=last.monitor_seconds,
        sheets=tuple(sheets),
        failures=("step 700: out of memory while samples were drawn",),
        name="digits-300",
        command="python train.py",
        environment={"memhorizon": "0.1.0", "torch": "2.13.0"},
    )


def sheets_of(steps=STEPS, count=16):
    """Sheets with real digits: the samples are noisy digits, copies where they are the nearest one itself."""
    digits = read_digits()[0]
    generator = torch.Generator().manual_seed(0)
    rows = []
    pictures = {}
    for step in steps:
        nearest = torch.randint(300, (count,), generator=generator)
        copied = torch.arange(count) < (0 if step < 1500 else count // 2)
        noise = torch.where(copied, 0.02, 0.3)[:, None, None, None]
        samples = digits[nearest] + noise * torch.randn(digits[nearest].shape, generator=generator)
        ratios = np.where(copied, 0.1, 0.8)
        entries = zip(range(count), ratios.tolist(), nearest.tolist(), copied.tolist(), strict=True)
        rows.append(Sheet(step, tuple(SheetRow(*entry) for entry in entries), f"sheet-{step}.png"))
        pictures[step] = (samples, digits[nearest])
    return tuple(rows), pictures


def look_of(
    step, loss, *, train=None, rise=0.0, error=0.005, gap=0.1, copies=None, certified=False, upper=math.nan
):
    """A look with these losses."""
    return Look(
        step,
        Phase.CANNOT_TELL,
        train_loss=loss if train is None else train,
        holdout_loss=loss,
        rise=rise,
        rise_error=error,
        gap=gap,
        copies=None if copies is None else Fraction.of(*copies),
        certified=certified,
        upper=upper,
    )
