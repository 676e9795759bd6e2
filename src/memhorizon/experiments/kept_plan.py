"""A plan that is there already: is it one of these images and settings, and can it be run?"""

from collections.abc import Sequence
from pathlib import Path

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.comparable import differs
from memhorizon.experiments.config import Config, flattened
from memhorizon.records.codec import encode_object
from memhorizon.records.files import load_record
from memhorizon.records.plan import PlannedPilot, PlanRecord

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
    found = load_record(path)
    if not isinstance(found, PlanRecord):
        raise InputError(f"root: expected a plan in {str(path)!r}, got a {type(found).__name__}")
    if differences := _differences(found, config, count, digest):
        raise InputError(
            f"root: {str(root)!r} holds a plan of other images or settings ({differences}); "
            "expected another root"
        )
    check_planned(found.pilots, config, count, str(path))
    return found


def has_begun(root: Path) -> bool:
    """Whether a pilot has begun in a folder."""
    return any(root.glob("*/config.json"))


def check_planned(pilots: Sequence[PlannedPilot], config: Config, count: int, where: str) -> None:
    """Refuse pilots that these images cannot give, as of a plan that was edited.

    Raises:
        InputError: naming the pilot.
    """
    left = count - config.data.n_holdout
    for i, pilot in enumerate(pilots):
        name = f"{where}: pilots[{i}]"
        check_whole(f"{name}.n_updates", pilot.n_updates, least=1)
        check_whole(f"{name}.seeds", pilot.seeds, least=1)
        check_whole(f"{name}.n_train", pilot.n_train, least=1)
        if pilot.seeds * pilot.n_train > left:
            held = f"{config.data.n_holdout:,} are held out"
            raise InputError(
                f"{name}: expected at most {left:,} images for all seeds together ({held} of {count:,}), "
                f"got {pilot.seeds:,} times {pilot.n_train:,}"
            )


def _differences(found: PlanRecord, config: Config, count: int, digest: str) -> str:
    """In what a plan is of other images or settings, in words; empty where in nothing."""
    before = flattened(found.config)
    now = flattened(encode_object(config))
    names = list(differs(now, before))
    told = [f"{name} {before.get(name)!r}, now {now.get(name)!r}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        told.append(f"{len(names) - SHOWN} more")
    if found.facts.n != count:
        told.append(f"{found.facts.n:,} images, now {count:,}")
    elif found.facts.digest not in ("", digest) and not any(name in names for name in IMAGES):
        told.append("pictures have changed since it was made, or their order, which is that of their names")
    elif names == ["data.path"]:
        told.append("it resumes where they have their former name")
    return "; ".join(told)
