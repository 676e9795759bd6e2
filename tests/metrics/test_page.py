"""The code blocks of docs/metrics.md run, and print what their comments say."""

import re
from pathlib import Path

import pytest
import torch

from memhorizon.datasets.config import DataConfig
from memhorizon.datasets.split import load_split
from memhorizon.metrics import METRICS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)


@pytest.mark.parametrize("block", BLOCKS, ids=["functions", "torchmetrics"])
def test_the_blocks_run_and_print_what_they_say(block, capsys):
    if "torchmetrics" in block:
        pytest.importorskip("torchmetrics")
    exec(compile(block, "block", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for number in re.findall(r"# (\d\.\d+ \[.*\))$", block, re.M):
        assert number in printed


ON_DIGITS = dict(re.findall(r"^\| `(\w+)` \| ([-\d.e*| ]+) \|$", PAGE, re.M))


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_the_numbers_on_digits_are_those_of_the_page(name):
    split = load_split(DataConfig(name="digits", n_train=600, n_holdout=1190))
    holdout, honest = split.holdout.split([590, 600])
    few = torch.cat([split.train[:30], honest[:570]])
    found = [
        METRICS[name].function(rows, split.train, holdout=holdout) for rows in (honest, few, split.train)
    ]
    numbers = [found[0].null.value, *(measured.value.value for measured in found)]
    # three digits are printed
    printed = [float(cell.strip(" *")) for cell in ON_DIGITS[name].split("|")]
    assert numbers == pytest.approx(printed, rel=5e-3, abs=1e-12)
