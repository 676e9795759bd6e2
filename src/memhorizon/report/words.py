"""Numbers in words: times, steps, measured values with their intervals, lists."""

import math
from collections.abc import Sequence

from memhorizon.results import Estimate, Status, Time


def time_text(time: Time) -> str:
    """Write a time with its interval; a censored one as a bound, and what is none as a dash with the reason.

    >>> time_text(Time(1800.0, 0.0, float("inf"), Status.NOT_REACHED))
    '> 1,800'
    """
    if not time.known:
        return f"– ({time.status})"
    if time.status is Status.NOT_REACHED:
        return f"> {step_text(time.value)}"
    if time.status is Status.BEFORE_FIRST:
        return f"< {step_text(time.value)}"
    return f"{step_text(time.value)} {time_interval(time)}"


def time_interval(time: Time) -> str:
    """Write the interval of a time; an end that nothing bounds is infinite."""
    high = step_text(time.high) if math.isfinite(time.high) else "∞"
    return f"[{step_text(time.low)}, {high}]"


def step_text(step: float) -> str:
    """Write a training step.

    >>> step_text(1234.5), step_text(54.13), step_text(2.53)
    ('1,234', '54', '2.5')
    """
    return f"{step:,.0f}" if step >= 10 or step == 0 else f"{step:.2g}"


def measured_text(e: Estimate) -> str:
    """Write a measured number with its interval, to three digits.

    >>> measured_text(Estimate(0.18, 0.1734, 0.188)), measured_text(Estimate(886.0, 135.0, 1640.0))
    ('0.180 [0.173, 0.188]', '886 [135, 1,640]')
    """
    return f"{number_text(e.value)} [{number_text(e.low)}, {number_text(e.high)}]"


def number_text(x: float) -> str:
    """Write a number to three digits, a larger whole part in full.

    >>> number_text(3.6581), number_text(616755.4), number_text(math.inf)
    ('3.66', '616,755', '∞')
    """
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:#.3g}".removesuffix(".")


def share_text(e: Estimate) -> str:
    """Write a share with its interval, in per cent.

    >>> share_text(Estimate(0.25, 0.2, 0.3))
    '25.0 % [20.0, 30.0]'
    """
    return f"{100 * e.value:.1f} % [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def status_text(status: Status, note: str) -> str:
    """A status with its details.

    >>> status_text(Status.NOT_FITTED, "two runs")
    'not fitted: two runs'
    """
    return f"{status}: {note}" if note else str(status)


def joined(parts: Sequence[str]) -> str:
    """A list in words.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def counted(count: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "run"), counted(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {what}{'s' * (count != 1)}"
