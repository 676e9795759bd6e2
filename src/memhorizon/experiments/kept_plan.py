"""A plan that is there already: is it one of these images and settings, and can it be run?"""

from collections.abc import Sequence
from pathlib import Path

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.comparable import differs
from memhorizon.experiments.config import Config, flattened
from memhorizon.records.codec import encode_object
from memhorizon.records.files import load_record
from memhorizon.records.plan import ImageFacts, PlannedPilot, PlanRecord

FILE = "plan.json"
SHOWN = 3  # differences that a message names
IMAGES = ("data.size", "data.grey")  # with them the pixels differ by themselves


def kept_plan(root: Path, config: Config, count: int, digest: str) -> PlanRecord | None:
    """The plan in a folder; None where there is none.

    Args:
        root: the folder.
        config: of the pilots, but for size, length and seed, as it would be now.
        count: of the images, as they are now.
        digest: of their values.

    Raises:
        InputError: if it is one of other images or settings, which are named, or cannot be run on these.
    """
    path = root / FILE
    if not path.is_file():
        return None
    found = _plan_at(path)
    _check_same(root, _differences(found, config, count, digest))
    check_planned(found.pilots, config, count, str(path))
    return found


def _plan_at(path: Path) -> PlanRecord:
    found = load_record(path)
    if not isinstance(found, PlanRecord):
        raise InputError(f"root: expected a plan in {str(path)!r}, got a {type(found).__name__}")
    return found


def _check_same(root: Path, differences: str) -> None:
    if differences:
        raise InputError(
            f"root: {str(root)!r} holds a plan of other images or settings ({differences}); "
            "expected another root"
        )


def has_begun(root: Path) -> bool:
    """Whether a pilot has begun in a folder."""
    return any(root.glob("*/config.json"))


def check_planned(pilots: Sequence[PlannedPilot], config: Config, count: int, where: str) -> None:
    """Refuse pilots that these images cannot give, as of a plan that was edited.

    Raises:
        InputError: naming the pilot.
    """
    for i, pilot in enumerate(pilots):
        name = f"{where}: pilots[{i}]"
        for field in ("n_updates", "seeds", "n_train"):
            check_whole(f"{name}.{field}", getattr(pilot, field), least=1)
        _check_left(name, pilot, config.data.n_holdout, count)


def _check_left(name: str, pilot: PlannedPilot, n_holdout: int, count: int) -> None:
    """Refuse a pilot whose seeds need more images than are left beside those held out."""
    left = count - n_holdout
    if pilot.seeds * pilot.n_train > left:
        raise InputError(
            f"{name}: expected at most {left:,} images for all seeds together ({n_holdout:,} are held out "
            f"of {count:,}), got {pilot.seeds:,} times {pilot.n_train:,}"
        )


def _differences(found: PlanRecord, config: Config, count: int, digest: str) -> str:
    """In what a plan is of other images or settings, in words; empty where in nothing."""
    before = flattened(found.config)
    now = flattened(encode_object(config))
    names = list(differs(now, before))
    told = [f"{name} {before.get(name)!r}, now {now.get(name)!r}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        told.append(f"{len(names) - SHOWN} more")
    told += _about_images(found.facts, names, count, digest)
    return "; ".join(told)


def _about_images(before: ImageFacts, names: Sequence[str], count: int, digest: str) -> list[str]:
    """In what the images are others than before, where these settings differ."""
    if before.n != count:
        return [f"{before.n:,} images, now {count:,}"]
    if before.digest not in ("", digest) and not any(name in names for name in IMAGES):
        return ["pictures have changed since it was made, or their order, which is that of their names"]
    if names == ["data.path"]:
        return ["it resumes where they have their former name"]
    return []
