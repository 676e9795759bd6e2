"""What the pages say of a law is what the record they link to says."""

import functools
import json
import re
from pathlib import Path

import pytest

from evidence_records import is_sweep, read

ROOT = Path(__file__).parents[1]
NUMBER = r"-?\d+\.\d+"
FACTOR = rf"(n|W|lr|B)\^({NUMBER}) \[({NUMBER}), ({NUMBER})\]"
LAW = re.compile(rf"(tau_gen|tau_mem|passes) ~ ((?:{FACTOR} ?)+)")
LINK = re.compile(r"\(\S*?(results/\w+\.json)\)")
EVIDENCE = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("evidence/*.md"))
PAGES = ["README.md", "docs/evidence.md", *EVIDENCE]
FACTORS = {"n": "n_train", "W": "width", "lr": "lr", "B": "batch_size"}


def statements():
    """Every law in README and evidence, with the records of sweeps that its line links to."""
    for page in PAGES:
        for line in (ROOT / page).read_text().splitlines():
            links = [path for path in LINK.findall(line) if is_sweep(ROOT / path)]
            for timescale, factors, *_ in LAW.findall(line):
                yield pytest.param(links, timescale, factors, id=f"{page} {timescale} ~ {factors}")


def load(path):
    return read(Path(path).stem)


@functools.cache
def plain(path):
    return json.loads((ROOT / path).read_text())


@pytest.mark.parametrize(("links", "timescale", "factors"), list(statements()))
def test_an_exponent_is_that_of_a_record_linked_beside_it(links, timescale, factors):
    """In a table a line has one record; a paragraph may have several."""
    laws = [law for path in links if (law := load(path).laws.get(timescale))]
    told = [(FACTORS[factor], numbers) for factor, *numbers in re.findall(FACTOR, factors)]
    assert any(all(numbers == written(law, factor) for factor, numbers in told) for law in laws)


def written(law, factor):
    """An exponent with its interval, as pages write it."""
    if factor not in law.exponents:
        return []
    exponent = law.exponents[factor]
    return [f"{end:.2f}" for end in (exponent.value, exponent.low, exponent.high)]


def test_laws_are_found_on_both_pages():
    assert {page.id.split()[0] for page in statements()} >= {"README.md", "docs/evidence.md"}


CONTRAST = rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\] at ({NUMBER})"
CONTRASTS = re.compile(rf"(tau_gen|tau_mem) times ((?:{CONTRAST}(?:, )?)+)")


def contrasts():
    """Every ratio at a value of a hyperparameter, with the records of sweeps that its line links to."""
    for page in PAGES:
        for line in (ROOT / page).read_text().splitlines():
            links = [path for path in LINK.findall(line) if is_sweep(ROOT / path)]
            for timescale, ratios, *_ in CONTRASTS.findall(line):
                yield pytest.param(links, timescale, ratios, id=f"{page} {timescale} times {ratios}")


@pytest.mark.parametrize(("links", "timescale", "ratios"), list(contrasts()))
def test_a_ratio_is_that_of_its_record(links, timescale, ratios):
    assert len(set(links)) == 1
    rows = load(links[0]).contrasts
    for *numbers, value in re.findall(CONTRAST, ratios):
        (row,) = [row for row in rows if (row.timescale, row.value) == (timescale, float(value))]
        assert numbers == [f"{end:.2f}" for end in (row.ratio.value, row.ratio.low, row.ratio.high)]


VALUE = r"-?\d[\d,]*(?:\.\d+)?"
INTERVAL = re.compile(rf"({VALUE}) \[({VALUE}), ({VALUE})\]")
ANY_LINK = re.compile(r"\((?:\.\./)*(results/[\w/]+\.json)\)")


def intervals_in(value):
    """Every number of a record that has an interval."""
    if isinstance(value, dict):
        name = "auc" if "auc" in value else "value"
        ends = [value.get(end) for end in (name, "low", "high")]
        if all(isinstance(end, int | float) for end in ends):
            yield ends
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from intervals_in(entry)


def digits_of(number):
    return len(number.partition(".")[2])


@pytest.mark.parametrize("page", PAGES)
def test_every_interval_is_in_a_record_that_its_line_links_to(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    found, missing = 0, []
    for line in text.splitlines():
        known = [n for path in set(ANY_LINK.findall(line)) for n in intervals_in(plain(path))]
        for words in INTERVAL.findall(line):
            digits = [digits_of(word) for word in words]
            written = tuple(word.replace(",", "") for word in words)
            says = {tuple(f"{x:.{d}f}" for x, d in zip(ends, digits, strict=True)) for ends in known}
            found += 1
            missing += [] if written in says else [f"{words}: {line[:80]}"]
    assert not missing
    assert found > 5 or page not in PAGES[:2]
