"""A network in a local ONNX file, run by onnxruntime on the CPU (the extra "onnx").

An ONNX file is a graph of known operators with their weights: no code of the file is run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.extras import need
from memhorizon.files.bounds import printable
from memhorizon.measure.extractors.base import check_file, digest_of_file, shape_in_words

SUFFIX = ".onnx"
_ERRORS_ONLY = 3  # severity of what onnxruntime writes to the terminal
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@runtime_checkable
class _Declared(Protocol):
    """An input of a network, as onnxruntime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@runtime_checkable
class _Session(Protocol):
    """The part of onnxruntime's session that is used."""

    def run(self, output_names: None, input_feed: Mapping[str, np.ndarray]) -> Sequence[object]:
        """Run the network."""
        ...

    def get_inputs(self) -> Sequence[_Declared]:
        """What it wants."""
        ...


class _Input(NamedTuple):
    """The one input of a network."""

    name: str
    dtype: type[np.floating]
    shape: tuple[int | None, ...]  # None: any


@dataclass(frozen=True, eq=False, repr=False)
class Onnx:
    """A network of an ONNX file; its first output counts.

    Where the file states channels or a size, grey pictures get three equal channels and pictures are
    resized; all else is done by the network. A stated batch size is kept, and the last batch filled up.

    Attributes:
        session: of onnxruntime.
        wanted: the input.
        identity: digest of the file.
        note: which file, in words.
        where: the file, for messages.
    """

    session: _Session
    wanted: _Input
    identity: str
    note: str
    where: str

    def __call__(self, items: Shaped[Tensor, " b *item"]) -> Float[Tensor, "b d"]:
        """What the network makes of a batch.

        Raises:
            InputError: if it fails on it.
        """
        prepared = _as_declared(items.float(), self.wanted.shape[1:])
        size = self.wanted.shape[0] if self.wanted.shape else None
        parts = [self._run(part, size or len(part)) for part in prepared.split(size or len(prepared))]
        return torch.cat(parts)

    def _run(self, part: Float[Tensor, " b *item"], size: int) -> Float[Tensor, " b *d"]:
        """Run a batch, filled up to a size by its last item."""
        found = self._called(_filled(part, size), shape_in_words(part))
        if not _are_numbers(found, size):
            shape = getattr(found, "shape", type(found).__name__)
            raise InputError(f"features: expected numbers [{size}, d] of {self.where}, got {shape}")
        return torch.from_numpy(found[: len(part)].astype(np.float32))

    def _called(self, batch: Float[Tensor, " b *item"], given: str) -> object:
        """The first output, whatever it is."""
        inputs = {self.wanted.name: batch.cpu().numpy().astype(self.wanted.dtype)}
        try:
            return self.session.run(None, inputs)[0]
        except Exception as error:  # noqa: BLE001 - onnxruntime raises classes of its own, of no common base
            raise InputError(f"features: {self.where} fails for {given} ({_one_line(error)})") from error

    def __repr__(self) -> str:
        return f"Onnx({self.where})"


def _are_numbers(found: object, count: int) -> TypeGuard[np.ndarray]:
    """Whether an output has numbers for each of so many items."""
    return isinstance(found, np.ndarray) and found.dtype.kind in "fiu" and found.shape[:1] == (count,)


def _filled(part: Float[Tensor, " b *item"], size: int) -> Float[Tensor, " size *item"]:
    missing = part[-1:].expand(size - len(part), *part.shape[1:])
    return torch.cat([part, missing])


def load_onnx(path: Path) -> Onnx:
    """Load a network of an ONNX file.

    Raises:
        InputError: if there is no such file, it is damaged, or it wants other than one tensor of floats.
        MissingExtraError: if onnxruntime is not installed; the message is the line that installs it.
    """
    where = check_file(path)
    session = _session(path, where)
    digest = digest_of_file(path)
    wanted = _input_of(session, where)
    return Onnx(session, wanted, f"onnx {digest}", f"the network of {printable(path.name)}", where)


def _session(path: Path, where: str) -> _Session:
    runtime = need("onnxruntime", extra="onnx", what=f'features="{where}"')
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime raises classes of its own, of no common base
        raise InputError(
            f"features: {where} is damaged, or no ONNX file for this onnxruntime ({_one_line(error)})"
        ) from error


def _input_of(session: _Session, where: str) -> _Input:
    """The input of a network.

    Raises:
        InputError: if it has not one of floats.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES:
        words = ", ".join(f"{printable(one.name)}: {one.type}" for one in inputs) or "none"
        raise InputError(f"features: expected a network of one tensor of floats, {where} wants {words}")
    return _as_input(inputs[0])


def _as_input(declared: _Declared) -> _Input:
    shape = tuple(side if isinstance(side, int) else None for side in declared.shape)
    return _Input(declared.name, _TYPES[declared.type], shape)


def _as_declared(
    items: Float[Tensor, " b *item"], shape: tuple[int | None, ...]
) -> Float[Tensor, " b *wanted"]:
    """Pictures with the channels and of the size that a network states; other items as they are."""
    if items.ndim != 4 or len(shape) != 3:
        return items
    channels, height, width = shape
    if items.shape[1] == 1 and channels == 3:
        items = items.expand(-1, 3, -1, -1)
    size = (height or items.shape[2], width or items.shape[3])
    if size != tuple(items.shape[2:]):
        items = F.interpolate(items, size, mode="bilinear", antialias=True)
    return items


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200]
