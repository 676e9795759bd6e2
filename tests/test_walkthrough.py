"""The commands of the walk through are those that there are, on the folder of a monitor."""

import re
import shlex
from pathlib import Path

import pytest

from memhorizon.cli import COMMANDS, main
from memhorizon.records.files import load_record, write_record
from monitor_records import monitored

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "walkthrough.md").read_text()
RECORD = ROOT / "results" / "walkthrough.json"
LINES = [
    shlex.split(line, comments=True)
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.S | re.M)
    if not language
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


def test_what_the_page_tells_is_what_the_record_says():
    record = load_record(RECORD)
    assert str(record.verdict) in TEXT
    assert f"best: {record.best.certificate}" in TEXT
    assert f"after {record.verdict.step:,} steps" in TEXT
    assert f"the checkpoint of step {record.best.step:,}" in TEXT
    assert f"The {len(record.looks)} looks took {100 * record.overhead:.1f} % of the time" in TEXT
    assert sum(look.copies.count for look in record.looks if look.copies is not None) == 0
    assert record.n_train == 300
    assert record.failures == ()
