"""Training as a generator: it updates a state and yields; logging, saving and measuring are the caller's.

All randomness of an update follows from (seed, step), so a state that is saved after any step and loaded
again continues bit for bit, and no generator state has to be kept.
"""

from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from memhorizon.checks import check_choice, check_number, check_tuple, check_whole
from memhorizon.diffusion import Prediction, check_prediction, item_losses
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule

Optimizer = Literal["sgd", "adam", "adamw"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class OptimizerConfig:
    """Which optimizer; the defaults of `sgd` are the paper's, for image networks.

    Attributes:
        name: "sgd" (with momentum), "adam" or "adamw".
        lr: learning rate, constant.
        momentum: of SGD; 0 is plain gradient descent.
        betas: of Adam.
        weight_decay: L2 penalty of SGD and Adam, decoupled in AdamW.

    Source: [bonnaire2025] SM A
    """

    name: Optimizer = "adam"
    lr: float = 1e-3
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_choice("name", self.name, get_args(Optimizer))
        check_number("lr", self.lr, above=0)
        check_number("momentum", self.momentum, least=0, below=1)
        check_tuple("betas", self.betas, size=2)
        for beta in self.betas:
            check_number("betas", beta, least=0, below=1)
        check_number("weight_decay", self.weight_decay, least=0)

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of these parameters."""
        if self.name == "sgd":
            return torch.optim.SGD(
                parameters, self.lr, self.momentum, weight_decay=self.weight_decay, foreach=True
            )
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        return kind(parameters, self.lr, self.betas, weight_decay=self.weight_decay, fused=True)


@dataclass(frozen=True)
class TrainConfig:
    """How long and on what.

    Attributes:
        n_updates: number of updates.
        batch_size: items per update, at most the training set; None takes all of it every time.
        prediction: what the network learns to output.
        diffusion_time: the one (Ornstein-Uhlenbeck) to train at; None draws grid positions 1..T-1 uniformly.
        ema: decay of the moving average of the weights, 0 for none. Snapshots then hold the average.
        precision: "bfloat16" runs the network in mixed precision.
    """

    n_updates: int = 10_000
    batch_size: int | None = 512
    prediction: Prediction = "noise"
    diffusion_time: float | None = None
    ema: float = 0.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_whole("n_updates", self.n_updates, least=1)
        if self.batch_size is not None:
            check_whole("batch_size", self.batch_size, least=1)
        check_prediction(self.prediction)
        if self.diffusion_time is not None:
            check_number("diffusion_time", self.diffusion_time, above=0)
        check_number("ema", self.ema, least=0, below=1)
        check_choice("precision", self.precision, get_args(Precision))


@dataclass
class TrainState:
    """All that an update changes: the network, its optimizer, the average, the number of updates done."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0

    @classmethod
    def new(cls, model: nn.Module, optimizer: OptimizerConfig, *, ema: float = 0.0) -> "TrainState":
        """Start from the weights of `model`, which is trained in place."""
        trainable = [p for p in model.parameters() if p.requires_grad]
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema)) if ema else None
        return cls(model, optimizer.build(trainable), average)

    @property
    def shipped(self) -> nn.Module:
        """The network one would keep: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    def tensors(self) -> dict[str, Tensor]:
        """Everything that has to survive, flat, by name."""
        out = {"step": torch.tensor(self.step)}
        out |= {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average is not None:
            out |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for slot, values in self.optimizer.state_dict()["state"].items():
            out |= {f"optimizer.{slot}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
        return out

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned from a state of the same network and optimizer.

        Raises:
            InputError: if a tensor is missing or does not fit.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        try:
            self.model.load_state_dict(part("model."))
            if self.average is not None:
                self.average.load_state_dict(part("average."))
            self.step = int(tensors["step"])
        except (RuntimeError, KeyError) as error:
            raise InputError(f"state: does not belong to this network: {error}") from error
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in part("optimizer.").items():
            slot, key = name.split(".", 1)
            slots.setdefault(int(slot), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})


@dataclass(frozen=True)
class Step:
    """What one update yields: the updates done and the loss of its batch (a 0-d tensor, no sync)."""

    step: int
    loss: Float[Tensor, ""]


def train(
    state: TrainState,
    data: Shaped[Tensor, "..."],
    *,
    schedule: Schedule,
    config: TrainConfig,
    seed: int,
) -> Iterator[Step]:
    """Minimise the denoising loss, one update per yield, from `state.step` to `config.n_updates`.

    The batch, the diffusion times, the noise and any dropout of an update follow from (seed, step) alone.
    Data and network must lie on one device, where all that is random is drawn as well.

    Args:
        state: updated in place; save it whenever you like.
        data: training items, floats. [n, *item]
        schedule: the noise schedule.
        config: how long and on what.
        seed: of everything that is random here.

    Yields:
        One `Step` after each update.

    Raises:
        InputError: if `data` is not a float tensor of at least one item with finite values, the schedule has
            no level to train at, or `config.diffusion_time` is none of its times.

    Source: [bonnaire2025] Eq. (4)
    """
    _check_data(data)
    check_whole("seed", seed, least=0)
    fixed = _fixed_index(schedule, config)
    n = len(data)
    batch_size = min(n, config.batch_size or n)
    devices = [] if data.device.type == "cpu" else [data.device]
    mixed = (
        torch.autocast(data.device.type, torch.bfloat16) if config.precision == "bfloat16" else nullcontext()
    )
    generator = torch.Generator(data.device)
    state.model.train()
    while state.step < config.n_updates:
        words = np.random.SeedSequence((seed, state.step)).generate_state(2)
        generator.manual_seed(int(words[0]))
        rows = data if batch_size == n else data[batch_rows(state.step, n, batch_size, seed).to(data.device)]
        noise = torch.empty_like(rows).normal_(generator=generator)
        if fixed is None:
            shape = (batch_size,)
            index = torch.randint(1, len(schedule), shape, generator=generator, device=data.device)
        else:
            index = torch.full((batch_size,), int(fixed), device=data.device)
        with torch.random.fork_rng(devices, device_type=data.device.type):
            _seed_global(int(words[1]), data.device)  # dropout draws from the global generator
            with mixed:
                losses = item_losses(
                    state.model, rows, index, noise, schedule=schedule, prediction=config.prediction
                )
            loss = losses.float().mean()
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        state.optimizer.step()
        if state.average is not None:
            state.average.update_parameters(state.model)
        state.step += 1
        yield Step(state.step, loss.detach())


def at_marks(steps: Iterator[Step], marks: Collection[int]) -> Iterator[Step]:
    """Run a training and yield only the steps at these marks, where one looks at the network.

    The training goes no further than the last mark.

    Args:
        steps: what `train` returned.
        marks: numbers of updates, such as `MeasureConfig.marks` gives.
    """
    if not marks:
        return
    last = max(marks)
    for step in steps:
        if step.step in marks:
            yield step
        if step.step >= last:
            return


def _check_data(data: Any) -> None:
    if not isinstance(data, Tensor) or not data.is_floating_point():
        got = data.dtype if isinstance(data, Tensor) else type(data).__name__
        raise InputError(f"data: expected a tensor of floats, got {got}")
    if data.ndim < 2 or data.numel() == 0 or not bool(torch.isfinite(data).all()):
        wanted = "at least one item, [n, *item], and finite values"
        raise InputError(f"data: expected {wanted}, got shape {tuple(data.shape)}")


def _fixed_index(schedule: Schedule, config: TrainConfig) -> int | None:
    """The one level to train at, or None where levels 1..T-1 are drawn."""
    if config.diffusion_time is not None:
        return schedule.index_of_t(config.diffusion_time)
    if len(schedule) < 2:
        raise InputError("schedule: expected at least 2 levels (level 0 is never trained), got 1")
    return None


def _seed_global(seed: int, device: torch.device) -> None:
    """As torch.manual_seed, which for the CPU alone takes a hundred times longer."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def batch_rows(step: int, n: int, batch_size: int, seed: int) -> Int[Tensor, " batch"]:
    """Rows of one batch: the training set shuffled anew each epoch, read in one endless stream.

    >>> sorted(batch_rows(0, 6, 3, 1).tolist() + batch_rows(1, 6, 3, 1).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    first = step * batch_size
    epochs = range(first // n, (first + batch_size - 1) // n + 1)
    stream = torch.cat([_shuffled(n, seed, epoch) for epoch in epochs])
    start = first - epochs[0] * n
    return stream[start : start + batch_size]


@lru_cache(maxsize=2)
def _shuffled(n: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    words = np.random.SeedSequence((seed, epoch, 1)).generate_state(1)
    return torch.randperm(n, generator=torch.Generator().manual_seed(int(words[0])))
