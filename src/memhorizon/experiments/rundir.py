"""A run on disk: the only file that knows its paths.

    config.json  environment.json  steps.jsonl  measures.jsonl  snapshots/STEP.safetensors
    samples/STEP.safetensors  state/state.safetensors  done.json

Whole files are written under a temporary name, synced and renamed; the two streams are appended a line at a
time, and a last line that a killed process left unfinished is not read. A reader never sees half of anything.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.results import InputError

Row = dict[str, Any]
LOCK_TRIES = 30  # tenths of a second: the workers of a killed sweep need a moment to notice and let go


@dataclass(frozen=True)
class RunDir:
    """The directory of one run."""

    path: Path

    @classmethod
    def create(cls, root: Path, config: Config) -> "RunDir":
        """Make (or find) the directory of `config` under `root`."""
        run = cls(root / config.key)
        for folder in ("snapshots", "samples", "state"):
            (run.path / folder).mkdir(parents=True, exist_ok=True)
        if not (run.path / "config.json").exists():
            write_atomically(run.path / "config.json", to_json(config).encode())
        return run

    @classmethod
    def open(cls, path: Path | str) -> "RunDir":
        """Open an existing run.

        Raises:
            InputError: if there is no run at `path`.
        """
        run = cls(Path(path))
        if not (run.path / "config.json").is_file():
            raise InputError(f"path: expected a run directory (with a config.json), got {str(path)!r}")
        return run

    @property
    def config(self) -> Config:
        """The configuration that it was started with."""
        return from_json((self.path / "config.json").read_text())

    @property
    def done(self) -> bool:
        """Whether the run has finished."""
        return (self.path / "done.json").is_file()

    def finish(self, summary: Row) -> None:
        """Mark the run as finished."""
        write_atomically(self.path / "done.json", json.dumps(summary, indent=1).encode())

    def write_environment(self, environment: Row) -> None:
        """Record where it ran; kept from the first start, for a resumed run must run alike."""
        if not (self.path / "environment.json").exists():
            write_atomically(self.path / "environment.json", json.dumps(environment, indent=1).encode())

    @property
    def environment(self) -> Row:
        """Versions, threads and device of the first start; empty before it."""
        path = self.path / "environment.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def steps(self) -> list[Row]:
        """Rows of the training log: step, loss, seconds."""
        return read_lines(self.path / "steps.jsonl")

    def last_step(self) -> int:
        """Updates logged so far, read from the end of the log."""
        path = self.path / "steps.jsonl"
        if not path.is_file():
            return 0
        with path.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - 4096))
            lines = handle.read().split(b"\n")[:-1]
        return json.loads(lines[-1])["step"] if lines else 0

    def seconds(self) -> float:
        """Time spent in it, all its parts together; each part counts from zero."""
        marks = [row["seconds"] for row in self.steps()]
        return sum(now - before if now >= before else now for before, now in pairwise([0.0, *marks]))

    def measures(self) -> list[Row]:
        """Rows of what was measured: step, measure, value and its evidence."""
        return read_lines(self.path / "measures.jsonl")

    def append_step(self, row: Row) -> None:
        """Add one row to the training log."""
        append_lines(self.path / "steps.jsonl", [row])

    def append_measures(self, rows: Iterable[Row]) -> None:
        """Add the rows of one snapshot."""
        append_lines(self.path / "measures.jsonl", rows)

    def rewrite_measures(self, rows: Iterable[Row]) -> None:
        """Replace all measures, after measuring the snapshots again."""
        write_atomically(self.path / "measures.jsonl", "".join(map(_line, rows)).encode())

    def snapshots(self) -> list[int]:
        """Steps of the snapshots that are on disk."""
        return sorted(int(p.stem) for p in (self.path / "snapshots").glob("*.safetensors"))

    def write_snapshot(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Keep the weights after `step` updates."""
        write_tensors(self.path / "snapshots" / f"{step}.safetensors", tensors)

    def read_snapshot(self, step: int) -> dict[str, Tensor]:
        """Weights after `step` updates."""
        return read_tensors(self.path / "snapshots" / f"{step}.safetensors")

    def sample_steps(self) -> list[int]:
        """Steps at which generated samples were kept for the eye."""
        return sorted(int(p.stem) for p in (self.path / "samples").glob("*.safetensors"))

    def write_samples(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Keep a few samples with their nearest training items."""
        write_tensors(self.path / "samples" / f"{step}.safetensors", tensors)

    def read_samples(self, step: int) -> dict[str, Tensor]:
        """The samples kept at `step`."""
        return read_tensors(self.path / "samples" / f"{step}.safetensors")

    def write_state(self, tensors: dict[str, Tensor]) -> None:
        """Keep what is needed to go on."""
        write_tensors(self.path / "state" / "state.safetensors", tensors)

    def read_state(self) -> dict[str, Tensor] | None:
        """What was kept to go on, None before the first time."""
        path = self.path / "state" / "state.safetensors"
        return read_tensors(path) if path.is_file() else None

    def rewind(self, step: int) -> None:
        """Forget everything after `step`: a killed process wrote it, the resumed one will write it again."""
        for name in ("steps.jsonl", "measures.jsonl"):
            path = self.path / name
            kept = "".join(_line(row) for row in read_lines(path) if row["step"] <= step)
            write_atomically(path, kept.encode())
        for folder in ("snapshots", "samples", "state"):
            for path in (self.path / folder).iterdir():
                late = path.stem.isdigit() and int(path.stem) > step
                if late or path.name.endswith(".tmp"):
                    path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run, so that two processes do not write to it at once; a killed process lets go of it.

        Raises:
            InputError: if another process holds it.
        """
        with (self.path / "lock").open("w") as handle:
            for patience in range(LOCK_TRIES, -1, -1):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if not patience:
                        raise InputError(f"run: {self.path} is being written by another process") from error
                    time.sleep(0.1)
            yield


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file: it is there complete, or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        with safe_open(path, "pt"):
            pass
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"file: cannot read {path}: {error}") from error


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def append_lines(path: Path, rows: Iterable[Row]) -> None:
    """Append rows; they are on the disk when it returns."""
    with path.open("a") as handle:
        handle.write("".join(map(_line, rows)))
        handle.flush()
        os.fsync(handle.fileno())


def read_lines(path: Path) -> list[Row]:
    """Read the complete lines of a stream; a last line without its end is not one.

    Raises:
        InputError: if a complete line is no JSON object.
    """
    if not path.is_file():
        return []
    complete = path.read_text().split("\n")[:-1]
    try:
        return [json.loads(line) for line in complete]
    except json.JSONDecodeError as error:
        raise InputError(f"file: {path} is damaged: {error}") from error
