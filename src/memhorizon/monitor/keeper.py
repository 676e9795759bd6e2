"""The keeper of a monitor: what is kept of a training, in a folder or, without one, in memory."""

import math
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from memhorizon.monitor.failures import Failures
from memhorizon.monitor.keeping import (
    BEST,
    CANDIDATE,
    RECORD,
    SHEETS,
    keep_bytes,
    keep_tensors,
    kept_tensors,
    weights_of,
)
from memhorizon.monitor.sheets import SheetItems, picture
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject
from memhorizon.records.files import to_text
from memhorizon.records.monitor import Look, MonitorRecord, Phase, Sheet, Stop

MOST_BYTES = 2**28  # of weights that are kept in memory


class Keeper:
    """Keeps weights, contact sheets and the record; what cannot be written is noted.

    Attributes:
        root: folder for all of it; None to keep nothing but the weights of the candidate, in memory.
        candidate: these weights; none where there is a folder.
    """

    def __init__(self, root: Path | None, failures: Failures) -> None:
        self.root = root
        self.candidate: dict[str, Tensor] = {}
        self._failures = failures

    def keep_sheet(self, memory: Memory, step: int, items: SheetItems, limits: tuple[float, float]) -> str:
        """Write the contact sheet of a look where there is a folder for it; give the file of its picture."""
        if self.root is None or not items.rows:
            return ""
        with self._failures.noted(memory, "sheet"):
            name = f"{SHEETS}/step-{step:09d}"
            arrays = {"samples": items.samples.contiguous(), "nearest": items.nearest.contiguous()}
            keep_tensors(arrays, self.root / f"{name}.safetensors")
            shown = f"{name}.png" if items.are_pictures else ""
            if shown:
                keep_bytes(picture(items, limits), self.root / shown)
            memory.sheets.append(Sheet(step, items.rows, shown, f"{name}.safetensors"))
            return shown
        return ""

    def keep_record(self, memory: Memory, record: Callable[[], MonitorRecord]) -> None:
        """Write the record, where there is a folder for it."""
        if self.root is None:
            return
        with self._failures.noted(memory, "record"):
            keep_bytes(to_text(record()).encode(), self.root / RECORD)

    def keep_best(self, memory: Memory, best: Look, subject: Subject) -> None:
        """Write the weights of the best checkpoint, where there is a folder for them."""
        if self.root is None:
            return
        with self._failures.noted(memory, "weights"):
            keep_tensors(weights_of(subject.networks), self.root / BEST)
            memory.kept = best.step

    def keep_candidate(self, memory: Memory, look: Look, subject: Subject) -> None:
        """Keep the weights of the smallest held-out loss, once learning has slowed and until copies begin."""
        is_lowest = look.rise == 0 and not math.isnan(look.holdout_loss)
        if not is_lowest or look.phase is Phase.LEARNING or look.stop is not Stop.NO:
            return
        with self._failures.noted(memory, "weights"):
            weights = weights_of(subject.networks)
            if self.root is not None:
                keep_tensors(weights, self.root / CANDIDATE)
            elif sum(value.nbytes for value in weights.values()) <= MOST_BYTES:
                self.candidate = weights
            else:
                return
            memory.candidate = look.step

    def candidate_weights(self) -> dict[str, Tensor]:
        """The weights of the candidate that were kept."""
        return self.candidate if self.root is None else kept_tensors(self.root / CANDIDATE)
