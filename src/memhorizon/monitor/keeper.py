"""The keeper of a monitor: what is kept of a training, in a folder or, without one, in memory."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from memhorizon.experiments.locks import BusyError
from memhorizon.files.tensor_files import read_tensors
from memhorizon.monitor.claim import Claim
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.keeping import (
    BEST,
    CANDIDATE,
    EARLIER,
    RECORD,
    SHEETS,
    about,
    is_of,
    keep_bytes,
    keep_tensors,
    weights_of,
)
from memhorizon.monitor.sheets import SheetItems, picture
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject
from memhorizon.records.files import to_text
from memhorizon.records.monitor import Best, Look, MonitorRecord, Sheet, Stop

MOST_BYTES = 2**28  # of the weights of a candidate that are kept in memory
MOST = 3  # candidates
GAIN = 0.01  # fall of the held-out loss below that of the last candidate that makes another


class Keeper:
    """Keeps weights, contact sheets and the record; what cannot be written is noted.

    Attributes:
        root: folder for all of it; None to keep nothing but the weights of the candidates, in memory.
        candidates: these weights by their step; none where there is a folder that can be written to.
    """

    def __init__(self, root: Path | None, failures: Failures, limits: tuple[float, float]) -> None:
        self.root = root
        self._limits = limits  # values that are black and white
        self.candidates: dict[int, dict[str, Tensor]] = {}
        self._failures = failures
        self._claim = None if root is None else Claim(root)
        self._exported: set[int] = set()  # candidates that a state names, from which a training may resume

    def release(self) -> None:
        """Let other monitors write to the folder; the next look takes it again."""
        if self._claim is not None:
            self._claim.release()

    def _place(self, memory: Memory) -> Path | None:
        """The folder, taken from whoever wrote there before; None without one, or while another writes there.

        Candidates and sheets of an earlier training are removed, its best weights get another name.
        """
        if self.root is None or self._claim is None:
            return None
        try:
            is_new = self._claim.take()
        except BusyError as error:
            self._failures.once(memory, "root", str(error))
            return None
        if is_new:
            self._clear(self.root, memory)
        return self.root

    def _clear(self, root: Path, memory: Memory) -> None:
        """Leave nothing in the folder that could be taken for that of this training."""
        kept = {self._file(step) for step in memory.candidates}
        for sheet in memory.sheets:
            kept |= {root / sheet.arrays, root / sheet.picture}
        _remove_others(root, kept)
        _put_aside_best(root, memory.looks)

    def keep_sheet(self, memory: Memory, step: int, items: SheetItems) -> str:
        """Write the contact sheet of a look where there is a folder for it; give the file of its picture.

        The picture itself is drawn by `write`. A step that is sampled once more has the later sheet.
        """
        if not items.rows:
            return ""
        with self._failures.noted(memory, "sheet"):
            root = self._place(memory)
            if root is None:
                return ""
            name = f"{SHEETS}/step-{step:09d}"
            arrays = {"samples": items.samples.contiguous(), "nearest": items.nearest.contiguous()}
            keep_tensors(arrays, root / f"{name}.safetensors")
            (root / f"{name}.png").unlink(missing_ok=True)
            shown = f"{name}.png" if items.are_pictures else ""
            others = [sheet for sheet in memory.sheets if sheet.step != step]
            memory.sheets = [*others, Sheet(step, items.rows, shown, f"{name}.safetensors")]
            return shown
        return ""

    def write(self, memory: Memory, record: Callable[[Memory], MonitorRecord]) -> None:
        """Write the record and the pictures of contact sheets, where there is a folder for them."""
        with self._failures.noted(memory, "sheet"):
            root = self._place(memory)
            if root is not None:
                for sheet in memory.sheets:
                    self._draw(sheet, root)
        self.write_record(memory, record)

    def write_record(self, memory: Memory, record: Callable[[Memory], MonitorRecord]) -> None:
        """Write the record, where there is a folder for it."""
        with self._failures.noted(memory, "record"):
            root = self._place(memory)
            if root is not None:
                keep_bytes(to_text(record(memory)).encode(), root / RECORD)

    def keep_best(self, memory: Memory, best: Look, weights: dict[str, Tensor]) -> None:
        """Write the weights of the best checkpoint, where there is a folder for them."""
        with self._failures.noted(memory, "weights"):
            root = self._place(memory)
            if root is not None:
                memory.kept = -1  # until the file is there
                keep_tensors(weights, root / BEST, about(best))
                memory.kept = best.step

    def keep_best_again(self, memory: Memory, best: Best | None) -> None:
        """Write the weights of the best checkpoint from those of its candidate, where others lie there.

        So it is where a training was resumed from a state that is older than its last best checkpoint.
        """
        if best is None or best.path or self.root is None or best.step not in memory.candidates:
            return
        look = next(look for look in memory.looks if look.step == best.step)
        if self.holds(look):
            self.keep_best(memory, look, self.candidate_weights(look.step))

    def keep_candidate(self, memory: Memory, look: Look, subject: Subject) -> None:
        """Keep the weights of a look whose held-out loss is clearly the smallest so far.

        Clearly is by 1 %, so that of a long flat minimum an early checkpoint is kept, which copies less; the
        two before it are kept too, for where that one copies.
        """
        if look.rise != 0 or look.stop is not Stop.NO or not self._is_gain(memory, look):
            return
        with self._failures.noted(memory, "weights"):
            weights = weights_of(subject.networks)
            if self._place(memory) is not None:
                keep_tensors(weights, self._file(look.step), about(look))
            elif sum(value.nbytes for value in weights.values()) <= MOST_BYTES:
                self.candidates[look.step] = weights
            else:
                return
            memory.candidates.append(look.step)
            while len(memory.candidates) > MOST:
                self._drop(memory.candidates.pop(0))

    def holds(self, candidate: Look) -> bool:
        """Whether the weights of a candidate are still there."""
        return candidate.step in self.candidates or is_of(self._file(candidate.step), candidate)

    def candidate_weights(self, step: int) -> dict[str, Tensor]:
        """The weights of a candidate that were kept."""
        if step in self.candidates or self.root is None:
            return self.candidates[step]
        return read_tensors(self._file(step))

    def exported(self, memory: Memory) -> None:
        """Keep the candidates that a state names until the next state, although others take their place."""
        if self.root is None:  # weights in memory are no part of a state
            return
        stale = self._exported - set(memory.candidates)
        self._exported = set(memory.candidates)
        for step in stale:
            self._drop(step)

    def _draw(self, sheet: Sheet, root: Path) -> None:
        """Draw the picture of a contact sheet that is not drawn yet."""
        path = root / sheet.picture
        if not sheet.picture or path.exists():
            return
        arrays = read_tensors(root / sheet.arrays)
        items = SheetItems(arrays["samples"], arrays["nearest"], sheet.rows)
        keep_bytes(picture(items, self._limits), path)

    def _is_gain(self, memory: Memory, look: Look) -> bool:
        before = [one.holdout_loss for one in memory.looks if one.step in memory.candidates]
        before = [loss for loss in before if math.isfinite(loss)]
        return not before or look.holdout_loss <= (1 - GAIN) * min(before)

    def _drop(self, step: int) -> None:
        if step in self._exported:
            return
        is_in_memory = self.candidates.pop(step, None) is not None
        if not is_in_memory and self.root is not None:
            self._file(step).unlink(missing_ok=True)

    def _file(self, step: int) -> Path:
        return (self.root or Path()) / f"{CANDIDATE}-{step:09d}.safetensors"


def _remove_others(root: Path, kept: set[Path]) -> None:
    """Remove candidates and sheets but these."""
    for path in [*root.glob(f"{CANDIDATE}-*.safetensors"), *root.glob(f"{SHEETS}/step-*")]:
        if path not in kept:
            path.unlink(missing_ok=True)


def _put_aside_best(root: Path, looks: Sequence[Look]) -> None:
    """Give the best weights of an earlier training another name."""
    best = root / BEST
    if best.is_file() and not any(is_of(best, look) for look in looks):
        best.replace(root / EARLIER)
