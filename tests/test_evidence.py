"""What the pages say of a law is what the record they link to says."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBER = r"-?\d+\.\d+"
FACTOR = rf"(n|W|lr|B)\^({NUMBER}) \[({NUMBER}), ({NUMBER})\]"
LAW = re.compile(rf"(tau_gen|tau_mem|passes) ~ ((?:{FACTOR} ?)+)")
LINK = re.compile(r"\(\S*?(results/\w+\.json)\)")
FACTORS = {"n": "n_train", "W": "width", "lr": "lr", "B": "batch_size"}


def statements():
    """Every law in README and evidence, with the records of sweeps that its line links to."""
    for page in ("README.md", "docs/evidence.md"):
        for line in (ROOT / page).read_text().splitlines():
            links = [path for path in LINK.findall(line) if kind(path) == "sweep"]
            for clock, factors, *_ in LAW.findall(line):
                yield pytest.param(links, clock, factors, id=f"{page} {clock} ~ {factors}")


def kind(path):
    return json.loads((ROOT / path).read_text()).get("kind")


@pytest.mark.parametrize(("links", "clock", "factors"), list(statements()))
def test_an_exponent_is_that_of_its_record(links, clock, factors):
    assert len(set(links)) == 1
    law = json.loads((ROOT / links[0]).read_text())["laws"][clock]
    for factor, *numbers in re.findall(FACTOR, factors):
        exponent = law["exponents"][FACTORS[factor]]
        assert numbers == [f"{exponent[end]:.2f}" for end in ("value", "low", "high")]


def test_laws_are_found_on_both_pages():
    assert {page.id.split()[0] for page in statements()} == {"README.md", "docs/evidence.md"}


CONTRAST = rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\] at ({NUMBER})"
CONTRASTS = re.compile(rf"(tau_gen|tau_mem) times ((?:{CONTRAST}(?:, )?)+)")


def contrasts():
    """Every ratio at a value of a knob, with the records of sweeps that its line links to."""
    for line in (ROOT / "docs/evidence.md").read_text().splitlines():
        links = [path for path in LINK.findall(line) if kind(path) == "sweep"]
        for clock, ratios, *_ in CONTRASTS.findall(line):
            yield pytest.param(links, clock, ratios, id=f"{clock} times {ratios}")


@pytest.mark.parametrize(("links", "clock", "ratios"), list(contrasts()))
def test_a_ratio_is_that_of_its_record(links, clock, ratios):
    assert len(set(links)) == 1
    rows = json.loads((ROOT / links[0]).read_text())["contrasts"]
    for *numbers, value in re.findall(CONTRAST, ratios):
        (row,) = [row for row in rows if (row["clock"], row["value"]) == (clock, float(value))]
        assert numbers == [f"{row['ratio'][end]:.2f}" for end in ("value", "low", "high")]
