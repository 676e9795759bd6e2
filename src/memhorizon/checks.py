"""Options checked where they enter: known words, whole numbers, numbers of a range.

Each refusal names the option, what was expected and what came. Nothing here needs torch.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TypeVar

from memhorizon.errors import InputError

LARGEST = 2**63  # integers of a configuration are below

Word = TypeVar("Word", bound=str)


def check_choice(name: str, value: object, choices: Sequence[Word]) -> Word:
    """Return the one of some words that a value is.

    Raises:
        InputError: if `value` is none of `choices`.
    """
    for choice in choices:
        if isinstance(value, str) and value == choice:
            return choice
    words = ", ".join(f'"{choice}"' for choice in choices)
    raise InputError(f"{name}: expected one of {words}, got {value!r}")


def check_whole(name: str, value: object, *, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number from `least` to `most`, either end free where it is None.

    True and False are no numbers here, and 2.0 is not whole: a rounded quotient would pass unseen.

    Raises:
        InputError: if `value` is not such a number.
    """
    number = _as_whole(value)
    if number is not None and _within(number, least, most):
        return number
    raise InputError(f"{name}: expected a whole number{_ends(least, most)}, got {value!r}")


def check_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number of a range as a float; ends that are None are free.

    Raises:
        InputError: if `value` is no finite number, or outside of the range.
    """
    ends = {">=": least, ">": above, "<=": most, "<": below}
    number = _as_finite(value)
    if number is not None and _lies_between(number, ends):
        return number
    raise InputError(f"{name}: expected a finite number{_range_in_words(ends)}, got {value!r}")


def check_kind(name: str, value: object, kind: type) -> None:
    """Refuse what is of another class.

    Raises:
        InputError: if `value` is no instance of `kind`.
    """
    if not isinstance(value, kind):
        got = repr(value)[:60] if isinstance(value, type) else type(value).__name__
        raise InputError(f"{name}: expected a {kind.__name__}, got {got}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        InputError: if `value` is anything else, such as 1 or "yes".
    """
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected True or False, got {value!r}")


def check_tuple(name: str, value: object, *, size: int | None = None) -> None:
    """Refuse what is no tuple, or one of another length than `size`.

    Raises:
        InputError: if `value` is no such tuple; a string is none.
    """
    if not isinstance(value, tuple) or (size is not None and len(value) != size):
        length = "" if size is None else f" of {size}"
        raise InputError(f"{name}: expected a tuple{length}, got {value!r}")


def _as_whole(value: object) -> int | None:
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def _within(number: int, least: int | None, most: int | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def _ends(least: int | None, most: int | None) -> str:
    """Both ends of a range in words; those that are free are not named."""
    low = "" if least is None else f" of at least {least}"
    high = "" if most is None else f"{' and' if low else ' of'} at most {most}"
    return low + high


def _as_finite(value: object) -> float | None:
    """A number as a float, if that is finite."""
    if isinstance(value, bool) or not isinstance(value, Real) or not _finite(value):
        return None
    return float(value)


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest of float64
        return False


def _lies_between(number: float, ends: Mapping[str, float | None]) -> bool:
    return all(_holds(number, sign, end) for sign, end in ends.items() if end is not None)


def _holds(value: float, sign: str, end: float) -> bool:
    if sign == ">=":
        return value >= end
    if sign == ">":
        return value > end
    return value <= end if sign == "<=" else value < end


def _range_in_words(ends: Mapping[str, float | None]) -> str:
    words = " and ".join(f"{sign} {end:g}" for sign, end in ends.items() if end is not None)
    return f" {words}" if words else ""
