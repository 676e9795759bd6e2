"""What a command imports: the theory and the help pages do without torch."""

import inspect
import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from memhorizon import cli
from memhorizon.cli import COMMANDS, main

HEAVY = ("torch", "matplotlib", "scipy.stats")
THEORY = [
    ["theory", command, "--psi-n", "4", "--psi-p", "16", "--t", "0.1"] for command in ("times", "losses")
]
LIGHT = [
    ["reproduce"],
    ["--help"],
    [],
    ["nothing"],
    ["--version"],
    ["theory", "--help"],
    ["theory", "times", "--help"],
    *THEORY,
]


def test_neither_help_nor_theory_imports_torch():
    """Each in one process, after all others: what one imports is there for the next."""
    code = (
        "import json, sys\n"
        "import memhorizon.cli\n"
        f"for words in {LIGHT!r}:\n"
        "    try:\n"
        "        memhorizon.cli.main(words)\n"
        "    except SystemExit:\n"
        "        pass\n"
        f"    found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    assert not found, (words, found)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_plot_of_the_theory_does_without_torch(tmp_path):
    words = ["theory", "times", "--psi-n", "2", "4", "--psi-p", "16", "--t", "0.1", "--plot", "times.svg"]
    code = f"import sys; from memhorizon.cli import main; main({words!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "times.svg").is_file()


@pytest.mark.parametrize("name", ["n_digits", "theory/exponent"])
def test_a_figure_of_a_sweep_or_of_the_theory_does_without_torch(name, tmp_path):
    record = Path(__file__).resolve().parents[2] / "results" / f"{name}.json"
    shutil.copy(record, tmp_path)
    words = ["figure", record.name]
    code = f"import sys; from memhorizon.cli import main; main({words!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    assert list(tmp_path.glob("*.png"))


def test_the_package_imports_nothing():
    code = "import memhorizon, sys; assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "theory"])
def test_the_table_says_what_the_docstrings_say(name):
    """Functions may come with arguments filled in: the docstring is that of the function itself."""
    command = cli._load(name, [name])
    text = inspect.getdoc(getattr(command, "func", command))
    assert COMMANDS[name].description == " ".join(text.split("\n\n")[0].split())


def test_every_command_is_in_the_table():
    listed = {
        name
        for module in {command.module for command in COMMANDS.values()}
        for name, _ in import_module(f"memhorizon.cli.{module}").commands([])
    }
    assert listed == set(COMMANDS)


def test_python_m_memhorizon_is_the_command(capsys):
    done = subprocess.run([sys.executable, "-m", "memhorizon", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == done.stdout
    assert done.stdout.startswith("memhorizon 0.")


@pytest.mark.parametrize("flags", [["--points", "2", "--last", "1e308"], ["--points", "3"]])
def test_theory_answers_in_strict_json(flags, capsys):
    def refuse(constant):
        raise AssertionError(constant)

    assert main(["theory", "losses", *flags, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert answer["tau"][-1] == "inf"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["times", "--psi-n", "1e-9"], "psi_n"),
        (["times", "--psi-p", "1e9"], "psi_p"),
        (["times", "--t", "100"], "t: expected"),
        (["times", "--t", "nan"], "t: expected"),
        (["times", "--out", "."], "out"),
        (["times", "--out", "/"], "out"),
        (["times", "--out", "/nowhere/x.json"], "out"),
        (["spectrum", "--points", "-3"], "points"),
        (["spectrum", "--points", "1000000000"], "points"),
        (["losses", "--last", "inf"], "last"),
        (["losses", "--first", "nan"], "first"),
        (["losses", "--points", "1"], "points"),
        (["times", "--eigenvalues", "nan"], "eigenvalues"),
        (["times", "--eigenvalues", "1", "2", "--weights", "0", "0"], "weights"),
    ],
)
def test_bad_flags_of_the_theory_end_in_one_line(flags, message, capsys):
    assert main(["theory", *flags]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
