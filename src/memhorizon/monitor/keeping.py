"""What a monitor keeps in its folder: weights, contact sheets, the record."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from memhorizon.files.plain import make_folder, write_atomically

BEST = "best.safetensors"
CANDIDATE = "candidate.safetensors"
RECORD = "monitor.json"
SHEETS = "sheets"


def weights_of(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Give the weights and buffers of networks, copied to the CPU; of several, numbered in front."""
    prefixes = [""] if len(networks) == 1 else [f"{k}." for k in range(len(networks))]
    return {
        prefix + name: value.detach().cpu().clone().contiguous()
        for prefix, network in zip(prefixes, networks, strict=True)
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor)
    }


def keep_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors whole or not at all."""
    make_folder(path.parent, "root")
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        save_file(tensors, temporary)
        os.replace(temporary, path)  # noqa: PTH105
    finally:
        temporary.unlink(missing_ok=True)


def keep_bytes(content: bytes, path: Path) -> None:
    """Write bytes whole or not at all."""
    make_folder(path.parent, "root")
    write_atomically(path, content)
