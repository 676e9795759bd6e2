"""Contact sheets: samples beside the training images nearest to them, look by look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular
from memhorizon.records.monitor import MonitorRecord, Sheet
from memhorizon.report.audit.pictures import AuditPictures, Frames, side_for
from memhorizon.report.audit.words import two_digits_text
from memhorizon.report.parts import folded, section

OPEN = 3  # sheets that are shown
MOST = 24  # on the page, the folded ones included
PAIRS = 12  # of a sheet
BYTES = 3_000_000  # of all pictures on the page
ABOUT = (
    "Samples with the training image nearest to each, the smallest distance ratios first: near 0 it is a "
    "copy, near 1 it is as far from the nearest as from the next one. Framed: counted as copies."
)


@dataclass(frozen=True, eq=False)
class SheetPictures:
    """The images of one contact sheet.

    Attributes:
        samples: in the order of the rows of the sheet. [k, channels, height, width]
        nearest: the training image nearest to each. [k, channels, height, width]
    """

    samples: Shaped[Tensor, " k *item"]
    nearest: Shaped[Tensor, " k *item"]


Find: TypeAlias = Callable[[Sheet], SheetPictures | None]  # the images of a sheet; None where there are none


def in_folder(root: Path) -> Find:
    """Find images in the folder of a monitor, one sheet at a time; none where they are missing or damaged."""
    return partial(_found_in, root)


def _found_in(root: Path, sheet: Sheet) -> SheetPictures | None:
    if not _stays_inside(sheet.arrays):
        return None
    found = _read(root / sheet.arrays)
    return found if found is not None and _has_all(found, sheet) else None


def _stays_inside(place: str) -> bool:
    """Whether it is a place below a folder: a record may come from a stranger."""
    path = Path(place)
    return bool(place) and not path.is_absolute() and ".." not in path.parts


def _read(path: Path) -> SheetPictures | None:
    try:
        check_regular(path)
        with safe_open(path, framework="pt") as file:
            return SheetPictures(file.get_tensor("samples"), file.get_tensor("nearest"))
    except (OSError, InputError, SafetensorError):
        return None


def _has_all(found: SheetPictures, sheet: Sheet) -> bool:
    """Whether they are those of the sheet, or a later look at the same step has written over them."""
    return len(found.samples) == len(found.nearest) == len(sheet.rows)


def sheets(record: MonitorRecord, find: Find) -> str:
    """The sheets that matter most open, the others folded, from the last look back."""
    known = list({sheet.step: sheet for sheet in record.sheets if sheet.rows}.values())
    if not known or len(record.item_shape) != 3:
        return ""
    chosen = _chosen(record, known)
    others = _others(known, chosen)
    side = _side(record, [*chosen, *others])
    shown = _written(record, chosen, find, side)
    hidden = _folded(_written(record, others, find, side))
    if not (shown or hidden):
        return ""
    return section("Samples beside the training set", f"<p>{ABOUT}</p>", "".join(shown + hidden))


def _others(known: Sequence[Sheet], chosen: Sequence[Sheet]) -> list[Sheet]:
    return [sheet for sheet in reversed(known) if sheet not in chosen][: MOST - len(chosen)]


def _side(record: MonitorRecord, written: Sequence[Sheet]) -> int:
    """The side of a picture with which all of them stay below the bytes of the page."""
    count = sum(2 * min(len(sheet.rows), PAIRS) for sheet in written)
    return side_for(count, record.item_shape[0], BYTES)


def _folded(more: Sequence[str]) -> list[str]:
    if not more:
        return []
    return [folded(f"{len(more)} more look{'' if len(more) == 1 else 's'}", "".join(more))]


def _written(record: MonitorRecord, some: Sequence[Sheet], find: Find, side: int) -> list[str]:
    """Those of the sheets whose images are there, as they stand on the page."""
    parts = [_sheet(record, sheet, find(sheet), side) for sheet in some]
    return [part for part in parts if part]


def _chosen(record: MonitorRecord, known: list[Sheet]) -> list[Sheet]:
    """The sheet nearest to the best checkpoint, the first one with copies, and the last one."""
    wanted = [known[-1]]
    if record.best is not None:
        best = record.best.step
        wanted.append(min(known, key=lambda sheet: abs(sheet.step - best)))
    wanted += [sheet for sheet in known if any(row.is_copy for row in sheet.rows)][:1]
    steps = {sheet.step for sheet in wanted}
    return [sheet for sheet in known if sheet.step in steps][:OPEN]


def _sheet(record: MonitorRecord, sheet: Sheet, found: SheetPictures | None, side: int) -> str:
    """One sheet under the step of its look; empty where its images are not there."""
    if found is None:
        return ""
    _check(record, sheet, found)
    frames = Frames(AuditPictures(found.samples, found.nearest), side)
    cards = []
    for k, row in enumerate(sheet.rows[:PAIRS]):
        look = ' class="copy"' if row.is_copy else ""
        both = frames.tag("samples", k, "sample") + frames.tag("train", k, "nearest training image")
        word = "copy, " if row.is_copy else ""
        cards.append(f"<li{look}><div>{both}</div><span>{word}{two_digits_text(row.ratio)}</span></li>")
    return f"<h3>{_title(record, sheet)}</h3>" + f'<ul class="sheet">{"".join(cards)}</ul>'


def _check(record: MonitorRecord, sheet: Sheet, found: SheetPictures) -> None:
    """Refuse images that are not those of a sheet.

    Raises:
        InputError: if they are others in number or shape.
    """
    wanted = (len(sheet.rows), *record.item_shape)
    for name, images in (("samples", found.samples), ("nearest", found.nearest)):
        if tuple(images.shape) != wanted:
            got = tuple(images.shape)
            raise InputError(f"pictures.{name}: expected {wanted} at step {sheet.step}, got {got}")


def _title(record: MonitorRecord, sheet: Sheet) -> str:
    looked = next((look for look in record.looks if look.step == sheet.step), None)
    is_best = record.best is not None and record.best.step == sheet.step
    share = ""
    if looked is not None and looked.copies is not None:
        share = f": {looked.copies.count:,} of {looked.copies.total:,} samples are copies"
    return f"Step {sheet.step:,}{' (best)' if is_best else ''}{share}"
