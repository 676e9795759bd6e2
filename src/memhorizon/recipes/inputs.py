"""Committed sweeps as the input of a recipe that trains nothing."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[3] / "results"


def read_sweeps(names: Sequence[str], results: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The records of those sweeps that are there, and what was read: command, rules, hash of the file."""
    paths = [path for name in names if (path := results / f"{name}.json").exists()]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    records = {name: json.loads(text) for name, text in texts.items()}
    inputs = {
        name: {
            "command": record["command"],
            "rules": record["rules"],
            "sha256": hashlib.sha256(texts[name].encode()).hexdigest(),
        }
        for name, record in records.items()
    }
    return records, inputs
