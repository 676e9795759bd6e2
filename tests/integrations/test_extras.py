"""A package that is missing is named with the line that installs it."""

import re
import sys
from pathlib import Path

import pytest

import memhorizon as mh
from memhorizon.integrations import accelerated, find_checkpoints, lightning_callback, trainer_callback
from watched_training import monitor

ROOT = Path(__file__).resolve().parents[2]


def missing(monkeypatch, *packages):
    """As if these were not installed."""
    for name in list(sys.modules):
        if name.split(".")[0] in packages:
            monkeypatch.delitem(sys.modules, name)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def checkpoint(folder):
    (folder / "checkpoint-5").mkdir()
    (folder / "scheduler_config.json").write_text("{}")
    (folder / "checkpoint-5" / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    (folder / "checkpoint-5" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    return find_checkpoints(folder).found[0]


CALLS = {
    ("accelerate",): (
        "accelerated needs accelerate",
        "diffusers",
        lambda _: accelerated(monitor(), object()),
    ),
    ("lightning", "pytorch_lightning"): (
        "lightning_callback needs lightning",
        "lightning",
        lambda _: lightning_callback(monitor()),
    ),
    ("transformers",): (
        "trainer_callback needs transformers",
        "transformers",
        lambda _: trainer_callback(monitor()),
    ),
    ("diffusers",): (
        "a folder of checkpoints needs diffusers",
        "diffusers",
        lambda folder: checkpoint(folder).network(),
    ),
}


@pytest.mark.parametrize("packages", CALLS)
def test_a_missing_package_is_named_with_its_line(packages, monkeypatch, tmp_path):
    sentence, extra, call = CALLS[packages]
    missing(monkeypatch, *packages)
    line = f'{sentence}: pip install "memhorizon[{extra}]"'
    with pytest.raises(mh.MissingExtraError, match=f"^{re.escape(line)}$"):
        call(tmp_path)
    assert re.search(rf"^{extra} = \[.*{packages[0]}", (ROOT / "pyproject.toml").read_text(), re.M)
