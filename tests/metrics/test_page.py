"""The code blocks of docs/metrics.md run, and print what their comments say."""

import re
from pathlib import Path

import pytest

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
