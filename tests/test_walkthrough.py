"""The commands of the walk through are those that there are, on the folder of a monitor."""

import re
import shlex
from pathlib import Path

import pytest

from memhorizon.cli import COMMANDS, main
from memhorizon.records.files import write_record
from monitor_records import monitored

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "walkthrough.md").read_text()
LINES = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
]


def test_every_line_is_a_command_or_an_example():
    for program, *words in LINES:
        if program == "python":
            assert (ROOT / words[0]).is_file()
        elif program == "memhorizon":
            assert words[0] in COMMANDS
        else:
            assert (program, *words) == ("pip", "install", "memhorizon")


@pytest.mark.parametrize("command", ["watch", "report"])
def test_the_folder_of_the_example_is_shown(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitored").mkdir()
    write_record(monitored(), tmp_path / "monitored" / "monitor.json")
    (words,) = [words for program, *words in LINES if program == "memhorizon" and words[0] == command]
    assert main([*words, "--once"] if command == "watch" else words) == 0
    assert "memorizing" in capsys.readouterr().out
    assert (tmp_path / "monitored" / "report.html").is_file() == (command == "report")
