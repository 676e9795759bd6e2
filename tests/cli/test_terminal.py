"""Output on every terminal: any encoding, closed or missing streams, readers that leave, hostile names."""

import errno
import io
import os
import subprocess
import sys

import pytest
from tqdm import tqdm

from memhorizon import cli
from memhorizon.cli import main, terminal
from memhorizon.cli.terminal import readable, spelled
from memhorizon.errors import InputError
from memhorizon.files.bounds import printable

SENTENCE = "τ_mem ≈ 3 × 10² … ∞ – it’s “new” → ½ café ╭─│ 日本 \udcff"
MODEL = ["theory", "times", "--psi-n", "4", "--psi-p", "16", "--t", "0.1"]


def run(arguments, **options):
    command = [sys.executable, "-m", "memhorizon", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture
def streams(monkeypatch):
    """A terminal of a given encoding on both streams; returns what was written."""

    def set_up(encoding):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", out)
        return out

    return set_up


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8", "utf-16"])
def test_every_encoding_shows_every_text(encoding, streams):
    out = streams(encoding)
    with readable():
        sys.stdout.write(SENTENCE)
        sys.stderr.write(SENTENCE)
        sys.stdout.flush()
    shown = out.buffer.getvalue().decode(encoding)
    for sign in "τ×∞’é":  # as it is, where the encoding has it
        try:
            sign.encode(encoding)
        except UnicodeEncodeError:
            assert spelled(sign, encoding) in shown
        else:
            assert sign in shown
    assert shown.count("\\udcff") == 2


def test_signs_have_names_in_ascii():
    assert spelled("τ ∞ – ’ × ² ╭─│ é", "ascii") == "tau inf - ' x 2 +-| e"
    assert spelled("日", "ascii") == "\\u65e5"
    assert spelled("τ", None) == "τ"  # a stream of text without bytes


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_progress_bars_are_drawn_in_ascii(encoding, streams):
    out = streams(encoding)
    with readable(), tqdm(total=4, desc="a\x1b[2Jb", dynamic_ncols=True) as bar:
        bar.update(3)
    shown = out.buffer.getvalue().decode(encoding)
    assert "75%" in shown
    assert "#" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\x9b2J", "\b\b", "\u202egnp", "\x00", "\u2066"])
def test_what_a_terminal_would_obey_is_shown(hostile, capsys):
    with readable():
        sys.stdout.write(f"a{hostile}b\tc\n")
    shown = capsys.readouterr().out
    assert shown == printable(f"a{hostile}b") + "\tc\n"
    assert all(c.isprintable() for c in shown.replace("\t", "").replace("\n", ""))


def test_an_error_message_is_one_line_without_escapes(capsys):
    assert main([*MODEL, "--out", "/no\x1b[31mwhere/a\nb"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("stream", [None, "closed"])
def test_streams_that_are_not_there(stream, monkeypatch, tmp_path):
    """As under pythonw, or in a service: an answer that goes to a file needs no stream."""
    gone = stream and io.StringIO()
    if gone:
        gone.close()
    monkeypatch.setattr(sys, "stdout", gone)
    monkeypatch.setattr(sys, "stderr", gone)
    assert main([*MODEL, "--out", str(tmp_path / "times.json")]) == 0
    assert (tmp_path / "times.json").is_file()
    assert main([*MODEL, "--out", "."]) == 2
    with readable(), tqdm(total=1) as bar:
        bar.update()
    assert sys.stdout is gone


@pytest.mark.parametrize("arguments", [MODEL, ["reproduce"], ["train", "--dry-run"]])
def test_an_answer_that_nobody_can_read_is_refused(arguments, tmp_path):
    """The shell has closed the output (`>&-`), and the answer goes nowhere else."""
    line = " ".join([sys.executable, "-m", "memhorizon", *arguments, ">&-"])
    done = subprocess.run(line, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "memhorizon: stdout: expected an open output for the answer, got a closed one\n"
    assert list(tmp_path.iterdir()) == []


def test_a_bare_environment():
    """No HOME, no TERM, no language, and no width."""
    done = run(
        [*MODEL], env={"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "0"}, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "tau_gen" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("number", [1, 2])
def test_a_full_disk_is_one_line(number):
    arguments = MODEL if number == 1 else [*MODEL, "--psi-n", "-1"]
    with open("/dev/full", "w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE} if number == 1 else {"stderr": full}
        done = subprocess.run([sys.executable, "-m", "memhorizon", *arguments], text=True, **streams)
    assert done.returncode == 2
    if number == 1:
        assert done.stderr == f"memhorizon: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.parametrize(("which", "status"), [("stdout", 141), ("stderr", 2)])
def test_a_reader_that_is_gone(which, status):
    """Of an answer: enough was seen. Of the reason why not: the exit status is left."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = MODEL if which == "stdout" else [*MODEL, "--psi-n", "-1"]
    other = {"stdout": "stderr", "stderr": "stdout"}[which]
    command = [sys.executable, "-m", "memhorizon", *arguments]
    done = subprocess.run(command, **{which: writer, other: subprocess.PIPE})
    os.close(writer)
    assert done.returncode == status
    assert not getattr(done, other)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("n: expected\n2"), "n: expected 2"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "No space left on device: x"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),  # of a worker, not of the output
        (MemoryError(), "memory: not enough"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory: not enough"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory: not enough"),
    ],
)
def test_what_the_user_can_mend_is_one_line(error, said, monkeypatch, capsys):
    def fail(words):
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert main(["x"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"memhorizon: {said}")
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("error", [ValueError("a"), RuntimeError("b"), TypeError("c"), ImportError("d")])
def test_a_fault_of_ours_keeps_its_traceback_and_is_no_answer(error, monkeypatch, capsys):
    def fail(words):
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    before = sys.stdout, sys.stderr
    assert main(["x"]) == 3  # 1 would say that there are copies
    assert (sys.stdout, sys.stderr) == before
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(f"{type(error).__name__}: {error}\n\n")


def test_an_interrupt_is_told_in_one_line_and_has_a_status_of_its_own(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    before = sys.stdout, sys.stderr
    assert main(["x"]) == 130
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().err == "\nmemhorizon: interrupted; the same command resumes from here\n"


@pytest.mark.parametrize(("home", "needed"), [("/nowhere", True), (".", False)])
def test_matplotlib_has_a_folder_to_write_to(home, needed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    cli._find_matplotlib_a_home()
    assert ("MPLCONFIGDIR" in os.environ) == needed
    if needed:
        assert os.access(os.environ["MPLCONFIGDIR"], os.W_OK)
        del os.environ["MPLCONFIGDIR"]


def test_the_streams_come_back():
    before = sys.stdout, sys.stderr
    with readable():
        assert isinstance(sys.stdout, terminal.Filter)
    assert (sys.stdout, sys.stderr) == before
