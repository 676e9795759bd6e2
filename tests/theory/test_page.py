"""Every code block and command of docs/theory.md runs, and prints what the block below it says."""

import re
import shlex
from pathlib import Path

import pytest

from memhorizon.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "theory.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)


def run(language, text):
    if language == "python":
        exec(compile(text, "block", "exec"), {})
        return
    for line in text.splitlines():
        command = shlex.split(line, comments=True)
        assert command[0] == "memhorizon"
        assert main(command[1:]) == 0


def expected(i):
    """The text below a block; None where there is none."""
    following = BLOCKS[i + 1 : i + 2]
    return following[0][1] if following and following[0][0] == "text" else None


def test_every_block_of_the_page_runs_in_order_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for i, (language, text) in enumerate(BLOCKS):
        if language == "text":
            continue
        run(language, text)
        printed = capsys.readouterr().out
        if expected(i) is not None:
            assert printed == expected(i), text
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGE.read_text()):
        made = tmp_path / "docs" / picture
        committed = PAGE.parent / picture
        assert made.stat().st_size == pytest.approx(committed.stat().st_size, rel=0.2)


def test_there_are_blocks_and_commands_of_each_kind():
    languages = [language for language, _ in BLOCKS]
    assert languages.count("python") == 5
    assert languages.count("bash") == 3
    assert set(languages) == {"python", "bash", "text"}


def test_names_of_the_table_of_symbols_exist():
    """Each name in the column `function`, looked up in the package."""
    from memhorizon import theory

    rows = re.findall(r"^\|.*\|.*\| (.*`.*) \|.*\|$", PAGE.read_text(), re.M)
    names = {name for row in rows for name in re.findall(r"`([A-Za-z][\w.]*)`", row)}
    assert {"FeatureModel", "coefficients", "timescales"} <= names
    fields = {"a", "b", "v2", "s2", "E_score", "tau", "tau_gen"}
    for name in sorted(names - fields):
        target = theory
        for part in name.removeprefix("theory.").split("."):
            target = getattr(target, part)
