"""A network in a local TorchScript file.

Such a file holds a program in TorchScript and its weights. Its tables are read by torch's reader for
TorchScript, which runs no Python; so the file is no pickle that runs whatever it likes. But the program
itself is run, by this process and with its rights, and TorchScript can read and write files (`torch.save`
is one of its functions): it has to come from somebody who is trusted.
"""

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_unpacked, printable
from memhorizon.measure.extractors.base import check_file, digest_of_file

SUFFIXES = (".pt", ".ts", ".pth", ".torchscript")
_SIGN = "constants.pkl"  # in every TorchScript file, in no other file of torch
_BROKEN = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)
_PICKLE = (
    "expected a TorchScript file, as torch.jit.script(net).save(path) and torch.jit.trace write it, got a "
    "pickle; pickled files can run any code and are never opened"
)


@dataclass(frozen=True, eq=False, repr=False)
class TorchScript:
    """A network of a TorchScript file, called with the items as they are; floats of the type of its weights.

    Attributes:
        network: the module, in eval mode.
        dtype: of its weights.
        identity: digest of the file.
        note: which file, in words.
        where: the file, for messages.
    """

    network: nn.Module
    dtype: torch.dtype
    identity: str
    note: str
    where: str

    def __call__(self, items: Shaped[Tensor, " b *item"]) -> Float[Tensor, "b d"]:
        """What the network makes of a batch."""
        found = self.network(items.to(self.dtype) if items.is_floating_point() else items)
        if not isinstance(found, Tensor):
            raise InputError(
                f"features: expected one tensor [n, d] of {self.where}, got {type(found).__name__}"
            )
        return found

    def __repr__(self) -> str:
        return f"TorchScript({self.where})"


def load_torchscript(path: Path, device: torch.device) -> TorchScript:
    """Load a network of a TorchScript file, which is then run: trusted files only.

    Args:
        path: of the file.
        device: where the weights are to be.

    Raises:
        InputError: if there is no such file, it is damaged, or it is a pickle.
    """
    where = check_file(path)
    _check_archive(path, where)
    network = _loaded(path, where, device)
    digest = digest_of_file(path)
    note = f"the network of {printable(path.name)}"
    return TorchScript(network, _type_of(network), f"torchscript {digest}", note, where)


def _loaded(path: Path, where: str, device: torch.device) -> nn.Module:
    """The network, in eval mode."""
    try:
        with warnings.catch_warnings():
            # torch advises torch.export, by the one warning or the other
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            network = torch.jit.load(str(path), map_location=device)
    except _BROKEN as error:
        raise InputError(f"features: {where} cannot be loaded ({_first_line(error)})") from error
    if hasattr(network, "training"):  # a frozen network has no mode
        network.eval()
    return network


def _type_of(network: nn.Module) -> torch.dtype:
    """The type of its weights; a frozen network has them as constants."""
    floats = [weight.dtype for weight in network.parameters() if weight.is_floating_point()]
    return floats[0] if floats else torch.float32


def _check_archive(path: Path, where: str) -> None:
    """Refuse what is no whole TorchScript archive, before torch looks at it.

    Raises:
        InputError: saying what it is.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries([entry.filename for entry in entries], where)
            check_unpacked(sum(entry.file_size for entry in entries), where, packed=path.stat().st_size)
            damaged = archive.testzip()
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"features: {where}: {_of_no_archive(path)}") from error
    if damaged is not None:
        raise InputError(f"features: {where} is damaged, {printable(damaged)} within is not what was written")


def _check_entries(names: list[str], where: str) -> None:
    """Refuse an archive that is none of TorchScript."""
    parts = {name.rpartition("/")[2] for name in names}
    if _SIGN in parts:
        return
    words = _PICKLE if "data.pkl" in parts else "expected a TorchScript file, got another archive"
    raise InputError(f"features: {where}: {words}")


def _of_no_archive(path: Path) -> str:
    """What is wrong with a file that is no archive."""
    with path.open("rb") as file:
        head = file.read(2)
    if head[:1] == b"\x80":  # how every pickle of protocol 2 or later begins
        return _PICKLE
    if head == b"PK":
        return "damaged, its end is missing or not what was written"
    return "damaged, or no TorchScript file"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0])[:200]
