"""A run on disk: the only file that knows its paths.

    config.json  environment.json  data.json  steps.jsonl  measures.jsonl  snapshots/STEP.safetensors
    samples/STEP.safetensors  state/state.safetensors  done.json  lock

Whole files are written under a temporary name, synced and renamed; the two streams are appended a line at a
time, and a last line that a killed process left unfinished is not read. A reader never sees half of anything.

What was written is known again: the directory's name ends in a hash of config.json, tensors carry a checksum,
the state those of both streams up to its step, done.json those of the whole streams, and data.json the
fingerprint of the items. Whatever does not fit is refused, with what to do.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType

from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, config_of, name_fits, settings_of, to_json
from memhorizon.experiments.locks import BusyError, Hold, held
from memhorizon.experiments.written import WrittenConfig, is_written, written_of
from memhorizon.files.plain import (
    UNFIT,
    Row,
    append_lines,
    as_lines,
    check_path,
    digest,
    is_there,
    parse_json,
    read_lines,
    read_object,
    read_text,
    write_atomically,
)
from memhorizon.files.tensor_files import read_tensors, read_tensors_and_note, write_tensors
from memhorizon.measure.config import MeasureConfig
from memhorizon.records.codec import encode_object

LOCK_TRIES = 30  # tenths of a second: the workers of a killed sweep need a moment to notice and let go
FOLDERS = ("snapshots", "samples", "state")
STREAMS = ("steps.jsonl", "measures.jsonl")
FILES = ("config.json", "environment.json", "data.json", *STREAMS, "done.json", "state/state.safetensors")
AT_A_STEP = re.compile(r"([0-9]+)\.safetensors")
# What `write_atomically` is writing, by the names of today and of older versions.
UNFINISHED = re.compile(r"(\.[0-9a-f]{16}|([0-9]+|state)\.safetensors)\.tmp")
# What may change the last bits of a run that goes on elsewhere; threads are those of the first start.
DECIDES = ("memhorizon", "torch", "numpy", "scipy", "machine", "capability", "device")


@dataclass(frozen=True)
class RunDir:
    """The directory of one run."""

    path: Path

    @classmethod
    def create(cls, root: Path | str, config: Config) -> "RunDir":
        """Make (or find) the directory of `config` under `root`.

        Raises:
            InputError: if a directory of this name holds another configuration, or a damaged one; if none can
                be made.
        """
        if not isinstance(config, Config):
            raise InputError(f"config: expected a Config, got {type(config).__name__}")
        run = cls(check_path("root", root) / config.key)
        run.make_folders()
        if not run._has_config():
            run._write_config(config)
        if to_json(run.config) != to_json(config):
            raise InputError(
                f"root: {run.path} holds another configuration whose short name is the same; "
                "expected another root for this one"
            )
        return run

    @classmethod
    def open(cls, path: Path | str) -> "RunDir":
        """Open an existing run.

        Raises:
            InputError: if there is no run at `path`.
        """
        run = cls(Path(path))
        try:
            found = run._has_config()
        except (OSError, ValueError) as error:
            raise InputError(f"path: cannot read {str(path)!r}: {error}") from error
        if not found:
            raise InputError(f"path: expected a run directory (with a config.json), got {str(path)!r}")
        return run

    def create_written(self, told: WrittenConfig) -> None:
        """Make (or find) the directory of a run whose training is the user's; hold it while this is called.

        Raises:
            InputError: if it holds another run, or none can be made.
        """
        if self._has_config():
            known = self.about
            if not isinstance(known, WrittenConfig) or not known.goes_on_as(told):
                raise InputError(
                    f"path: {self.path} holds another run ({_difference(known, told)}); expected another "
                    "path for this one"
                )
        write_atomically(self.path / "config.json", told.to_json().encode())

    def make_folders(self, argument: str = "root") -> None:
        """Make the folders that are not there.

        Args:
            argument: that the path comes from, for messages.

        Raises:
            InputError: if one cannot be made.
        """
        for folder in FOLDERS:
            path = self.path / folder
            try:
                path.mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                if (
                    isinstance(error, OSError) and error.errno not in UNFIT
                ):  # a full disk is no fault of the path
                    raise
                raise InputError(f"{argument}: cannot make the folder {str(path)!r}: {error}") from error

    def check_files(self) -> None:
        """Refuse a directory that has something else where its files belong, before anything is changed.

        Raises:
            InputError: if there is a folder, a named pipe, a link that leads nowhere.
        """
        for name in FILES:
            is_there(self.path / name)
        for folder in FOLDERS:
            path = self.path / folder
            if os.path.lexists(path) and not path.is_dir():
                raise InputError(f"{path}: expected a folder, got something else")

    def discard(self) -> None:
        """Take the directory away again, if the run never began: nothing is left of a refused one."""
        if (self.path / "environment.json").exists():
            return
        for name in ("config.json", "lock"):
            (self.path / name).unlink(missing_ok=True)
        for folder in (*(self.path / name for name in FOLDERS), self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def config(self) -> Config:
        """The configuration that it was started with.

        Raises:
            InputError: if there is none, it was changed since, or the run was written by `RunWriter`.
        """
        about = self.about
        if isinstance(about, WrittenConfig):
            raise InputError(
                f"run: expected one that memhorizon trained, got one that RunWriter wrote: {self.path}; "
                "its training loop goes on with it and measures it"
            )
        return about

    @property
    def about(self) -> Config | WrittenConfig:
        """The configuration that it was started with, or what `RunWriter` was told.

        Raises:
            InputError: if there is none, or it was changed since.
        """
        path = RunDir.open(self.path).path / "config.json"
        tree = parse_json(read_text(path), f"{path}: configuration")
        if is_written(tree):
            try:
                return written_of(tree)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        if not name_fits(self.path.absolute().name, tree):
            raise InputError(
                f"{path}: expected the configuration that the directory is named after, got a changed one; "
                "restore it, or run the changed one as another run"
            )
        try:
            return config_of(tree)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def measure_config(self) -> MeasureConfig:
        """How its measures were made: as configured, unless they were made again in another way."""
        rows = read_lines(self.path / "measures.jsonl")
        configured = self.about.measure
        return settings_of(rows[0]["settings"]) if rows and "settings" in rows[0] else configured

    @property
    def done(self) -> bool:
        """Whether the run has finished."""
        return os.path.isfile(self.path / "done.json")  # noqa: PTH113  False where one may not look

    def finish(self, summary: Row) -> None:
        """Mark the run as finished."""
        streams = {name: [digest(self._bytes(name))] for name in STREAMS}
        self._write("done.json", summary | {"streams": streams})

    def reopen(self) -> None:
        """Take the mark of a finished run away."""
        (self.path / "done.json").unlink(missing_ok=True)

    def begin(self, environment: Row, data: Row, step: int) -> None:
        """Record where it runs and on what; later starts add in what they differ from the first."""
        if not self.data:
            self._write("data.json", data)
        first = self.environment
        if not first:
            self._write("environment.json", environment)
            return
        keys = [key for key in DECIDES if key in first and first[key] != environment[key]]
        differences = {key: [first[key], environment[key]] for key in keys}
        resumed = first.get("resumed", [])
        last = resumed[-1]["differences"] if resumed else {}
        if differences != last:
            row = {"step": step, "differences": differences}
            self._write("environment.json", first | {"resumed": [*resumed, row]})

    @property
    def environment(self) -> Row:
        """Versions, threads and device of the first start, and what was different later; empty before it.

        Raises:
            InputError: if it is damaged.
        """
        found = self._read("environment.json")
        device = found.get("device", "")
        resumed = found.get("resumed", [])
        whole = isinstance(resumed, list) and all(
            isinstance(row, dict) and isinstance(row.get("differences"), dict) for row in resumed
        )
        if not (whole and isinstance(device, str)):
            raise InputError(
                f"file: {self.path / 'environment.json'} is damaged: expected a device by name and a list "
                f"of later starts, got {str(device)[:60]!r} and {str(resumed)[:60]!r}"
            )
        return found

    @property
    def data(self) -> Row:
        """What the items were, with their fingerprint; empty before the first start and in older runs."""
        return self._read("data.json")

    def check_data(self, facts: Row) -> None:
        """Compare the items with those of the first start.

        Raises:
            InputError: if they are others.
        """
        first = self.data.get("fingerprint")
        if first not in (None, facts["fingerprint"]):
            raise InputError(
                f"data: expected the items that {self.path} began with ({first}), got others from the same "
                f"source ({facts['fingerprint']}); restore the data, or use another root for a run of these"
            )

    def steps(self) -> list[Row]:
        """Rows of the training log: step, loss, seconds."""
        return self._rows("steps.jsonl", {"step": int, "loss": int | float, "seconds": int | float})

    def last_step(self) -> int:
        """Updates logged so far, read from the end of the log; 0 where that is damaged or may not be read."""
        try:
            if not is_there(self.path / "steps.jsonl"):
                return 0
            with (self.path / "steps.jsonl").open("rb") as handle:
                handle.seek(max(0, handle.seek(0, os.SEEK_END) - 4096))
                lines = handle.read().split(b"\n")[:-1]
            return int(json.loads(lines[-1])["step"]) if lines else 0
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return 0

    def seconds(self) -> float:
        """Time spent in it, all its parts together; each part counts from zero."""
        marks = [row["seconds"] for row in self.steps()]
        return sum(now - before if now >= before else now for before, now in pairwise([0.0, *marks]))

    def measures(self) -> list[Row]:
        """Rows of what was measured: step, measure, value and its evidence."""
        return self._rows("measures.jsonl", {"step": int, "measure": str, "value": int | float | None})

    def append_step(self, row: Row) -> None:
        """Add one row to the training log."""
        append_lines(self.path / "steps.jsonl", [row])

    def append_measures(self, rows: Iterable[Row]) -> None:
        """Add the rows of one snapshot."""
        append_lines(self.path / "measures.jsonl", rows)

    def rewrite_measures(self, rows: Iterable[Row], settings: MeasureConfig) -> None:
        """Replace all measures, after measuring the snapshots again with these settings.

        A finished run allows for both contents in between, so that it is whole at any moment.
        """
        content = as_lines([{"settings": encode_object(settings)}, *rows])
        summary = self._read("done.json")
        streams = self._finished_streams()
        before = [digest(self._bytes("measures.jsonl"))]
        after = [digest(content)]
        if streams:
            between = streams | {"measures.jsonl": before + after}
            self._write("done.json", summary | {"streams": between})
        write_atomically(self.path / "measures.jsonl", content)
        if streams:
            self._write("done.json", summary | {"streams": streams | {"measures.jsonl": after}})

    def snapshots(self) -> list[int]:
        """Steps of the snapshots that are on disk."""
        return self._steps_in("snapshots")

    def write_snapshot(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Keep the weights after `step` updates."""
        write_tensors(self.path / "snapshots" / f"{step}.safetensors", tensors, {"step": step})

    def read_snapshot(self, step: int) -> dict[str, Tensor]:
        """Weights after `step` updates.

        Raises:
            InputError: if they are missing or damaged, or those of another step.
        """
        path = self.path / "snapshots" / f"{step}.safetensors"
        tensors, note = read_tensors_and_note(path)
        if note.get("step", step) != step:  # older ones do not say
            raise InputError(
                f"file: {path} holds the weights of step {note['step']}; restore those of {step}"
            )
        return tensors

    def sample_steps(self) -> list[int]:
        """Steps at which generated samples were kept for the eye."""
        return self._steps_in("samples")

    def write_samples(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Keep a few samples with their nearest training items."""
        write_tensors(self.path / "samples" / f"{step}.safetensors", tensors)

    def read_samples(self, step: int) -> dict[str, Tensor]:
        """The samples kept at `step`."""
        return read_tensors(self.path / "samples" / f"{step}.safetensors")

    def write_state(self, tensors: dict[str, Tensor]) -> None:
        """Keep what is needed to go on, and what the streams are at this moment."""
        note = {"streams": self._stream_digests()}
        write_tensors(self.path / "state" / "state.safetensors", tensors, note)

    def read_state(self) -> tuple[dict[str, Tensor], Row] | None:
        """What was kept to go on, with the digests of the streams then; None before the first time.

        Raises:
            InputError: if it is damaged or no file, or was not written by `write_state`.
        """
        path = self.path / "state" / "state.safetensors"
        if not is_there(path):
            return None
        again = f"delete {path} to begin the run again"
        try:
            tensors, note = read_tensors_and_note(path)
        except InputError as error:
            raise InputError(f"{error}; {again}") from error
        streams = note.get("streams")
        if not isinstance(streams, dict) or set(streams) != set(STREAMS):
            raise InputError(f"state: expected what a run has kept, got a changed or older file; {again}")
        return tensors, streams

    def rewind(self, step: int) -> None:
        """Forget everything after `step`: a killed process wrote it, the resumed one will write it again."""
        for name in STREAMS:
            path = self.path / name
            kept = [row for row in read_lines(path) if _step_of(row, path) <= step]
            write_atomically(path, as_lines(kept))
        for folder in (".", *FOLDERS):
            for path in (self.path / folder).iterdir():
                if _is_later(path, step) and path.is_file():
                    path.unlink()

    def lost(self, streams: Row) -> list[str]:
        """Names of the streams that are not what they were when the state was written."""
        now = self._stream_digests()
        return [name for name in STREAMS if now[name] != streams[name]]

    @contextmanager
    def locked(self) -> Iterator[Hold]:
        """Hold the run, so that two processes do not write to it at once; a killed process lets go of it.

        Raises:
            BusyError: if another process holds it.
        """
        with held(self.path, tries=LOCK_TRIES) as hold:
            yield hold

    def _has_config(self) -> bool:
        return is_there(self.path / "config.json")

    def _write_config(self, config: Config) -> None:
        try:
            with self.locked():
                if not self._has_config():
                    write_atomically(self.path / "config.json", to_json(config).encode())
        except BusyError:  # by one that has written it
            if not self._has_config():
                raise

    def _stream_digests(self) -> dict[str, str]:
        """Digests of both streams but for the wall time, which no restart repeats, and the settings."""
        log = [[row["step"], row["loss"]] for row in self.steps()]
        measured = as_lines(self.measures())
        return {"steps.jsonl": digest(json.dumps(log).encode()), "measures.jsonl": digest(measured)}

    def _finished_streams(self) -> Row:
        """Digests that the streams of a finished run may have; nothing in a run that has not finished.

        Raises:
            InputError: if there are none although the run is recent enough to have them.
        """
        path = self.path / "done.json"
        if not is_there(path):
            return {}
        streams = read_object(path).get("streams", {})
        if not isinstance(streams, dict) or not all(isinstance(found, list) for found in streams.values()):
            raise InputError(f"file: {path} is damaged: got streams {streams}")
        if set(streams) != set(STREAMS) and "fingerprint" in self.data:
            raise InputError(
                f"file: {path} is damaged: expected digests of {', '.join(STREAMS)}, got {sorted(streams)}; "
                "restore it, or delete it to finish the run again"
            )
        return streams

    def _steps_in(self, folder: str) -> list[int]:
        """Steps of the files that we wrote there; copies that other programs made are none."""
        names = [p.name.removesuffix(".safetensors") for p in (self.path / folder).glob("*.safetensors")]
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def _read(self, name: str) -> Row:
        path = self.path / name
        return read_object(path) if is_there(path) else {}

    def _write(self, name: str, value: Row) -> None:
        write_atomically(self.path / name, json.dumps(value, indent=1).encode())

    def _bytes(self, name: str) -> bytes:
        path = self.path / name
        return path.read_bytes() if is_there(path) else b""

    def _rows(self, name: str, fields: Mapping[str, type | UnionType]) -> list[Row]:
        """Rows of a stream.

        Raises:
            InputError: if one is damaged, or they are not those that the finished run ended with.
        """
        path = self.path / name
        allowed = self._finished_streams().get(name)
        if allowed is not None and digest(self._bytes(name)) not in allowed:
            again = "; measure its snapshots again" if name == "measures.jsonl" else ""
            raise InputError(
                f"file: {path} is damaged: expected the rows that the finished run ended with, "
                f"got others{again}"
            )
        rows = [row for row in read_lines(path) if "settings" not in row]
        for row in rows:
            _check_row(row, fields, path)
        return rows


def _difference(known: Config | WrittenConfig, told: WrittenConfig) -> str:
    """What differs between two runs of one path, in words."""
    if not isinstance(known, WrittenConfig):
        return "one that memhorizon trained"
    here = known.entries()
    there = told.entries()
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return ", ".join(f"{name}: {here.get(name)!r}, not {there.get(name)!r}" for name in names)


def _is_later(path: Path, step: int) -> bool:
    """Whether a file has a name that only we give: of what was not finished, or of a later step."""
    at = AT_A_STEP.fullmatch(path.name)
    return int(at[1]) > step if at else bool(UNFINISHED.fullmatch(path.name))


def _step_of(row: Row, path: Path) -> int:
    """The step of a row; the settings of all rows belong to none and stay."""
    if "settings" in row:
        return 0
    _check_row(row, {"step": int}, path)
    return row["step"]


def _check_row(row: Row, fields: Mapping[str, type | UnionType], path: Path) -> None:
    for name, kind in fields.items():
        if name not in row or not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise InputError(f"file: {path} is damaged: expected {name}: {kind}, got {str(row)[:100]}")
