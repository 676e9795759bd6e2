"""Training as a generator: it updates a state and yields; logging, saving and measuring are the caller's.

All randomness of an update follows from (seed, step), so a state that is saved after any step and loaded
again continues bit for bit, and no generator state has to be kept.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from memhorizon.checks import check_choice, check_kind, check_number, check_tuple, check_whole
from memhorizon.diffusion import Model, Prediction, check_prediction, item_losses
from memhorizon.errors import InputError
from memhorizon.files.mapped import as_mapped, blocks, rows_of
from memhorizon.launching import Launch, RecordedUpdate, Update, check_launch
from memhorizon.processes import ALONE, Processes
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


@dataclass(repr=False)
class TrainState:
    """All that an update changes: the network, its optimizer, the average, the number of updates done."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0

    @classmethod
    def new(cls, model: nn.Module, optimizer: OptimizerConfig, *, ema: float = 0.0) -> "TrainState":
        """Start from the weights of `model`, which is trained in place.

        Raises:
            InputError: if `model` is no network of PyTorch, `optimizer` no OptimizerConfig or `ema` no share.
        """
        check_kind("model", model, nn.Module)
        check_kind("optimizer", optimizer, OptimizerConfig)
        check_number("ema", ema, least=0, below=1)
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
        out |= _prefixed("model.", self.model.state_dict())
        if self.average is not None:
            out |= _prefixed("average.", self.average.state_dict())
        for slot, values in self.optimizer.state_dict()["state"].items():
            kept = {name: torch.as_tensor(value) for name, value in values.items() if value is not None}
            out |= _prefixed(f"optimizer.{slot}.", kept)
        return out

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned from a state of the same network and optimizer.

        Raises:
            InputError: if a tensor is missing or does not fit.
        """
        try:
            self.model.load_state_dict(_part_of(tensors, "model."))
            if self.average is not None:
                self.average.load_state_dict(_part_of(tensors, "average."))
            self.step = int(tensors["step"])
        except (RuntimeError, KeyError) as error:
            raise InputError(f"state: does not belong to this network: {error}") from error
        self._load_optimizer(_part_of(tensors, "optimizer."))

    def _load_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Take over the moments of each parameter, "SLOT.NAME" each."""
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": _by_slot(tensors)})

    def __repr__(self) -> str:
        network = type(self.model).__name__
        return f"TrainState({network}, {type(self.optimizer).__name__}, {self.step:,} updates done)"


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _by_slot(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """What is called "SLOT.NAME", by slot and by name."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        slot, key = name.split(".", 1)
        slots.setdefault(int(slot), {})[key] = value
    return slots


def _part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Step:
    """What one update gives.

    Attributes:
        step: number of updates done.
        loss: of the batch; a tensor without dimensions, so that nothing waits for the device.
    """

    step: int
    loss: Float[Tensor, ""]


def train(
    state: TrainState,
    data: Shaped[Tensor, "..."] | np.memmap,
    *,
    schedule: Schedule,
    config: TrainConfig,
    seed: int,
    launch: Launch = "eager",
    processes: Processes = ALONE,
) -> Iterator[Step]:
    """Minimise the denoising loss, one update per yield, from `state.step` to `config.n_updates`.

    The batch, the diffusion times, the noise and any dropout of an update follow from (seed, step) alone.
    Data and network must lie on one device, where all that is random is drawn as well.

    Args:
        state: updated in place; save it whenever you like.
        data: training items, floats; or an array that NumPy has mapped (`np.load(..., mmap_mode="r")`), of
            which no more than the rows of a batch are in memory. [n, *item]
        schedule: the noise schedule.
        config: how long and on what.
        seed: of everything that is random here.
        launch: how updates reach a CUDA device (see `memhorizon.launching`): "graph" needs a network that
            never waits for the device, "compiled" one that `torch.compile` takes; with the latter it is not
            tested that a state which was saved goes on bit for bit. Elsewhere it says nothing.
        processes: those that train together, each of which calls this with the same state, data and settings.

    Returns:
        One `Step` after each update, as it is asked for.

    Raises:
        InputError: if `data` is not a float tensor of at least one item with finite values, the schedule has
            no level to train at, `config.diffusion_time` is none of its times, or several processes are to
            record their updates or have fewer items than they are.

    Source: [bonnaire2025] Eq. (4)
    """
    check_kind("state", state, TrainState)
    check_kind("schedule", schedule, Schedule)
    check_kind("config", config, TrainConfig)
    items = as_mapped(data)
    items = _checked_data(data if items is None else items)
    check_whole("seed", seed, least=0)
    launch = check_launch(launch, items.device)
    draws = _Draws(items, len(schedule), _fixed_index(schedule, config), config.batch_size, seed)
    update = _launched(launch, _Trainer(state, schedule, config, state.model, processes), items.device)
    return _updates(state, draws, update, config.n_updates)


@dataclass
class _Trainer:
    """The update of a state: loss, gradient and step of the optimizer, on what was drawn."""

    state: TrainState
    schedule: Schedule
    config: TrainConfig
    network: Model
    processes: Processes = ALONE

    def __call__(self, rows: Tensor, index: Tensor, noise: Tensor) -> Tensor:
        """Do it and give the loss of the batch, before the step."""
        part = self.processes.part(len(rows))
        with _precision(self.config.precision, rows.device):
            losses = self._losses(rows[part], index[part], noise[part])
        loss = losses.float().sum() / len(rows)  # of this part: those of all add up to the mean of the batch
        self.state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        total = loss.detach()
        if self.processes.count > 1:
            self.processes.add_up([total, *self._gradients()])
        self.state.optimizer.step()
        return total

    def _losses(self, rows: Tensor, index: Tensor, noise: Tensor) -> Tensor:
        return item_losses(
            self.network, rows, index, noise, schedule=self.schedule, prediction=self.config.prediction
        )

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.state.model.parameters() if p.grad is not None]

    def allow_recording(self) -> None:
        """Let Adam be recorded in a CUDA graph; SGD does not look at it."""
        for group in self.state.optimizer.param_groups:
            group["capturable"] = True


def _launched(launch: Launch, trainer: _Trainer, device: torch.device) -> Update:
    """The update, launched as asked."""
    if launch == "eager":
        return trainer
    if launch == "compiled":
        trainer.network = torch.compile(trainer.network, dynamic=False)
    return RecordedUpdate(trainer, device, trainer.allow_recording)


def _updates(state: TrainState, draws: "_Draws", update: Update, last: int) -> Iterator[Step]:
    place = draws.data.device
    devices = [] if place.type == "cpu" else [place]
    state.model.train()
    while state.step < last:
        rows, index, noise, seed = draws.at(state.step)
        with torch.random.fork_rng(devices, device_type=place.type):
            _seed_global(seed, place)  # dropout draws from the global generator
            loss = update(rows, index, noise)
        if state.average is not None:
            state.average.update_parameters(state.model)
        state.step += 1
        yield Step(state.step, loss)


@dataclass
class _Draws:
    """What is random in an update: it follows from (seed, step) alone."""

    data: Tensor
    n_levels: int
    fixed: int | None
    batch_size: int | None
    seed: int

    def __post_init__(self) -> None:
        self.generator = torch.Generator(self.data.device)

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor, int]:
        """Items [batch, *item], noise levels [batch], noise [batch, *item], and a seed for dropout."""
        words = np.random.SeedSequence((self.seed, step)).generate_state(2)
        self.generator.manual_seed(int(words[0]))
        rows = self._rows(step)
        noise = torch.empty_like(rows).normal_(generator=self.generator)
        return rows, self._index(len(rows)), noise, int(words[1])

    def _rows(self, step: int) -> Tensor:
        n = len(self.data)
        batch_size = min(n, self.batch_size or n)
        if batch_size == n:
            return self.data
        rows = batch_rows(step, n, batch_size, self.seed)
        return rows_of(self.data, rows.to(self.data.device, non_blocking=True))

    def _index(self, count: int) -> Tensor:
        place = self.data.device
        if self.fixed is not None:
            return torch.full((count,), self.fixed, device=place)
        return torch.randint(1, self.n_levels, (count,), generator=self.generator, device=place)


def _precision(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


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


def _checked_data(data: object) -> Tensor:
    if not isinstance(data, Tensor) or not data.is_floating_point():
        got = data.dtype if isinstance(data, Tensor) else type(data).__name__
        raise InputError(f"data: expected a tensor of floats, got {got}")
    filled = data.ndim >= 2 and data.numel() > 0
    if not (filled and all(bool(torch.isfinite(part).all()) for part in blocks(data))):
        wanted = "at least one item, [n, *item], and finite values"
        raise InputError(f"data: expected {wanted}, got shape {tuple(data.shape)}")
    return data


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
