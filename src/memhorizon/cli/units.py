"""Seconds and bytes in the unit that one would use."""

import math


def duration(seconds: float) -> str:
    """Seconds in the unit that one would use.

    >>> duration(7.4), duration(600.0), duration(9000.0), duration(1e6)
    ('7 s', '10 min', '2.5 h', '11.6 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def size(count: int) -> str:
    """Bytes in the unit that one would use.

    >>> size(900), size(52_000_000), size(3_200_000_000)
    ('1 kB', '52 MB', '3.2 GB')
    """
    if count < 1e6:
        return f"{math.ceil(count / 1e3)} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
