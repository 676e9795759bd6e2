"""Axes of a sweep as they are typed: `--over optimizer.name=sgd,adam optimizer.lr=1e-3,1e-2`."""

import json
from collections.abc import Sequence

from memhorizon.errors import InputError

WORDS = {"None": None, "none": None, "True": True, "False": False}


def axes_of_words(words: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """Read axes; whether their names and values fit is seen when the grid is made.

    Raises:
        InputError: if a word is not NAME=VALUE,VALUE or a name comes twice.

    >>> axes_of_words(["optimizer.name=sgd,adam", "train.batch-size=16,None"])
    {'optimizer.name': ('sgd', 'adam'), 'train.batch_size': (16, None)}
    >>> axes_of_words(["model.multipliers=[1,2],[1,2,4]"])
    {'model.multipliers': ([1, 2], [1, 2, 4])}
    """
    axes: dict[str, tuple[object, ...]] = {}
    for word in words:
        name, given, values = word.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not (name and given and values.strip()):
            raise InputError(f"over: expected NAME=VALUE,VALUE such as optimizer.lr=1e-3,1e-2, got {word!r}")
        if name in axes:
            raise InputError(f"over: expected each name once, got {name} twice")
        axes[name] = _values(values)
    return axes


def _values(text: str) -> tuple[object, ...]:
    """Values of a list as in JSON; words that are none of JSON's are taken as they are."""
    try:
        return tuple(json.loads(f"[{text}]"))
    except (ValueError, RecursionError):
        return tuple(_value(piece.strip()) for piece in text.split(","))


def _value(text: str) -> object:
    try:
        return WORDS[text] if text in WORDS else json.loads(text)
    except (ValueError, RecursionError):
        return text
