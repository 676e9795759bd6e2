"""A folder of checkpoints of diffusers, read without trust: no pickle, no code from the folder.

What is found in it, by the step at the end of a folder's name:

    DIR/checkpoint-1000/unet/, unet_ema/     accelerate's save_state with the hooks of diffusers' examples
    DIR/step_1000/unet/, scheduler/          a pipeline's save_pretrained
    DIR/1000/config.json                     a network's save_pretrained

A scheduler is looked for beside the network, in DIR itself, and in DIR/scheduler. A network is built by its
class in diffusers, out of a list of classes that need nothing but an image and a noise level; its weights are
read from safetensors, and their shapes are compared with the configuration before any memory is taken.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from memhorizon.checks import check_choice
from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.extras import need
from memhorizon.files.bounds import check_regular, printable
from memhorizon.files.folders import Skipped
from memhorizon.files.plain import check_path, read_object

Which = Literal["auto", "ema", "plain"]
STEP = re.compile(r"(\d+)$")
MOST_DIGITS = 12  # of a step
NETWORKS = {"ema": ("unet_ema", "ema_unet", "ema"), "plain": ("unet", "model", "")}
CONFIG = "config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
PICKLES = ("diffusion_pytorch_model.bin", "pytorch_model.bin")
SCHEDULER = "scheduler_config.json"
CLASSES = ("UNet2DModel",)  # called with an image and a timestep, and nothing else
MOST_BLOCKS = 64  # of a network: a configuration that asks for more is no honest one


@dataclass(frozen=True)
class Checkpoint:
    """A network of one step, not yet read.

    Attributes:
        step: of the training.
        name: of the folder that ends in the step; printable.
        path: folder with its configuration and weights.
        scheduler: file of its scheduler.
        averaged: whether the weights are averages (EMA).
    """

    step: int
    name: str
    path: Path
    scheduler: Path
    averaged: bool

    def network(self) -> nn.Module:
        """Build the network and read its weights, in eval mode on the CPU.

        Raises:
            InputError: if it is none of the known classes, needs more than an image, or its weights are not
                those of its configuration.
            MissingExtraError: if diffusers is not installed.
        """
        diffusers = need("diffusers", extra="diffusers", what="a folder of checkpoints")
        network = _built(diffusers, read_object(self.path / CONFIG), self.path)
        weights = _weights_file(self.path)
        _check_shapes(network, weights)
        try:
            network.load_state_dict(load_file(weights), assign=True)
        except RuntimeError as error:
            raise InputError(f"{printable(weights)}: {error}") from error
        return network.float().eval().requires_grad_(False)

    def denoiser(self, network: nn.Module) -> Denoiser:
        """Say what the network puts out, by its scheduler.

        Raises:
            InputError: if diffusers has no such scheduler, or it does not say its noise levels.
            MissingExtraError: if diffusers is not installed.
        """
        diffusers = need("diffusers", extra="diffusers", what="a folder of checkpoints")
        return Denoiser.diffusers(network, _scheduler(diffusers, read_object(self.scheduler), self.scheduler))


@dataclass(frozen=True)
class Checkpoints:
    """What is in a folder of checkpoints.

    Attributes:
        found: in the order of their steps.
        skipped: folders that end in a step and cannot be used, and why.
    """

    found: tuple[Checkpoint, ...]
    skipped: tuple[Skipped, ...]


def find_checkpoints(
    folder: Path | str, *, weights: Which = "auto", scheduler: Path | str | None = None
) -> Checkpoints:
    """Find the checkpoints in a folder; nothing is read of them but names.

    Args:
        folder: has a folder for each checkpoint, whose name ends in the step.
        weights: "ema" or "plain" takes the averaged or the plain weights alone; "auto" the averaged ones
            where there are any.
        scheduler: file or folder of the scheduler, where the checkpoints have none.

    Raises:
        InputError: if it is no folder, or has no checkpoint that can be used.
    """
    check_choice("weights", weights, get_args(Which))
    root = check_path("folder", folder)
    if not root.is_dir():
        raise InputError(f"folder: expected a folder of checkpoints, got {printable(root)!r}")
    given = None if scheduler is None else _scheduler_at(scheduler)
    found: dict[int, Checkpoint] = {}
    skipped = []
    for step, path in _folders(root):
        try:
            _check_step(step)
            one = _checkpoint(step, path, root, weights, given)
            if step in found:
                raise InputError(f"step {step:,} is also that of {found[step].name}")
            found[step] = one
        except InputError as error:
            skipped.append(Skipped(printable(path.name), str(error)))
    if not found:
        raise InputError(f"folder: expected checkpoints in {printable(root)!r}, got none{_first(skipped)}")
    return Checkpoints(tuple(found[step] for step in sorted(found)), tuple(skipped))


def _first(skipped: list[Skipped]) -> str:
    if not skipped:
        return "; their folders have names that end in the step, such as checkpoint-1000"
    return f" that can be used; {skipped[0].name}: {skipped[0].reason}"


def _folders(root: Path) -> Iterator[tuple[int, Path]]:
    """Folders whose names end in a number, by that number; all too large ones are alike."""
    named = [(STEP.search(path.name), path) for path in root.iterdir() if path.is_dir()]
    steps = [(_number(match[1]), path) for match, path in named if match is not None]
    yield from sorted(steps, key=lambda one: (one[0], one[1].name))


def _number(digits: str) -> int:
    """A number of at most one digit too many: Python refuses to read those of thousands."""
    return int(digits.lstrip("0")[: MOST_DIGITS + 1] or "0")


def _check_step(step: int) -> None:
    """Refuse a number that is no step.

    Raises:
        InputError: if it has too many digits.
    """
    if step >= 10**MOST_DIGITS:
        raise InputError(f"expected a step of at most {MOST_DIGITS} digits at the end of its name, got more")


def _checkpoint(step: int, path: Path, root: Path, weights: Which, scheduler: Path | None) -> Checkpoint:
    kinds = ("ema", "plain") if weights == "auto" else (weights,)
    for kind in kinds:
        for name in NETWORKS[kind]:
            inner = path / name
            if (inner / CONFIG).is_file():
                _weights_file(inner)
                place = scheduler or _beside(inner, path, root)
                return Checkpoint(step, printable(path.name), inner, place, kind == "ema")
    wanted = " or ".join(f"{name or '.'}/{CONFIG}" for kind in kinds for name in NETWORKS[kind])
    raise InputError(f"expected a network of diffusers ({wanted}), got none")


def _weights_file(path: Path) -> Path:
    """The weights of a network.

    Raises:
        InputError: if there are none in safetensors.
    """
    for name in WEIGHTS:
        if (path / name).is_file():
            check_regular(path / name)
            return path / name
    if (path / f"{WEIGHTS[0]}.index.json").exists():
        raise InputError("its weights are in several files, which is not supported")
    if any((path / name).exists() for name in PICKLES):
        raise InputError("its weights are a pickle, which may run code; save them as safetensors")
    raise InputError(f"expected its weights in {WEIGHTS[0]}, got none")


def _beside(inner: Path, path: Path, root: Path) -> Path:
    """The nearest scheduler: of the checkpoint, or of the folder of all."""
    for place in (inner, path / "scheduler", path, root / "scheduler", root):
        if (place / SCHEDULER).is_file():
            return place / SCHEDULER
    raise InputError(f"expected {SCHEDULER} beside it or in the folder of all checkpoints, got none")


def _scheduler_at(given: Path | str) -> Path:
    """The file of a scheduler that is given, itself or by a folder that it is in.

    Raises:
        InputError: if there is none.
    """
    path = check_path("scheduler", given)
    for place in (path, path / SCHEDULER, path / "scheduler" / SCHEDULER):
        if place.is_file():
            return place
    raise InputError(f"scheduler: expected {SCHEDULER} or its folder, got {printable(given)!r}")


def _built(diffusers: ModuleType, config: Mapping[str, object], where: Path) -> nn.Module:
    """A network of a known class, without memory for its weights.

    Raises:
        InputError: if it is of another class, needs labels, or cannot be built.
    """
    name = config.get("_class_name")
    if name not in CLASSES:
        wanted = ", ".join(CLASSES)
        raise InputError(
            f"{printable(where)}: expected a network that needs an image and a noise level alone ({wanted}), "
            f"got {name!r:.60}; draw samples with its pipeline and use memhorizon audit"
        )
    kind = getattr(diffusers, str(name))
    entries = {key: config[key] for key in inspect.signature(kind.__init__).parameters if key in config}
    _check_entries(entries, where)
    try:
        with torch.device("meta"):
            return kind(**entries)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{printable(where)}: cannot be built from its {CONFIG}: {error}") from error


def _check_entries(entries: Mapping[str, object], where: Path) -> None:
    """Refuse a network that is told a class, and one of absurd depth."""
    if entries.get("class_embed_type") is not None or entries.get("num_class_embeds") is not None:
        raise InputError(f"{printable(where)}: expected a network without classes, got one that is told them")
    widths = entries.get("block_out_channels", ())
    layers = entries.get("layers_per_block", 1)
    fits = isinstance(widths, list | tuple) and len(widths) <= MOST_BLOCKS
    if not (fits and isinstance(layers, int) and layers <= MOST_BLOCKS):
        raise InputError(f"{printable(where)}: expected at most {MOST_BLOCKS} blocks and layers, got more")


def _check_shapes(network: nn.Module, weights: Path) -> None:
    """Compare the weights that a network has with those in a file, of which only the head is read."""
    wanted = {name: list(value.shape) for name, value in network.state_dict().items()}
    try:
        with safe_open(weights, framework="pt") as file:
            found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{printable(weights)}: cannot be read: {error}") from error
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if differing:
        raise InputError(
            f"{printable(weights)}: expected the weights of its {CONFIG}, got {len(differing):,} others, "
            f"the first is {printable(differing[0])[:80]}"
        )


def check_items(checkpoints: Checkpoints, shape: tuple[int, ...]) -> None:
    """Refuse a training set whose items are not what the first readable network is called with.

    Args:
        checkpoints: of which the configurations alone are read.
        shape: of an item, channels first.

    Raises:
        InputError: naming the item's shape and the network's, where its configuration says it.
    """
    for one in checkpoints.found:
        try:
            wanted = _item_shape(read_object(one.path / CONFIG))
        except InputError:  # it is skipped when its turn comes
            continue
        if wanted is None:
            continue
        if wanted != shape:
            names = (_by(wanted), _by(shape))
            raise InputError(
                f"train: expected images of {names[0]} (channels x height x width), for which the network of "
                f"{one.name} is made, got {names[1]}; --size and --grey bring pictures to it"
            )
        return


def _item_shape(config: Mapping[str, object]) -> tuple[int, ...] | None:
    """What a network of a configuration is called with; None where that does not say it."""
    size = config.get("sample_size")
    channels = config.get("in_channels")
    sides = size if isinstance(size, list) and len(size) == 2 else [size, size]
    whole = [side for side in (channels, *sides) if isinstance(side, int) and not isinstance(side, bool)]
    return tuple(whole) if len(whole) == 3 else None


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)


def _scheduler(diffusers: ModuleType, config: Mapping[str, object], where: Path) -> object:
    """A scheduler of diffusers by its configuration.

    Raises:
        InputError: if diffusers has none of this name, or it cannot be built.
    """
    name = config.get("_class_name")
    known = isinstance(name, str) and name.isidentifier() and name.endswith("Scheduler")
    kind = getattr(diffusers, str(name), None) if known else None
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        raise InputError(f"{printable(where)}: expected a scheduler of diffusers, got {name!r:.60}")
    entries = {key: config[key] for key in inspect.signature(kind.__init__).parameters if key in config}
    try:
        return kind(**entries)
    except (ValueError, TypeError, KeyError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{printable(where)}: cannot be built: {error}") from error
