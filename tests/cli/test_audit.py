"""The command that audits: its answer, its files and exit status; nothing bad takes an old report away."""

import csv
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import memhorizon as mh
from bad_files import encoded, noise, unusable_bytes, unusable_things, usable_bytes
from memhorizon.cli import main
from memhorizon.files.bounds import printable
from reference_files import deadline

SIDE = 8
N_TRAIN, N_SAMPLES, N_COPIES = 240, 40, 25
SEED = 105  # of data where chance reports no honest sample
QUICK = ("--views", "pixels", "--quiet", "--cache", "off")


def pictures(folder, pixels, name="{:03d}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / name.format(i))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Training pictures, samples of which the first ones are copies, honest samples and held-out pictures."""
    root = tmp_path_factory.mktemp("audit")
    every = noise(N_TRAIN + 2 * N_SAMPLES + 30, SIDE, SIDE, 3, seed=SEED)
    train, fresh, honest, holdout = np.split(every, np.cumsum([N_TRAIN, N_SAMPLES, N_SAMPLES]))
    samples = np.concatenate([train[:N_COPIES], fresh[N_COPIES:]])
    for name, pixels in (("train", train), ("samples", samples), ("honest", honest), ("holdout", holdout)):
        pictures(root / name, pixels)
    return root


@pytest.fixture
def here(folders, tmp_path, monkeypatch):
    """A folder to write in, with the data beside it and an old report in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("train", "samples", "honest", "holdout"):
        (tmp_path / name).symlink_to(folders / name)
    (tmp_path / "report.html").write_text("old")
    return tmp_path


def audit(*words):
    return main(["audit", *words])


def run(*words, samples="samples"):
    return audit("--samples", samples, "--train", "train", *QUICK, *words)


# --- the answer ---


def test_copies_are_an_exit_status_of_1_and_a_page(here, capsys):
    assert run("--holdout", "holdout", "--record", "audit.json", "--pairs", "pairs.csv") == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"Copies: {N_COPIES} of {N_SAMPLES} samples are reported as copies")
    assert "\nLeaning: " in out
    assert "\nMembership: Passing this audit says nothing about membership" in out
    assert out.endswith("open report.html\n")
    page = (here / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    record = mh.load_record("audit.json")
    assert [one.is_copy for one in record.samples] == [True] * N_COPIES + [False] * (N_SAMPLES - N_COPIES)
    assert {one.name: one.source for one in record.sets} == {
        "samples": "samples",
        "train": "train",
        "holdout": "holdout",
    }
    assert record.command.startswith("memhorizon audit --samples samples --train train --views pixels")
    with (here / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["sample"], row["train"]) for row in rows} == {
        (f"{i:03d}.png", f"{i:03d}.png") for i in range(N_COPIES)
    }


def test_vectors_of_each_set_are_given_as_files(here, capsys):
    """Vectors that say something else than the pixels, in which no sample is a copy."""
    rng = np.random.default_rng(0)
    train = rng.standard_normal((N_TRAIN, 6))
    np.save("t.npy", train)
    np.save("s.npy", np.concatenate([train[:N_COPIES], 9 + rng.random((N_SAMPLES - N_COPIES, 6))]))
    words = ("--views", "features", "--features", "s.npy", "t.npy", "--json")
    assert run(*words, samples="honest") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [one["is_copy"] for one in answer["samples"]] == [True] * N_COPIES + [False] * 15
    assert run(*words, "--output", "s.npy", samples="honest") == 2  # it is read
    assert "expected another file than that of the vectors of samples" in capsys.readouterr().err


def test_honest_samples_pass(here, capsys):
    assert run(samples="honest") == 0
    assert f"None of the {N_SAMPLES} samples is reported" in capsys.readouterr().out


def test_undecided_samples_pass_unless_they_are_to_fail(here, capsys):
    """With 120 reference pictures fewer than 7 copies of 40 cannot be reported: 2 are undecided."""
    (here / "few").mkdir()
    for i in range(N_SAMPLES):
        (here / "few" / f"{i:03d}.png").symlink_to(here / ("train" if i < 2 else "honest") / f"{i:03d}.png")
    assert run(samples="few") == 0
    out, err = capsys.readouterr()
    assert "\nUndecided: 2 samples have a p-value as small" in out
    assert "(undecided samples pass: 2); with --fail-undecided they count as copies" in err
    asked = r"in place of 120 \(at the same ranks\), .* with --fdr ([\d.]+), had that been chosen before"
    rate = re.search(asked, out)[1]
    assert run("--fdr", rate, "--record", "audit.json", samples="few") == 1
    assert {one.index for one in mh.load_record("audit.json").samples if one.is_copy} >= {0, 1}
    assert run("--fail-undecided", samples="few") == 1
    assert "--fail-undecided" not in capsys.readouterr().err
    assert run("--fail-undecided", "--fail-above", "0.5", samples="few") == 0


def test_held_out_pictures_that_are_too_few_for_a_null_are_said_to_be(here, capsys):
    assert run("--holdout", "holdout", "--record", "audit.json") == 1
    words = "30 held-out images are too few for a null: 100 are needed."
    out = capsys.readouterr().out
    assert f"are reported; {words}" in out
    assert "Leaning: not measured" not in out
    page = (here / "report.html").read_text()
    assert f"There is no null beside it: {words}" in page
    assert "are the reference" not in page
    assert mh.load_record("audit.json").null is None
    assert run() == 1
    assert "no held-out items were given for its null" in capsys.readouterr().out


def test_the_page_of_a_record_does_not_take_the_place_of_one_with_images(here, capsys):
    assert run("--record", "audit.json", "--output", "audit.html") == 1
    before = (here / "audit.html").read_bytes()
    assert main(["report", "audit.json"]) == 2
    assert "is there with images, which the record does not hold" in capsys.readouterr().err
    assert (here / "audit.html").read_bytes() == before
    (here / "audit.html").rename("moved.html")
    assert main(["report", "audit.json"]) == 0
    assert (here / "audit.html").is_file()


def test_a_key_of_a_file_that_has_none_is_named(here, capsys):
    np.save("s.npy", np.zeros((3, 4)))
    assert run(samples="s.npy::x") == 2
    assert "s.npy::x: expected no key" in capsys.readouterr().err


def test_the_numbers_are_json_and_the_same_each_time(here, capsys):
    """25 of 40 are 0.625, no larger share than is allowed."""
    assert run("--json", "--record", "one.json", "--fail-above", "0.625") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "audit"
    assert answer["copies"]["count"] == N_COPIES
    assert answer == json.loads((here / "one.json").read_text())
    before = [(here / name).read_bytes() for name in ("one.json", "report.html")]
    assert run("--json", "--record", "one.json", "--fail-above", "0.625") == 0
    assert [(here / name).read_bytes() for name in ("one.json", "report.html")] == before


def test_private_names_nothing_anywhere(here, capsys):
    (here / "named").mkdir()
    for path in (here / "samples").iterdir():
        (here / "named" / f"patient-{path.name}").write_bytes(path.read_bytes())
    (here / "named" / "patient-broken.png").write_bytes(b"")
    words = ("--samples", "named", "--train", "train", "--views", "pixels", "--cache", "off")
    files = ("--record", "audit.json", "--pairs", "pairs.csv")
    assert audit(*words, "--private", "--fail-above", "0.62", *files) == 1
    out, err = capsys.readouterr()
    texts = [out, err, *((here / name).read_text() for name in ("report.html", "audit.json", "pairs.csv"))]
    for text in texts:
        assert "patient" not in text
        assert ".png" not in text
    assert "data:image/png" not in texts[2] or "<img" not in texts[2]
    assert "samples: 1 skipped, 40 left" in err
    (row, *_) = csv.DictReader((here / "pairs.csv").read_text().splitlines())
    assert row["sample"] == row["train"]  # a copy has the hash of its original


def test_progress_goes_to_the_error_stream_and_what_is_odd_is_said_first(here, capsys):
    words = ("--train", "train", "--views", "pixels", "--cache", "cache", "--json", "--fail-above", "1")
    assert audit("--samples", "train", *words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["copies"]["total"] == N_TRAIN
    assert "reading train, train" in err
    assert "The samples are the training items themselves" in err
    assert "100%" in err


def test_private_progress_has_no_places(here, capsys):
    words = ("--train", "train", "--views", "pixels", "--cache", "off", "--private")
    assert audit("--samples", "honest", *words) == 0
    assert "reading samples, train" in capsys.readouterr().err


def test_the_cache_is_used_and_may_be_damaged(here):
    words = ("--samples", "samples", "--train", "train", "--views", "pixels", "--quiet", "--cache", "cache")
    assert audit(*words, "--record", "first.json") == 1
    first = (here / "first.json").read_text().replace("first.json", "x.json")
    for path in (here / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert audit(*words, "--record", "again.json") == 1
    assert (here / "again.json").read_text().replace("again.json", "x.json") == first


def test_the_default_cache_is_the_users(here, monkeypatch, capsys):
    words = ("--samples", "honest", "--train", "train", "--views", "pixels", "--quiet")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "home"))
    assert audit(*words) == 0
    assert (here / "home" / "memhorizon" / "audit").is_dir()
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert audit(*words) == 0
    assert "nothing is kept for the next audit" in capsys.readouterr().err


# --- files of every kind ---

UNUSABLE = unusable_bytes()
USABLE = usable_bytes()


def test_there_are_enough_of_them():
    assert len(UNUSABLE) + len(USABLE) + len(BAD_SETS) + len(BAD_OPTIONS) + 9 >= 150


def test_bad_pictures_are_listed_and_not_counted(here, capsys):
    folder = here / "mixed"
    pictures(folder, noise(12, SIDE, SIDE, 3, seed=50), "fresh {:03d}.png")
    for name, content in (UNUSABLE | USABLE).items():
        (folder / name).write_bytes(content)
    things = unusable_things(folder)
    with deadline(60):
        assert run("--record", "audit.json", "--fail-above", "1", samples="mixed") == 0
    record = mh.load_record("audit.json")
    samples = record.set_named("samples")
    assert {row.name for row in samples.skipped} == {printable(name) for name in (*UNUSABLE, *things)}
    assert all(row.reason for row in samples.skipped)
    assert samples.count == record.copies.total == len(record.samples) == 12 + len(USABLE)
    assert {printable(name) for name in USABLE} <= {one.name for one in record.samples}
    page = (here / "report.html").read_text()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page + capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_a_folder_of_one_bad_picture_is_an_error_that_says_why(here, name, capsys):
    (here / "bad").mkdir()
    (here / "bad" / name).write_bytes(UNUSABLE[name])
    with deadline():
        assert run(samples="bad") == 2
    said = capsys.readouterr().err
    assert said.startswith("memhorizon: samples: bad: expected pictures, none of 1 can be used")
    assert len(said.splitlines()) == 1
    assert (here / "report.html").read_text() == "old"


def test_private_errors_name_no_file(here, capsys):
    (here / "bad").mkdir()
    (here / "bad" / "patient 12.png").write_bytes(b"")
    assert run("--private", samples="bad") == 2
    assert capsys.readouterr().err.endswith(
        "memhorizon: samples: cannot be used; without --private it is said why, with names\n"
    )
    np.save(here / "vectors.npy", np.eye(3))
    assert run("--private", samples="vectors.npy") == 2  # names no file: it is said why
    assert "expected items of one shape" in capsys.readouterr().err


class Bomb:
    """What runs where a pickle is opened."""

    def __reduce__(self):
        return (os.system, ("touch ran",))


def write(name, content):
    Path(name).write_bytes(content)
    return name


def saved(name, array, **more):
    np.save(name, array, **more)
    return name


def zipped(name, **arrays):
    np.savez(name, **arrays)
    return name


def tensors(name, **arrays):
    save_file(arrays, name)
    return name


def packed_bomb(name):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array(file, np.zeros((60_000, 28, 28), np.uint8))
    return name


def folder_of(name, **files):
    Path(name).mkdir()
    for file, content in files.items():
        (Path(name) / file.replace("_", ".")).write_bytes(content)
    return name


def linked(name, target):
    Path(name).symlink_to(target)
    return name


def piped(name):
    os.mkfifo(name)
    return name


GREY = noise(40, SIDE, SIDE)[:, None]
FLOATS = (GREY / 255).astype(np.float32)
# What is no set of samples: how it is made, and a part of what is said.
BAD_SETS = {
    "missing": (lambda: "nowhere", "no such file or folder"),
    "nothing": (lambda: "", "expected a path"),
    "empty folder": (lambda: folder_of("d"), "found none"),
    "folder of texts": (lambda: folder_of("d", a_txt=b"x"), "found none (1 other files"),
    "text": (lambda: write("a.txt", b"x"), "expected a folder, a .npy"),
    "one picture": (lambda: write("a.png", encoded("png")), "for a single picture give a list"),
    "pickled tensor": (lambda: write("a.pt", b"PK"), "pickled files can run code"),
    "pickle": (lambda: write("a.pkl", pickle.dumps(Bomb())), "pickled files can run code"),
    "pickle called npy": (lambda: write("a.npy", pickle.dumps(Bomb())), "damaged"),
    "objects": (lambda: saved("a.npy", np.array([Bomb()]), allow_pickle=True), "never opened"),
    "empty npy": (lambda: write("a.npy", b""), "damaged"),
    "cut npy": (lambda: write("a.npy", Path(saved("b.npy", GREY)).read_bytes()[:500]), "damaged"),
    "head of npy": (lambda: write("a.npy", Path(saved("b.npy", GREY)).read_bytes()[:60]), "damaged"),
    "longer npy": (lambda: write("a.npy", Path(saved("b.npy", GREY)).read_bytes() + b"x"), "damaged"),
    "texts": (lambda: saved("a.npy", np.array(["a", "b"])), "expected floats, uint8"),
    "complex": (lambda: saved("a.npy", np.ones((40, 8), complex)), "expected floats, uint8"),
    "integers": (lambda: saved("a.npy", GREY.astype(np.int64)), "expected floats, uint8"),
    "times": (lambda: saved("a.npy", np.zeros((40, 8), "datetime64[s]")), "expected floats, uint8"),
    "records": (lambda: saved("a.npy", np.zeros(4, [("a", float)])), "expected floats, uint8"),
    "a number": (lambda: saved("a.npy", np.float32(1)), "at least one item"),
    "a vector": (lambda: saved("a.npy", np.ones(9, np.float32)), "at least one item"),
    "no items": (lambda: saved("a.npy", FLOATS[:0]), "at least one item"),
    "no values": (lambda: saved("a.npy", FLOATS[:, :0]), "at least one item"),
    "five axes": (lambda: saved("a.npy", FLOATS[None]), "expected [n, dim] or"),
    "one array in colour": (lambda: saved("a.npy", GREY[:3, 0]), "may be one in colour"),
    "unclear channels": (lambda: saved("a.npy", noise(40, 3, 3, 8)), "channels last"),
    "nearly black": (lambda: saved("a.npy", GREY // 32), "that use their range"),
    "all NaN": (lambda: saved("a.npy", FLOATS * np.nan), "NaN"),
    "all infinite": (lambda: saved("a.npy", FLOATS + np.inf), "NaN or infinity"),
    "all constant": (lambda: saved("a.npy", np.ones_like(FLOATS) / 2), "constant"),
    "pixels of -1 to 1": (lambda: saved("a.npy", 2 * FLOATS.repeat(3, 1) - 1), "one unit"),
    "pixels of 0 to 255": (lambda: saved("a.npy", 255 * FLOATS.repeat(3, 1)), "one unit"),
    "vectors": (lambda: saved("a.npy", FLOATS.reshape(40, -1)), "samples of 64, train of 3 x 8 x 8"),
    "other size": (lambda: saved("a.npy", noise(40, 9, 9, 3)), "size=N (--size N)"),
    "four channels": (lambda: saved("a.npy", noise(40, 4, 8, 8)), "samples of 4 x 8 x 8"),
    "mixed sizes": (
        lambda: folder_of("d", a_png=encoded("png"), b_png=encoded("png", noise(9, 9, 3))),
        "(size=N or --size N)",
    ),
    "no zip": (lambda: write("a.npz", b"PK\x03\x04"), "damaged"),
    "empty npz": (lambda: write("a.npz", b""), "damaged"),
    "several arrays": (lambda: zipped("a.npz", x=GREY, y=GREY), "choose one with"),
    "wrong key": (lambda: zipped("a.npz", x=GREY) + "::y", "expected an array called y"),
    "bomb": (lambda: packed_bomb("a.npz"), "at most 250 times"),
    "cut npz": (lambda: write("a.npz", Path(zipped("b.npz", x=GREY)).read_bytes()[:999]), "damaged"),
    "empty tensors": (lambda: write("a.safetensors", b""), "damaged"),
    "cut tensors": (
        lambda: write("a.safetensors", Path(tensors("b.safetensors", x=GREY)).read_bytes()[:99]),
        "damaged",
    ),
    "long head": (lambda: write("a.safetensors", b"\xff" * 8 + b"{}"), "damaged"),
    "no tensors": (lambda: tensors("a.safetensors"), "expected one array"),
    "pipe": (lambda: piped("a.npy"), "expected a regular file, got a named pipe"),
    "device": (lambda: linked("a.npy", "/dev/zero"), "expected a regular file, got a device"),
    "link to nowhere": (lambda: linked("a.npy", "nothing"), "a.npy"),
    "circle of links": (lambda: linked("a.npy", "a.npy"), "a.npy"),
    "folder called npy": (lambda: folder_of("a.npy"), "found none"),
    "long name": (lambda: "x" * 5000, "memhorizon: "),
    "name that a terminal obeys": (lambda: "\x1b[2Jx", "\\x1b[2Jx: no such file"),
}


@pytest.mark.parametrize("bad", sorted(BAD_SETS))
def test_what_is_no_set_of_samples_ends_in_one_line(here, bad, capsys):
    make, part = BAD_SETS[bad]
    with deadline():
        assert run(samples=make()) == 2
    said = capsys.readouterr().err
    assert said.startswith("memhorizon: ")
    assert "samples" in said
    assert part in said
    assert len(said.splitlines()) == 1
    assert (here / "report.html").read_text() == "old"
    assert not (here / "ran").exists()


# What the command refuses, and a part of what it says; {} is the folder of the test.
BAD_OPTIONS = {
    ("--fdr", "0"): "fdr: ",
    ("--fdr", "1"): "fdr: ",
    ("--fdr", "nan"): "fdr: ",
    ("--fdr", "-0.1"): "fdr: ",
    ("--fdr", "0.001"): "at least 1,998 items",
    ("--fail-above", "-0.1"): "fail_above: ",
    ("--fail-above", "1.5"): "fail_above: ",
    ("--fail-above", "nan"): "fail_above: ",
    ("--views", "pixel"): "views: ",
    ("--views", "pixels", "pixels"): "views: ",
    ("--views", "features"): "features: ",
    ("--views",): "views: ",
    ("--features", "nothing.onnx"): "features: ",
    ("--features", "vectors.npy"): "features: ",
    ("--features", "one.npy", "two.npy"): "features: expected a file of vectors",
    ("--features", "one.npy", "two.npy", "three.npy"): "features: expected one name or file, or a file of",
    ("--n-reference", "0"): "n_reference: ",
    ("--n-reference", "3"): "n_reference not below 19",
    ("--seed", "-1"): "seed: ",
    ("--size", "0"): "size: ",
    ("--size", "100000"): "size: ",
    ("--minutes", "-1"): "minutes: ",
    ("--minutes", "nan"): "minutes: ",
    ("--cache", "train/000.png"): "cache: ",
    ("--cache", ""): "cache: ",
    ("--holdout", "train"): "holdout: ",
    ("--holdout", "nowhere"): "holdout: ",
    ("--holdout", ""): "holdout: ",
    ("--output", "."): "output: expected a file",
    ("--output", "train"): "output: expected a file",
    ("--output", "missing/report.html"): "output: expected a file in a folder that exists",
    ("--output", "report.html/x.html"): "output: expected a file in a folder that exists",
    ("--output", "/proc/report.html"): "output: ",
    ("--output", "/dev/null"): "output: expected a file to write, got the device",
    ("--output", "/dev/stdout"): "output: expected a file to write, got the device",
    ("--output", "samples/001.png"): "output: expected no picture of samples",
    ("--pairs", "train/../train/new.PNG"): "pairs: expected no picture of train",
    ("--seed", str(2**63)): "seed: ",
    ("--output", "n" * 300): "output: cannot write",
    ("--output", "train/000.png/x"): "output: ",
    ("--record", "report.html"): "record: expected another file than that of output",
    ("--record", "missing/a.json"): "record: ",
    ("--pairs", "."): "pairs: ",
    ("--pairs", "./report.html"): "pairs: expected another file than that of output",
}


@pytest.mark.parametrize("words", sorted(BAD_OPTIONS), ids=lambda words: " ".join(words)[:40])
def test_what_cannot_end_well_is_refused_before_the_work(here, words, capsys):
    before = sorted(here.iterdir())
    with deadline():
        assert run(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("memhorizon: ")
    assert BAD_OPTIONS[words] in said
    assert len(said.splitlines()) == 1
    assert (here / "report.html").read_text() == "old"
    assert sorted(here.iterdir()) == before


def test_a_file_that_is_read_is_not_written(here, capsys):
    np.save("samples.npy", noise(40, SIDE, SIDE, 3))
    assert run("--output", "samples.npy", samples="samples.npy") == 2
    assert "output: expected another file than that of samples" in capsys.readouterr().err
    np.load("samples.npy")


def test_too_few_images_are_told_before_the_work(here, capsys):
    pictures(here / "few", noise(20, SIDE, SIDE, 3, seed=60))
    assert audit("--samples", "samples", "--train", "few", *QUICK) == 2
    assert "train: expected at least 38 items" in capsys.readouterr().err
    assert (here / "report.html").read_text() == "old"


def test_missing_and_unknown_flags_are_told(capsys):
    for words in ([], ["--samples", "a"], ["--samples", "a", "--train", "b", "--nothing"], ["--fdr", "x"]):
        assert audit(*words) == 2
    assert capsys.readouterr().err


# --- full disks ---


@contextmanager
def files_below(most):
    """No file of this process can be larger, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("words", [(), ("--record", "audit.json")])
def test_a_full_disk_takes_neither_the_old_report_nor_the_answer(here, words, capsys):
    (here / "audit.json").write_text("old")
    (here / "cache").mkdir()
    flags = ("--views", "pixels", "--quiet", "--cache", "cache")
    with files_below(2000):
        status = audit("--samples", "samples", "--train", "train", *flags, *words)
    out, err = capsys.readouterr()
    assert status == 2
    assert out.startswith(f"Copies: {N_COPIES} of {N_SAMPLES}")
    assert "open report.html" not in out
    assert err.startswith("memhorizon: File too large: ")
    assert (here / "report.html").read_text() == (here / "audit.json").read_text() == "old"
    assert not list(here.glob(".*"))
    assert all(path.stat().st_size <= 2000 for path in (here / "cache").iterdir())


def test_an_audit_that_is_interrupted_goes_on(here):
    """Killed at the first sign of progress; the same command then gives the answer of an undisturbed one."""
    words = ["--samples", "samples", "--train", "train", "--views", "pixels", "--cache", "cache"]
    code = (
        "import os, sys\n"
        "from memhorizon.experiments import cache\n"
        "keep = cache.Cache._keep\n"
        "def killed(self, path, tensors):\n"
        "    keep(self, path, tensors)\n"
        "    os._exit(9)\n"
        "cache.Cache._keep = killed\n"
        "from memhorizon.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "audit", *words], capture_output=True)
    assert done.returncode == 9
    assert (here / "report.html").read_text() == "old"
    assert list((here / "cache").iterdir())
    assert audit(*words, "--quiet", "--record", "a.json") == 1
    assert audit(*words[:-1], "off", "--quiet", "--record", "b.json") == 1
    first, second = (json.loads((here / name).read_text()) for name in ("a.json", "b.json"))
    assert first | {"command": ""} == second | {"command": ""}
