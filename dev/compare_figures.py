"""Whether the figures of the committed sweeps show the same numbers as those of an earlier commit.

    python dev/compare_figures.py [COMMIT]

Takes sources and results of that commit (default: the last with records of version 1) into a temporary
folder, lets both versions write `.frame()` of every figure of every sweep, and compares these cell by cell.
Names that changed since are listed below; the labels of hyperparameters are not compared. It needs the
whole history of the repository and takes a minute.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "5948c50"
RENAMED = {"clocks": "timescales", "clock": "timescale", "knob": "hyperparameter"}
SINCE = {"note"}  # columns that there were not
WORDS = {"label", "status", "factor"}  # columns of words: details of a status are notes now

WRITE = """
import json, sys
from pathlib import Path
from memhorizon.figures import registry

def read(path):
    try:
        from memhorizon.records.files import load_record
    except ImportError:
        return json.loads(path.read_text())
    return load_record(path)

found = {}
for path in sorted(Path("results").glob("*.json")):
    if '"kind": "sweep"' in path.read_text()[:200]:
        found[path.stem] = {name: list(picture.frame()) for name, picture in registry.of(read(path)).items()}
Path(sys.argv[1]).write_text(json.dumps(found))
"""

Frame = list[dict[str, object]]


def frames_of(root: Path, target: Path) -> dict[str, dict[str, Frame]]:
    """The frames of all figures of all sweeps, by the sources and results below a folder."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", WRITE, str(target)], cwd=root, env=environment, check=True)
    return json.loads(target.read_text())


def checked_out(commit: str, folder: Path) -> Path:
    """Sources and results of a commit."""
    command = ["git", "-C", str(ROOT), "archive", commit, "src", "results"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder)
    return folder


def renamed(frame: Frame) -> Frame:
    """A frame with the names of today."""
    return [{RENAMED.get(name, name): cell for name, cell in row.items()} for row in frame]


def differences(before: Frame, after: Frame) -> list[str]:
    """Cells that differ; a number that is not known is null, NaN or infinite."""
    if len(before) != len(after):
        return [f"{len(before)} rows before, {len(after)} after"]
    found = []
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        for name in sorted((set(old) | set(new)) - SINCE - WORDS):
            if not same(old.get(name), new.get(name)):
                found.append(f"row {i}, {name}: {old.get(name)} before, {new.get(name)} after")
    return found


def same(old: object, new: object) -> bool:
    """Whether two cells say the same."""
    unknown = (None, float("inf"), float("-inf"))
    return old == new or (old in unknown or old != old) and (new in unknown or new != new)


def main(commit: str) -> int:
    """Print what differs; 1 where something does."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        before = frames_of(checked_out(commit, place / "before"), place / "before.json")
        after = frames_of(ROOT, place / "after.json")
    failed = before.keys() ^ after.keys()
    lines = [f"{name}: in one of them only" for name in sorted(failed)]
    cells = 0
    for name in sorted(before.keys() & after.keys()):
        old = {RENAMED.get(label, label): renamed(frame) for label, frame in before[name].items()}
        for label in sorted(old.keys() | after[name].keys()):
            cells += sum(len(row) for row in after[name].get(label, []))
            shown = differences(old.get(label, []), after[name].get(label, []))
            lines += [f"{name}, {label}: {line}" for line in shown[:3]]
    print("\n".join([*lines, f"{len(after)} sweeps, {cells:,} cells, {len(lines)} differences"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else BEFORE))
