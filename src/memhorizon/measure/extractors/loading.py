"""One door to feature functions: a function, a name, or the file of a network."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch

from memhorizon.errors import InputError
from memhorizon.files.bounds import printable
from memhorizon.measure.extractors.efficientnet import NAME, load_efficientnet
from memhorizon.measure.extractors.onnx import SUFFIX, load_onnx
from memhorizon.measure.extractors.torchscript import SUFFIXES, load_torchscript
from memhorizon.measure.features import Features, Function, check_features

if TYPE_CHECKING:
    NetworkSource: TypeAlias = Features | str | os.PathLike[str]
else:  # checked by `load_features`
    NetworkSource = object

EMBEDDINGS = (".npy", ".npz", ".safetensors")  # data, and no function


def load_features(
    source: NetworkSource,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    device: torch.device | None = None,
) -> Function | None:
    """Give a feature function: for the metrics and the audit.

    Nothing is downloaded, no pickle is opened. Networks of files get batches of items as they are (pictures:
    [b, channels, height, width], 32-bit floats, from files 0 to 1) and give [b, d]; an ONNX file that states
    its size gets pictures of it. The size of a batch changes a result by rounding at most, if the network
    treats its items one by one, as those in eval mode do.

    Args:
        source: a function or a network, which is given back; "efficientnet-lite" (the extra "features"); or
            the path of a TorchScript file (.pt, .ts, .pth, .torchscript) or an ONNX file (.onnx, the extra
            "onnx"). **The program of a TorchScript file is run, and can read and write files: give only
            files that are trusted.** None is given back.
        limits: smallest and largest value that a pixel can have; "efficientnet-lite" brings them to the range
            that it was trained on, no other source looks at them.
        device: where the weights of a network that is loaded are to be; None for the CPU. ONNX files are run
            on the CPU.

    Raises:
        InputError: if it is none of these, there is no such file, or it is damaged or a pickle.
        MissingExtraError: if what it needs is not installed; the message is the line that installs it.
    """
    place = torch.device("cpu") if device is None else device
    if not isinstance(source, str | os.PathLike):
        return check_features(source)
    if source == NAME:
        return load_efficientnet(limits, place)
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return load_torchscript(path, place)
    if suffix == SUFFIX:
        return load_onnx(path)
    raise InputError(_unknown(os.fspath(source)))


def _unknown(source: str) -> str:
    """What to say of a name or a path that is no function."""
    shown = printable(source)
    if source.lower().partition("::")[0].endswith(EMBEDDINGS):
        return (
            f"features: expected a function, got the vectors of {shown}, which are of one set; give those of "
            'each: features={"samples": PATH, "train": PATH} (and "holdout")'
        )
    return (
        f'features: expected a function, "{NAME}", or the path of a TorchScript ({", ".join(SUFFIXES)}) '
        f"or ONNX ({SUFFIX}) file, got {shown!r}"
    )
