"""What a run will need of memory and disk: a run of two updates, in a process of its own, is looked at.

It has the data, the network, the batch and the samples of the run itself, and takes one snapshot of as many
samples after fewer solver steps, which changes no size. So the peak of its memory is that of the run. Its
files are those of the run but for their number: a run keeps the weights, a few samples and some rows for each
snapshot, and a row for every so many updates.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import torch

from memhorizon.datasets.config import DataConfig
from memhorizon.devices import device_of
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.experiments.executors.base import reason
from memhorizon.experiments.run import LOG_ROWS, execute
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import parse_json
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

UPDATES = 2
_LEAST = Config(  # a run that takes no time, but for what is loaded at the first time
    data=DataConfig(name="mixture", n_train=4, n_holdout=8, dim=2),
    model=MLPConfig(width=4, blocks=1),
    train=TrainConfig(n_updates=1, batch_size=4),
    measure=MeasureConfig(snapshots=1, first=1, n_samples=8, sampler=SamplerConfig(n_solver_steps=2)),
)
SOLVER_STEPS = 2
# nothing is imported from the current folder, which `-c` puts first as an empty path
_LOOK = f"""
import sys
sys.path[:] = [place for place in sys.path if place]
from {__name__} import _serve
_serve(sys.stdin, sys.stdout, sys.argv[1])
"""
_PER_SNAPSHOT = ("snapshots", "samples", "measures.jsonl")  # of a run, what grows with them


@dataclass(frozen=True)
class Footprint:
    """What a run needs beside the time of its parts.

    Attributes:
        start: seconds of its process until what a run uses at the first time is loaded.
        memory: bytes at its peak, with Python and all packages; 0 on Windows, which does not tell.
        device_memory: bytes that it allocates of a GPU at its peak; 0 without one.
        disk: bytes of all its files in the end.
    """

    start: float
    memory: int
    device_memory: int
    disk: int


def footprints(
    configs: Sequence[Config], *, device: str | torch.device | None = None
) -> Iterator[Footprint | InputError]:
    """Look at each run, one after the other; what needs the same is looked at once.

    A run that cannot be done gives its error in place of its footprint, as it will when it begins.

    Args:
        configs: the runs.
        device: where they will compute; None for the default device.

    Raises:
        InputError: if there is no such device.
    """
    known: dict[Config, _Seen | InputError] = {}
    with _looker(str(device_of(device))) as looker:
        for config in configs:
            trial = _trial(config)
            if trial not in known:
                known[trial] = _asked(looker, trial)
            seen = known[trial]
            yield seen if isinstance(seen, InputError) else seen.of(config)


def _trial(config: Config) -> Config:
    """The run of two updates; what changes no size is the same for all."""
    steps = min(SOLVER_STEPS, config.measure.sampler.n_solver_steps)
    sampler = replace(config.measure.sampler, n_solver_steps=steps)
    measure = replace(config.measure, snapshots=1, first=UPDATES, repeats=1, sampler=sampler)
    optimizer = replace(config.optimizer, lr=1e-6)
    data = replace(config.data, subset=0)
    train = replace(config.train, n_updates=UPDATES)
    return replace(config, seed=0, data=data, optimizer=optimizer, train=train, measure=measure)


@dataclass(frozen=True)
class _Seen:
    """What was seen of a run of two updates.

    Attributes:
        start: as for `Footprint`.
        memory: likewise.
        device_memory: likewise.
        files: bytes of each file by its place in the directory.
    """

    start: float
    memory: int
    device_memory: int
    files: Mapping[str, int]

    def of(self, config: Config) -> Footprint:
        """What a run of as many updates as it has will need."""
        updates = config.train.n_updates
        snapshots = len(config.measure.marks(updates))
        rows = math.ceil(updates / math.ceil(updates / LOG_ROWS)) + snapshots
        return Footprint(self.start, self.memory, self.device_memory, self._disk(rows, snapshots))

    def _disk(self, rows: int, snapshots: int) -> int:
        """Bytes of all files after so many rows of the log and snapshots."""
        disk = 0.0
        for name, size in self.files.items():
            disk += _grown(name, size, rows, snapshots)
        return round(disk)


def _grown(name: str, size: int, rows: int, snapshots: int) -> float:
    """Bytes of a file of the trial after so many rows of the log and snapshots."""
    if name == "steps.jsonl":
        return size * (rows / UPDATES)
    return float(size * (snapshots if name.split("/")[0] in _PER_SNAPSHOT else 1))


# --- the process that looks ---


@contextmanager
def _looker(device: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that does trials, one thread each, and is ended with the last one."""
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _LOOK, device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | one,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _asked(looker: "subprocess.Popen[str]", trial: Config) -> _Seen | InputError:
    """What the process sees of a run."""
    answer = _answer(looker, json.dumps(to_json(trial)))
    if not answer:  # it was killed
        return InputError("memory: expected room for a run of two updates, got a process that was ended")
    found = parse_json(answer, "footprint")
    if isinstance(found, str):
        return InputError(found)
    assert isinstance(found, dict)
    return _Seen(**found)


def _answer(looker: "subprocess.Popen[str]", question: str) -> str:
    """The line that the process answers with; empty where it has ended."""
    assert looker.stdin is not None
    assert looker.stdout is not None
    try:
        looker.stdin.write(question + "\n")
        looker.stdin.flush()
        return looker.stdout.readline()
    except OSError:
        return ""


def _serve(questions: IO[str], answers: IO[str], device: str) -> None:
    """Look at the runs of which the configurations come, a line each, and answer with a line."""
    before = time.process_time()
    _looked_at(_LEAST, device, 0.0)
    start = time.process_time() - before  # others may compute meanwhile
    for line in questions:
        try:
            found: object = asdict(_looked_at(from_json(json.loads(line)), device, start))
        except (InputError, OSError, MemoryError, RuntimeError) as error:
            found = reason(error)
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _looked_at(trial: Config, device: str, start: float) -> _Seen:
    """Do a trial in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        _forget_peaks()
        run = RunDir.create(Path(folder), trial)
        for _ in execute(run, device=device):
            pass
        files = _sizes_in(run.path)
    return _Seen(start, _peak(), _device_peak(), files)


def _sizes_in(folder: Path) -> dict[str, int]:
    """Bytes of the files in a folder, by their paths in it."""
    places = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in places}


def _forget_peaks() -> None:
    """Begin to look for the peak of the memory anew, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    """Bytes of memory that this process had at its peak."""
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    try:
        import resource  # not on Windows
    except ModuleNotFoundError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _device_peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
