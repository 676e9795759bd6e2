"""Files of tensors (safetensors) that carry a checksum: a flipped bit or a lost tensor is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular
from memhorizon.files.plain import Row, parse_json, write_atomically

ENTRY = "memhorizon"  # the one entry of the metadata: of several the order, and so the bytes, would vary


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object] | None = None
) -> None:
    """Write a safetensors file whole or not at all, with its checksum and what `about` says."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    note = {"checksum": checksum(plain)} | dict(about or {})
    write_atomically(path, save(plain, {ENTRY: json.dumps(note, sort_keys=True)}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: if it is missing or damaged.
    """
    return read_tensors_and_note(path)[0]


def read_note(path: Path) -> Row:
    """Read what a safetensors file says of itself, without its tensors.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as handle:
            told = dict(handle.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"file: cannot read {path}: {error}") from error
    note = parse_json(told.pop(ENTRY, "{}"), f"file: {path}")
    if not isinstance(note, dict):
        raise InputError(f"file: cannot read {path}: it is damaged, its note is no object")
    return told | note


def read_tensors_and_note(path: Path) -> tuple[dict[str, Tensor], Row]:
    """Read a safetensors file and what `write_tensors` noted about it, nothing in a file made elsewhere.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as handle:
            note = parse_json((handle.metadata() or {}).get(ENTRY, "{}"), f"file: {path}")
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise InputError(f"file: cannot read {path}: {error}") from error
    if not isinstance(note, dict) or note.get("checksum", checksum(tensors)) != checksum(tensors):
        raise InputError(f"file: cannot read {path}: it is damaged, its checksum does not fit")
    return tensors, note


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Name the tensors: their names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return "sha256:" + total.hexdigest()
