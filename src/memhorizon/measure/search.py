"""How far a search for neighbours is: what was found among the first points, and a file that keeps it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64, Int, Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.digests import digest_of
from memhorizon.files.plain import digest
from memhorizon.files.tensor_files import read_tensors_and_note, write_tensors

_PROTOCOL = "nearest 1"  # what is in the file, and how it was found


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest of the points that were searched so far.

    Attributes:
        distance: of each query to them, ascending, equal ones by the lower index. [m, j]
        index: of the points. [m, j]
        done: how many points were searched.
        largest: absolute value among the numbers of the queries and of these points.
    """

    distance: Float64[Tensor, "m j"]
    index: Int[Tensor, "m j"]
    done: int
    largest: float

    @classmethod
    def none(cls, count: int, largest: float, device: torch.device) -> "Found":
        """Nothing yet for so many queries."""
        distance = torch.empty(count, 0, dtype=torch.float64, device=device)
        return cls(distance, distance.long(), 0, largest)


@dataclass(frozen=True)
class Keeper:
    """A file in which a search is kept after every part of the points.

    Attributes:
        path: of the file, named by what is searched for.
    """

    path: Path

    @classmethod
    def of(
        cls, folder: Path, queries: Shaped[Tensor, "..."], points: Shaped[Tensor, "..."], k: int
    ) -> "Keeper":
        """The file of a search; both sets are read through for its name."""
        what = " ".join([_PROTOCOL, digest_of(queries), digest_of(points), str(k)])
        return cls(folder / f"{digest(what.encode()).split(':')[-1][:32]}.safetensors")

    def read(self, place: torch.device) -> Found | None:
        """What the file holds, on the device of the search; None where there is none, or it is damaged."""
        try:
            tensors, note = read_tensors_and_note(self.path)
        except InputError:
            return None
        done = note.get("done")
        if note.get("protocol") != _PROTOCOL or not isinstance(done, int):
            return None
        largest = float(tensors["largest"])
        return Found(tensors["distance"].to(place), tensors["index"].to(place), done, largest)

    def write(self, found: Found) -> None:
        """Replace what the file holds; a full disk is no reason to end a search."""
        largest = torch.tensor(found.largest, dtype=torch.float64)
        tensors = {"distance": found.distance, "index": found.index, "largest": largest}
        with suppress(OSError):
            write_tensors(self.path, tensors, {"protocol": _PROTOCOL, "done": found.done})
