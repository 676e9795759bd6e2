"""What a run needs of memory and disk: that of the run itself, which is done beside."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from memhorizon.datasets.config import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments import footprint as module
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.footprint import Footprint, footprints
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

SMALL = Config(
    data=DataConfig(name="mixture", n_train=300, n_holdout=100, dim=30),
    model=MLPConfig(width=64, blocks=2),
    train=TrainConfig(n_updates=600, batch_size=32),
    measure=MeasureConfig(
        snapshots=7, first=3, repeats=1, n_samples=200, sampler=SamplerConfig(n_solver_steps=12)
    ),
)
LARGE = replace(
    SMALL,
    model=MLPConfig(width=500, blocks=2),
    train=TrainConfig(n_updates=4, batch_size=32),
    measure=replace(SMALL.measure, n_samples=0),
)
BAD = replace(SMALL, data=DataConfig(name="digits", n_train=5000))
# whole runs in one process, from which a module that Windows lacks is kept
RUN = """
import json, sys
sys.modules["resource"] = None
from memhorizon.experiments import footprint
from memhorizon.experiments.config import from_json
from memhorizon.experiments.run import run
for line in sys.stdin:
    made = run(from_json(json.loads(line)), root=sys.argv[1], device="cpu")
    peak = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    size = sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())
    print(json.dumps([peak, size]))
"""


def measured(configs, root):
    """Peaks and files of whole runs; peaks are those of the process, so each must need more than the last."""
    command = [sys.executable, "-c", RUN, str(root)]
    lines = "\n".join(json.dumps(to_json(config)) for config in configs)
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Unlike runs, looked at one after the other in a folder with a false torch; the last needs less."""
    folder = tmp_path_factory.mktemp("misleading")
    (folder / "torch.py").write_text("raise SystemExit('from the current folder')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return list(footprints([LARGE, BAD, SMALL], device="cpu"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere peaks cannot be forgotten between runs")
def test_memory_and_disk_are_those_of_the_run(seen, tmp_path):
    truth = measured([SMALL, LARGE], tmp_path)
    assert truth[1][0] > 1.02 * truth[0][0]  # else the second peak may be that of the first
    for found, (memory, disk) in zip((seen[2], seen[0]), truth, strict=True):
        assert found.memory == pytest.approx(memory, rel=0.25)
        assert found.disk == pytest.approx(disk, rel=0.1)
        assert found.device_memory == 0


def test_nothing_is_taken_from_the_current_folder(seen):
    assert isinstance(seen[0], Footprint)


def test_a_run_that_cannot_be_done_does_not_keep_the_others_from_being_looked_at(seen):
    assert isinstance(seen[1], InputError)
    assert "5000" in str(seen[1])
    assert isinstance(seen[2], Footprint)


def test_what_needs_the_same_is_looked_at_once(monkeypatch):
    asked = []

    def seen(looker, trial):
        asked.append(trial)
        return module._Seen(
            2.0, 1000, 0, {"state/state.safetensors": 10, "snapshots/2.safetensors": 4, "steps.jsonl": 8}
        )

    monkeypatch.setattr(module, "_asked", seen)
    alike = [SMALL, replace(SMALL, seed=3), replace(SMALL, train=TrainConfig(n_updates=10, batch_size=32))]
    found = list(footprints([*alike, replace(SMALL, model=MLPConfig(width=8))], device="cpu"))
    assert len(asked) == 2
    # a state, 7 snapshots and 4 bytes for each of 300 rows of 2 updates and those of the snapshots
    assert found[0] == found[1] == Footprint(2.0, 1000, 0, 10 + 4 * 7 + 4 * (300 + 7))
    # marks 3, ..., 10, of which 6 differ
    assert found[2].disk == 10 + 4 * 6 + 4 * (10 + 6)


def test_a_process_that_was_ended_is_said():
    with module._looker("cpu") as looker:
        looker.kill()
        looker.wait()
        found = module._asked(looker, SMALL)
    assert isinstance(found, InputError)
    assert "memory" in str(found)
