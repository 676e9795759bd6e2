"""The theory from the command line: sweeps over psi_n, data from files, pictures, bad input in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from memhorizon.cli import main
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, loss_curves, timescales

SMALL = ["--psi-p", "16", "--t", "0.1"]
SIGNATURES = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


def answer(words, capsys):
    assert main(["theory", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_sweep_over_psi_n_is_a_table_of_both_timescales(capsys):
    assert main(["theory", "times", "--psi-n", "2", "4", "64", *SMALL]) == 0
    head, *rows, gen, mem, unit = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["psi_n", "tau_gen", "tau_mem"]
    for row, psi_n in zip(rows, (2, 4, 64), strict=True):
        found = timescales(FeatureModel(psi_n, 16, 0.1))
        printed = [float(cell) for cell in row.split()[:3]]
        assert printed == pytest.approx([psi_n, found.tau_gen.value, found.tau_mem.value], rel=5e-4)
    assert rows[2].split()[2] == "inf"  # more points than features: L_gen stays below the level
    assert gen.startswith("tau_gen: first time")
    assert mem.startswith("tau_mem: first time")
    assert unit.startswith("all times: tau = steps x learning rate/d^2")


def test_the_unit_stands_under_the_times_of_one_model_and_not_in_the_numbers(capsys):
    assert main(["theory", "times", *SMALL]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("all times: tau = steps x learning rate/d^2")
    assert answer(["times", *SMALL], capsys)["unit"] == "tau"


def test_levels_of_both_timescales_are_flags(capsys):
    found = answer(["times", "--score-level", "0.5", "--gap-level", "0.01", *SMALL], capsys)
    expected = timescales(FeatureModel(8, 16, 0.1), score_level=0.5, gap_level=0.01)
    assert found["tau_gen"]["value"] == expected.tau_gen.value
    assert found["tau_mem"]["value"] == expected.tau_mem.value


@pytest.mark.parametrize("command", ["spectrum", "times"])
def test_each_model_of_a_sweep_is_answered_as_if_alone(command, capsys):
    both = answer([command, "--psi-n", "2", "4", *SMALL], capsys)["models"]
    alone = [answer([command, "--psi-n", str(psi_n), *SMALL], capsys) for psi_n in (2, 4)]
    assert both == alone
    assert [found["model"]["psi_n"] for found in both] == [2, 4]


def test_every_model_of_a_printed_sweep_has_its_title(capsys):
    assert main(["theory", "spectrum", "--psi-n", "2", "4", *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("psi_n")] == ["psi_n = 2", "psi_n = 4"]


def test_the_spectrum_is_that_of_the_library(capsys):
    found = answer(["spectrum", "--psi-n", "4", "--points", "3", *SMALL], capsys)
    support = bulk_edges(FeatureModel(4, 16, 0.1))
    for interval, (low, high), mass in zip(
        found["intervals"], support.intervals, support.masses, strict=True
    ):
        assert (interval["low"], interval["high"], interval["mass"]) == (low, high, mass)
        assert interval["place"] == ["inside"] * 3
        assert low < interval["eigenvalue"][0] < interval["eigenvalue"][-1] < high


def test_what_is_not_solved_as_promised_is_said_and_is_the_exit_status(capsys):
    """More digits than doubles have: gaps of 1e-9 between eigenvalues."""
    assert main(["theory", "times", "--psi-n", "4", "--psi-p", "1e5", "--t", "1e-9"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("psi_n = 4: not resolved (residual ")
    assert main(["theory", "times", "--psi-n", "4", "--psi-p", "16", "--t", "0.1"]) == 0
    assert "resolved" not in capsys.readouterr().out


@pytest.mark.parametrize(("command", "suffix"), [("spectrum", ".png"), ("losses", ".svg"), ("times", ".pdf")])
def test_pictures(command, suffix, tmp_path, capsys):
    target = tmp_path / f"picture{suffix}"
    flags = ["--psi-n", "2", "4", *SMALL, "--plot", str(target)]
    assert main(["theory", command, *flags]) == 0
    assert target.read_bytes().startswith(SIGNATURES[suffix])
    assert capsys.readouterr().out.splitlines()[-1] == f"written: {target}"


def test_files_are_named_beside_json_on_the_error_stream(tmp_path, capsys):
    out, plot = tmp_path / "times.json", tmp_path / "times.svg"
    assert main(["theory", "times", *SMALL, "--json", "--out", str(out), "--plot", str(plot)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(out.read_text())
    assert shown.err.splitlines() == [f"written: {out}", f"written: {plot}"]


def test_eigenvalues_from_an_array(tmp_path, capsys):
    data = np.random.default_rng(0).normal(size=(60, 4)) * [0.5, 1.0, 1.5, 2.0]
    np.save(tmp_path / "data.npy", data)
    found = answer(["losses", "--points", "2", "--data", str(tmp_path / "data.npy"), *SMALL], capsys)
    spectrum = Spectrum.from_data(data)
    assert found["model"]["eigenvalues"] == spectrum.eigenvalues.tolist()
    curves = loss_curves(FeatureModel(8, 16, 0.1, spectrum=spectrum), [1.0, 1e7, np.inf])
    assert found["L_test"] == curves.L_test.tolist()
    assert found["E_score"] == ["nan"] * 3  # the data are not Gaussian
    assert "Gaussian" in found["note"]


def test_eigenvalues_from_a_folder_of_images(tmp_path, capsys):
    pixels = np.random.default_rng(1).integers(0, 256, (12, 3, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    found = answer(["times", "--data", str(tmp_path), *SMALL], capsys)
    expected = Spectrum.from_data((pixels / 255).astype(np.float32))
    # the smallest eigenvalue of 9 is a difference of numbers of order one
    assert found["model"]["eigenvalues"] == pytest.approx(expected.eigenvalues.tolist(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["times", "--psi-n"], "psi_n"),
        (["times", "--psi-n", *["4"] * 101], "psi_n"),
        (["times", "--gap-level", "0"], "gap_level"),
        (["times", "--activation", "swish"], "silu"),
        (["times", "--data", "nowhere.npy"], "nowhere.npy"),
        (["times", "--data", "nowhere"], "nowhere"),
        (["times", "--data", "data.npy", "--eigenvalues", "2"], "eigenvalues"),
        (["times", "--plot", "a.jpg"], "plot: expected a name that ends in .png, .pdf or .svg"),
        (["times", "--plot", "nowhere/a.png"], "plot"),
        (["times", "--out", "t.csv"], "out: expected a name that ends in .json, got 't.csv'"),
        (["times", "--gap-level", "0", "--out", "t"], "out: expected a name that ends in .json"),
        (["losses", "--plot", "."], "plot"),
    ],
)
def test_bad_input_ends_in_one_line(flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["theory", *flags]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_command_takes_no_more_than_a_second_and_a_half():
    """Of the processor, from start to end, without the type checker of the tests; usually it is 0.7."""
    code = (
        "import time; from memhorizon.cli import main; main(['theory', 'times']); print(time.process_time())"
    )
    bare = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare)
    assert float(done.stdout.splitlines()[-1]) < 1.5
