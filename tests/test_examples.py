"""The examples run, are short, and do what they say."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import memhorizon as mh

FOLDER = Path(__file__).resolve().parents[1] / "examples"
# of a monitor: looks that cost little, and a certificate that few samples give
QUICK = {
    "budget": None,
    "target": 0.3,
    "sampler": mh.SamplerConfig("ddim", 2),
    "plan": mh.LookPlan(first=4, ratio=2.0, n_samples=2, n_probe=8),
}


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_examples_are_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert lengths
    assert max(lengths.values()) <= 60


def test_copies_are_found_in_files(example, tmp_path, capsys):
    rng = np.random.default_rng(0)
    train, fresh = rng.random((40, 1, 8, 8), dtype=np.float32), rng.random((17, 1, 8, 8), dtype=np.float32)
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "samples.npy", np.concatenate([train[:3], fresh]))
    paths = [str(tmp_path / name) for name in ("samples.npy", "train.npy")]
    found = example("copies_in_a_folder").main(*paths, paths[1])
    assert (found.count, found.total) == (3, 20)
    assert "ratio 0.000" in capsys.readouterr().out


def test_a_folder_is_audited(example, tmp_path, monkeypatch, capsys):
    """Digits: 20 of the 30 copies are as they are, 10 are flipped, which the pixels do not show."""
    monkeypatch.chdir(tmp_path)
    report = example("audit_a_folder").main(views=("pixels",))
    found = {row["sample_index"]: row["train_index"] for row in report.pairs}
    assert {i: i for i in range(20)}.items() <= found.items()
    assert not report.passed()
    assert (tmp_path / "report.html").is_file()
    out = capsys.readouterr().out
    assert "Copies: " in out
    assert "open report.html" in out


def test_the_loop_runs_and_measures(example, capsys):
    seen = example("your_own_loop").main(n_updates=8, n_train=4)
    assert [step for step, _ in seen] == list(range(1, 9))
    assert all(copied.total == 200 for _, copied in seen)


def test_the_window_opens_with_n(example, capsys):
    found = example("theory_window").main()
    memorization = [times.tau_mem.value for times in found]
    assert memorization == sorted(memorization)
    generalization = [times.tau_gen.value for times in found]
    assert max(generalization) / min(generalization) < 1.02  # the theory finds 1.3 % over psi_n = 2..128


@pytest.mark.parametrize("with_diffusers", [True, False], ids=["diffusers", "torch"])
def test_a_network_of_ones_own_has_a_run_and_a_page(example, with_diffusers, tmp_path, monkeypatch, capsys):
    if with_diffusers:
        pytest.importorskip("diffusers")
    module = example("your_own_network")
    if not with_diffusers:
        monkeypatch.setattr(module, "UNet2DModel", None)
    with torch.random.fork_rng(devices=[]):
        sweep = module.main(str(tmp_path), steps=4, n_train=4, n_samples=4)
    (run,) = sweep.record().runs
    assert (run.key, run.n_train, run.factors["lr"]) == ("n4", 4, 2e-3)
    assert {"memorized", "holdout@0.1", "grey"} <= set(run.curves)
    assert sweep.timescales(mh.Rules(quality="grey"))["n4"].tau_gen.rule.startswith("grey")
    assert (tmp_path / "report.html").is_file()
    assert "open" in capsys.readouterr().out


def test_a_loop_with_a_monitor_writes_its_page(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monitor = example("monitor_your_loop").main(n_updates=10, n_train=24, **QUICK)
    assert [look.step for look in monitor.history] == [4, 8]
    assert monitor.best is not None
    assert monitor.record().failures == ()
    assert (tmp_path / "monitored" / "report.html").is_file()
    assert "best: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "package", "sizes"),
    [
        ("monitor_by_hook", "diffusers", {"n_updates": 10, "n_train": 24}),
        ("monitor_lora", "diffusers", {"steps": 10, "pretraining": 2}),
        ("monitor_diffusers", "accelerate", {"steps": 10, "save_every": 10}),
        ("monitor_lightning", "lightning", {"steps": 10, "n_train": 24}),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:lightning")
def test_a_training_with_a_package_is_watched(example, name, package, sizes, tmp_path, monkeypatch, capsys):
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        monitor = example(name).main(**sizes, **QUICK)
    assert [look.step for look in monitor.history][:2] == [4, 8]
    assert all(np.isfinite(look.holdout_loss) for look in monitor.history)
    # after ten updates a network may have learned nothing yet, which is said
    assert all("of a constant output" in failure for failure in monitor.record().failures)


def test_the_checkpoints_of_an_example_are_watched_from_their_folder(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        example("monitor_diffusers").main(steps=22, save_every=22, **QUICK)
    found = mh.integrations.find_checkpoints(tmp_path / "ddpm").found
    assert [one.step for one in found] == [22]
    assert isinstance(found[0].denoiser(found[0].network()), mh.Denoiser)
