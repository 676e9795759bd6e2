"""The documentation has every public name and every command, its links lead somewhere, and it builds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import memhorizon as mh
from memhorizon.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
REFERENCE = {
    page.stem: set(re.findall(r"^\.\. auto(?:class|function|data):: (\w+)$", page.read_text(), re.M))
    for page in (DOCS / "reference").glob("*.md")
}


def test_every_public_name_is_in_the_reference_and_no_other():
    modules = {"integrations", "metrics", "theory"}
    listed = set().union(*(names for page, names in REFERENCE.items() if page not in modules))
    assert listed == set(mh.__all__) - modules
    for name in modules:
        assert REFERENCE[name] == set(getattr(mh, name).__all__)


def test_every_metric_has_a_row_on_its_page():
    rows = re.findall(r"^\| `(\w+)`, `(\w+)` \|", (DOCS / "metrics.md").read_text(), re.M)
    assert sorted(rows) == sorted((info.name, info.accumulator) for info in mh.metrics.METRICS.values())


def test_every_command_has_a_page():
    assert {page.stem for page in (DOCS / "commands").glob("*.md")} == {"index", *COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "-q", "-b", "html", DOCS, tmp_path]
    subprocess.run(command, check=True)
    assert (tmp_path / "index.html").is_file()
