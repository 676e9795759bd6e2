"""The state of a monitor as a file of plain values, for trainers that keep none and for folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.plain import read_object, write_at
from memhorizon.integrations.shared import Watching

TENSOR = "tensor"  # the one entry of an object that stands for a tensor


def write_state(monitor: Watching, path: Path, about: Mapping[str, object] | None = None) -> None:
    """Write the state of a monitor, whole or not at all.

    Args:
        monitor: a `Monitor`.
        path: of the file.
        about: plain values that a reader has to have too.

    Raises:
        InputError: if no file can be written at `path`.
    """
    from json import dumps

    tree = {"about": dict(about or {}), "state": _plain(monitor.state_dict())}
    write_at(path, dumps(tree, allow_nan=False).encode())


def read_state(monitor: Watching, path: Path, about: Mapping[str, object] | None = None) -> bool:
    """Let a monitor go on from the state in a file.

    Args:
        monitor: a `Monitor`.
        path: of the file.
        about: as it was written; a state of something else is left alone.

    Returns:
        Whether it resumes from there.

    Raises:
        InputError: if there is a file and it holds no state that this version can read.
    """
    if not path.exists():
        return False
    try:
        tree = read_object(path)
        if tree.get("about") != dict(about or {}):
            return False
        state = tree.get("state")
        if not isinstance(state, dict):
            raise InputError(f"file: {path} is damaged: expected the state of a monitor")
        monitor.load_state_dict(cast("dict[str, object]", _tensors(state)))
    except InputError as error:
        raise InputError(f"{error}; remove {path} to begin anew, or name another folder (root)") from error
    return True


def _plain(value: object) -> object:
    """Tensors as lists of numbers; everything else as it is."""
    if isinstance(value, Tensor):
        return {TENSOR: value.double().tolist()}
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _tensors(value: object) -> object:
    """The reverse of `_plain`."""
    if isinstance(value, dict) and set(value) == {TENSOR}:
        return _tensor(value[TENSOR])
    if isinstance(value, dict):
        return {name: _tensors(entry) for name, entry in value.items()}
    return [_tensors(entry) for entry in value] if isinstance(value, list) else value


def _tensor(numbers: object) -> Tensor:
    try:
        return torch.tensor(numbers, dtype=torch.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"state: expected numbers of a tensor, got others ({error})") from error
