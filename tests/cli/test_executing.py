"""Who does the runs, by flags; and what `watch` shows of the table of rows."""

import pytest

from memhorizon.cli import main
from memhorizon.cli.executing import ExecutorFlags
from memhorizon.cli.following import announce
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Local
from memhorizon.experiments.executors.table import fail, folder_of, queue, rows_in
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.training import TrainConfig

TINY = (
    *("--data.name", "gaussian", "--data.dim", "2", "--data.n-holdout", "0", "--train.n-updates", "4"),
    *("--train.batch-size", "4", "--measure.snapshots", "1", "--measure.first", "2"),
    *("--measure.n-samples", "0", "--measure.repeats", "1", "--quiet"),
)
MLP = ("model:mlp-config", "--model.width", "8", "--model.blocks", "1")


def test_flags_make_the_executor_and_others_are_refused_before_anything_begins(tmp_path, capsys):
    assert ExecutorFlags().build() is None
    assert ExecutorFlags(processes=2).build() == Local(2)
    with pytest.raises(InputError, match="sbatch: expected NAME=VALUE"):
        ExecutorFlags(executor="slurm", sbatch=("account",)).build()
    root = tmp_path / "runs"
    asked = ("sweep", "--n-train", "4", "8", "--root", str(root), "--partition", "gpu", *TINY, *MLP)
    assert main(asked) == 2
    assert "partition: expected an option of local" in capsys.readouterr().err
    assert not root.exists()


def test_as_many_runs_are_announced_at_once_as_share_the_devices(tmp_path, monkeypatch, capsys):
    """One process on the one CUDA device, however many cores there are."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    base = Config(
        data=DataConfig(name="gaussian", dim=2, n_holdout=0),
        model=MLPConfig(width=8, blocks=1),
        train=TrainConfig(n_updates=4, batch_size=4),
        measure=MeasureConfig(snapshots=1, first=2, n_samples=0, repeats=1),
    )
    announce(grid(base, seed=range(3)), tmp_path, "cpu", Local(per_gpu=1))
    assert ", 1 at once on the CPU" in capsys.readouterr().err


def test_a_sweep_by_another_executor_and_its_table(tmp_path, capsys):
    root = tmp_path / "runs"
    asked = ("sweep", "--n-train", "4", "8", "--root", str(root), "--executor", "inline", *TINY, *MLP)
    assert main(asked) == 0
    rows = rows_in(root)
    assert [row.state for row in rows.values()] == ["done", "done"]
    capsys.readouterr()
    (root / next(iter(rows)) / "done.json").unlink()
    fail(root / next(iter(rows)), "it was killed\ntwice")
    assert main(("watch", str(root), "--once")) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(": failed: it was killed twice")
    assert ": done" in second


def test_watch_shows_the_parts_of_a_recipe(tmp_path, capsys):
    for name in ("one", "two"):
        queue(tmp_path / name)
    fail(tmp_path / "two", "no")
    (folder_of(tmp_path / "one") / "row.json").write_text(
        '{"state": "running", "reason": "", "attempts":'
        ' [{"host": "a", "pid": 1, "since": "", "ended": "", "until": ""}]}'
    )
    assert main(("watch", str(tmp_path), "--once")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one: lost, the same command continues it",
        "two: failed: no",
    ]
