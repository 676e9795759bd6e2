"""What a monitor keeps in its folder: weights, contact sheets, the record."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from memhorizon.errors import InputError
from memhorizon.files.plain import make_folder, write_atomically
from memhorizon.files.tensor_files import read_note, write_tensors
from memhorizon.records.monitor import Look

BEST = "best.safetensors"
EARLIER = "earlier-best.safetensors"  # of another training in the same folder
CANDIDATE = "candidate"  # and its step
RECORD = "monitor.json"
SHEETS = "sheets"


def usable_root(path: Path) -> Path:
    """Give a folder that is to be written in, made if it is not there; a full disk is no fault of the path.

    Raises:
        InputError: if none can be made there, or one may not write in it.
    """
    with suppress(OSError):
        make_folder(path, "root")
    return path


def weights_of(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Give the weights and buffers of networks, copied to the CPU; of several, numbered in front.

    Where some parameters are trained and others are not (adapters, frozen parts), those that are trained.
    """
    live = _live(networks)
    trained = {name for name, value in live.items() if value.requires_grad}
    kept = {
        name: value for name, value in live.items() if not trained or name in trained or _is_buffer(value)
    }
    return {name: value.detach().cpu().clone().contiguous() for name, value in kept.items()}


def put_back(networks: Sequence[nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Write weights that were taken by `weights_of` into the same networks."""
    live = _live(networks)
    with torch.no_grad():
        for name, value in weights.items():
            live[name].copy_(value)


def _live(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The parameters and buffers of networks, as they are in a state."""
    prefixes = [""] if len(networks) == 1 else [f"{k}." for k in range(len(networks))]
    found: dict[str, Tensor] = {}
    for prefix, network in zip(prefixes, networks, strict=True):
        kept = set(network.state_dict())
        members = [
            *network.named_parameters(remove_duplicate=False),  # tied ones under each of their names
            *network.named_buffers(remove_duplicate=False),
        ]
        found |= {prefix + name: value for name, value in members if name in kept}
    return found


def _is_buffer(value: Tensor) -> bool:
    return not isinstance(value, nn.Parameter)


def keep_tensors(tensors: Mapping[str, Tensor], path: Path, told: Mapping[str, str] | None = None) -> None:
    """Write tensors, and what is told of them, whole or not at all."""
    make_folder(path.parent, "root")
    write_tensors(path, tensors, told)


def keep_bytes(content: bytes, path: Path) -> None:
    """Write bytes whole or not at all."""
    make_folder(path.parent, "root")
    write_atomically(path, content)


def is_of(path: Path, look: Look) -> bool:
    """Whether there is a file of weights, and it does not say that they are those of another look."""
    try:
        note = read_note(path)
    except InputError:
        return False
    told = {name: note[name] for name in about(look) if name in note}
    return not told or told == about(look)  # nothing is told in files of older code


def about(look: Look) -> dict[str, str]:
    """What a file of weights says of them: two trainings do not have the same loss to the last digit."""
    losses = {"holdout_loss": repr(look.holdout_loss), "train_loss": repr(look.train_loss)}
    return {"step": str(look.step), **losses}
