"""What a run needs of memory and disk: that of the run itself, which is done beside."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from memhorizon.datasets.config import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments import footprint as module
from memhorizon.experiments.config import Config, MeasureConfig, to_json
from memhorizon.experiments.footprint import Footprint, footprints
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

SMALL = Config(
    data=DataConfig(name="mixture", n_train=300, n_holdout=100, dim=30),
    model=MLPConfig(width=64, blocks=2),
    train=TrainConfig(n_updates=900, batch_size=32),
    measure=MeasureConfig(
        snapshots=7, first=3, repeats=1, n_samples=200, sampler=SamplerConfig(n_solver_steps=12)
    ),
)
RUN = """
import json, sys
from pathlib import Path
from memhorizon.experiments.config import from_json
from memhorizon.experiments.run import run
made = run(from_json(sys.stdin.read()), root=sys.argv[1], device="cpu")
peak = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([peak, sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())]))
"""


def measured(config, root):
    """Peak and files of the whole run, in a process of its own."""
    command = [sys.executable, "-c", RUN, str(root)]
    answer = subprocess.run(command, input=to_json(config), capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere peaks cannot be forgotten between runs")
def test_memory_and_disk_are_those_of_the_run(tmp_path):
    """Two unlike runs, looked at one after the other; the second needs less of both."""
    large = replace(
        SMALL, model=MLPConfig(width=500, blocks=2), train=TrainConfig(n_updates=4, batch_size=32)
    )
    large = replace(large, measure=replace(SMALL.measure, n_samples=0))
    for config, found in zip((large, SMALL), footprints([large, SMALL], device="cpu"), strict=True):
        memory, disk = measured(config, tmp_path)
        assert found.memory == pytest.approx(memory, rel=0.25)
        assert found.disk == pytest.approx(disk, rel=0.1)
        assert found.device_memory == 0


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
    # a state, 7 snapshots and 4 bytes for each of 300 rows of 3 updates and those of the snapshots
    assert found[0] == found[1] == Footprint(2.0, 1000, 0, 10 + 4 * 7 + 4 * (300 + 7))
    # marks 3, ..., 10, of which 6 differ
    assert found[2].disk == 10 + 4 * 6 + 4 * (10 + 6)


def test_a_run_that_cannot_be_done_does_not_keep_the_others_from_being_looked_at():
    bad = replace(SMALL, data=DataConfig(name="digits", n_train=5000))
    found = list(footprints([bad, replace(SMALL, model=MLPConfig(width=8))], device="cpu"))
    assert isinstance(found[0], InputError)
    assert "5000" in str(found[0])
    assert isinstance(found[1], Footprint)


def test_a_process_that_was_ended_is_said():
    with module._looker("cpu") as looker:
        looker.kill()
        looker.wait()
        found = module._asked(looker, SMALL)
    assert isinstance(found, InputError)
    assert "memory" in str(found)


def test_nothing_is_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torch.py").write_text("raise SystemExit('from the current folder')")
    (found,) = footprints([replace(SMALL, train=TrainConfig(n_updates=4, batch_size=32))], device="cpu")
    assert isinstance(found, Footprint)


def test_it_is_imported_without_what_windows_lacks():
    code = "import sys; sys.modules['resource'] = None; import memhorizon.experiments.footprint"
    subprocess.run([sys.executable, "-c", code], check=True)
