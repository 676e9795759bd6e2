"""The rows of the record: runs, and what their networks would do if they were linear in their weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.tables import grouped
from memhorizon.results import Estimate, Time

Way = Literal["spectrum", "trained"]

LEVEL = 0.1  # diffusion time of the losses


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run of a committed record, as it was recorded, and what two other ways tell of it."""

    part: Annotated[Literal["run"], "a run as recorded"] = "run"
    sweep: Annotated[str, "the record that was read"]
    n_train: Annotated[int, "number of training items"]
    seed: Annotated[int, "seed of the run"]
    tau_gen: Annotated[float, "steps, as recorded"]
    tau_mem: Annotated[Time, "steps, as recorded"]
    step: Annotated[Float[np.ndarray, " m"], "snapshots"]
    train: Annotated[Float[np.ndarray, " m"], "training loss at t = 0.1"]
    holdout: Annotated[Float[np.ndarray, " m"], "held-out loss at t = 0.1"]
    memorized: Annotated[Float[np.ndarray, " m"], "memorized fraction"]
    ideal: Annotated[float, "training loss at t = 0.1 of the perfect memorizer, on the same noise"]
    left: Annotated[
        float, "of the training loss above `ideal` at tau_gen, the share that is left at tau_mem (t = 0.1)"
    ]
    law: Annotated[float, "tau_mem in proportion to n from the runs of other n in the sweep, over measured"]
    theory: Annotated[
        float | None,
        "tau_gen times the ratio of the random-features theory (t = 0.1, psi_p = 43), over measured tau_mem; "
        "null where there is none",
    ] = None


@dataclass(frozen=True, kw_only=True)
class LinearRow:
    """A run continued with its network linear in its weights from some step on."""

    part: Annotated[Literal["linear"], "the same run with a network that is linear in its weights"] = "linear"
    sweep: Annotated[str, "the record that was read"]
    n_train: Annotated[int, "number of training items"]
    seed: Annotated[int, "seed of the run"]
    way: Annotated[
        Way, "linear: by the spectrum of its kernel, or trained with the batches and optimizer of the run"
    ]
    noises: Annotated[int | None, "linear: noised versions of each item in its kernel; null if trained"]
    begun: Annotated[int, "linear: the step at which the derivative is taken, tau_gen"]
    step: Annotated[Float[np.ndarray, " m"], "snapshots"]
    train: Annotated[Float[np.ndarray, " m"], "training loss at t = 0.1"]
    holdout: Annotated[Float[np.ndarray, " m"], "held-out loss at t = 0.1"]
    memorized: Annotated[Float[np.ndarray, " m"], "memorized fraction"]
    total: Annotated[int, "linear: samples at each snapshot"]
    trusted: Annotated[
        float,
        "linear: up to this step; by the spectrum, where the loss on noise not among its draws turns up",
    ]
    predicted: Annotated[Time, "linear: tau_mem by the rule of the run, up to `trusted`"]
    factor: Annotated[
        Estimate | None, "linear: predicted over measured tau_mem; null where it was not reached"
    ] = None
    at_least: Annotated[float | None, "linear: a bound of it where it was not reached"] = None
    same_loss: Annotated[
        float | None,
        "linear: when its training loss is what that of the run was at tau_mem, over tau_mem; "
        "null where it is not by `trusted`",
    ] = None
    third: Annotated[
        float | None,
        "linear: when the distance of its outputs from the perfect memorizer's, at the draws, is a third of "
        "that at the start (rms), over measured tau_mem; null if trained, or never",
    ] = None
    rates: Annotated[tuple[float, ...] | None, "linear: decay rates, nodes of the quadrature"] = None
    weights: Annotated[tuple[float, ...] | None, "linear: share of the squared residual at each"] = None


Row = RunRow | LinearRow
KINDS = (RunRow, LinearRow)


def of_largest_kernels(rows: Sequence[LinearRow]) -> list[LinearRow]:
    """The rows of one sweep that were trained, and by n those of the kernel with the most noised versions."""
    most = {
        n_train: max(row.noises or 0 for row in same)
        for n_train, same in grouped(rows, lambda row: row.n_train).items()
    }
    return [row for row in rows if row.noises in (None, most[row.n_train])]
