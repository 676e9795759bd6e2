"""Rewrite committed records of version 1 as version 2, and show for each that no number changed.

    python dev/migrate_records.py [results]

The comparison knows nothing of the package: both files are read as plain JSON whose numbers are texts, digit
by digit, and each number must be found again at the place that `NEW_PLACE` and the lists below say. What is
dropped (the length of a network's table, which was that of the schedule) and what is added (copies, defaults)
is counted.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from memhorizon.records.files import Record, load_record, write_record
from memhorizon.records.table import TableRecord

BENCHMARK_SETTINGS = ("nominal", "shape", "goal", "models", "threads", "load")
BENCHMARK_ENVIRONMENT = ("python", "numpy", "scipy", "machine")
COPIED = ("command", "environment", "rows", "kind", "cpu_seconds")

# a place in version 1 and the one in version 2, applied in this order
NEW_PLACE = (
    (r"(/config|/configs/\d+)/train/steps$", r"\1/train/n_updates"),
    (r"(/config|/configs/\d+)/train/t$", r"\1/train/diffusion_time"),
    (r"(/config|/configs/\d+)/schedule/steps$", r"\1/schedule/n_levels"),
    (r"(/config|/configs/\d+)/measure/times/", r"\1/measure/diffusion_times/"),
    (r"(/config|/configs/\d+)/measure/sampler_steps$", r"\1/measure/sampler/n_solver_steps"),
    (r"^(/runs/\d+)/(width|dropout|lr|momentum|weight_decay|batch_size|ema)$", r"\1/factors/\2"),
    (r"^(/runs/\d+)/times/", r"\1/timescales/"),
    (r"^/wall_seconds$", "/seconds"),
    (r"^/machine/", "/environment/"),
    (r"half_time~clock", "half_time~timescale"),
)
DROPPED = re.compile(r"(/config|/configs/\d+)/model/steps$")
ADDED = re.compile(
    r"^/version$|^/runs/\d+/n_updates$|/data/(duplicates/)?\w+$|/contrasts/\d+/ratio/confidence$"
    r"|/(laws/[^/]+|contrasts/\d+)/left_out$|^/rows/\d+/seed$"
)


def numbers(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Each number of a JSON value with its place, as it is written."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from numbers(entry, f"{place}/{str(name).replace('/', '~')}")
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from numbers(entry, f"{place}/{i}")
    elif isinstance(value, Number):
        yield place, value.text


class Number:
    """A number as its text."""

    def __init__(self, text: str) -> None:
        self.text = text


def numbers_of(text: str) -> dict[str, str]:
    """All numbers of a file by their place."""
    return dict(numbers(json.loads(text, parse_float=Number, parse_int=Number)))


def new_place(place: str, images: Mapping[str, int]) -> str:
    """Where version 2 has what version 1 has at a place."""
    for pattern, replacement in NEW_PLACE:
        place = re.sub(pattern, replacement, place)
    found = re.match(r"^/seeds/(\d+)/images/(\d+)/(.*)", place)  # first_digits: a row for each image
    if found:
        return f"/rows/{images[found[1]] + int(found[2])}/{found[3]}"
    return re.sub(r"^/seeds/", "/summary/seeds/", place)


def compare(before: str, after: str, *, benchmark: bool) -> str:
    """One line on the numbers of a file; ends the program where one changed."""
    old = numbers_of(before)
    new = numbers_of(after)
    images = first_images(json.loads(before))
    dropped = {place for place in old if DROPPED.search(place)}
    for place in dropped:
        twin = old[place.replace("/model/steps", "/schedule/steps")]
        if old[place] != twin:
            sys.exit(f"{place}: {old[place]} is not that of the schedule, {twin}")
    kept = {place: text for place, text in old.items() if place not in dropped}
    if benchmark:  # their entries are arranged anew: the numbers as a bag
        changed = list((Counter(kept.values()) - Counter(new.values())).elements())
        added = [text for place, text in new.items() if place != "/version"]
        extra = [] if len(added) == len(kept) else [f"{len(added)} numbers for {len(kept)}"]
    else:
        moved = {new_place(place, images): text for place, text in kept.items()}
        changed = [place for place, text in moved.items() if new.get(place) != text]
        extra = [place for place in new if place not in moved and not ADDED.search(place)]
    if changed or extra:
        sys.exit(f"changed: {changed[:5]}, without origin: {extra[:5]}")
    added_count = len(new) - len(kept)
    return f"{len(kept):,} numbers as before, {len(dropped)} dropped, {added_count} copies and defaults added"


def first_images(record: Mapping[str, object]) -> dict[str, int]:
    """For each seed of first_digits, how many images come before its own."""
    seeds = record.get("seeds")
    found: dict[str, int] = {}
    before = 0
    for i, seed in enumerate(seeds if isinstance(seeds, list) else []):
        found[str(i)] = before
        before += len(seed["images"])
    return found


def benchmark_of(path: Path) -> TableRecord:
    """The record of a benchmark: its settings, what it ran on, and all else as its summary."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    settings = {name: tree[name] for name in BENCHMARK_SETTINGS if name in tree and path.stem != "speed"}
    if path.stem == "speed":
        settings = {name: tree[name] for name in ("threads", "load")}
    environment = {name: tree[name] for name in BENCHMARK_ENVIRONMENT if name in tree}
    used = {*settings, *environment, *COPIED}
    return TableRecord(
        name=path.stem,
        command=tree["command"],
        columns={},
        settings=settings,
        summary={name: entry for name, entry in tree.items() if name not in used},
        rows=tuple(tree.get("rows", ())),
        environment=tree.get("environment", environment),
        cpu_seconds=tree.get("cpu_seconds"),
    )


def migrate(path: Path, renewed: dict[str, str]) -> str:
    """Rewrite one file; says what became of its numbers.

    Args:
        path: of the file.
        renewed: from the hash of each file before to the one after, for the tables that name what they read.
    """
    before = path.read_text(encoding="utf-8")
    tree = json.loads(before)
    if tree.get("version") == 2:
        return "is of version 2"
    benchmark = tree.get("kind") == "coverage" or "name" not in tree
    record: Record = benchmark_of(path) if benchmark else load_record(path)
    partial = path.with_suffix(".migrated")
    write_record(record, partial)
    after = partial.read_text(encoding="utf-8")
    answer = compare(before, after, benchmark=benchmark)
    for old, new in renewed.items():
        after = after.replace(old, new)
    partial.write_text(after, encoding="utf-8")
    partial.replace(path)
    renewed[digest(before)] = digest(after)
    return answer


def digest(text: str) -> str:
    """The hash by which a table names a record that it was made from."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_table(path: Path) -> bool:
    """Whether it may have been made from others, which are rewritten before it."""
    return json.loads(path.read_text(encoding="utf-8")).get("kind") != "sweep"


def main() -> None:
    """Rewrite all records of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"))
    paths = sorted(parser.parse_args().results.rglob("*.json"))
    renewed: dict[str, str] = {}
    for path in sorted(paths, key=is_table):
        print(f"{path}: {migrate(path, renewed)}")


if __name__ == "__main__":
    main()
