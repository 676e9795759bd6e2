"""The forecast of a run in progress, which has not copied yet, from its losses alone."""

from collections.abc import Sequence
from dataclasses import replace

from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.fitting import Question
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.progress import T, expected_time
from memhorizon.forecasting.timescale import in_units
from memhorizon.results import Status


def in_progress(pilots: Sequence[Pilot], point: Point, question: Question) -> ForecastTime | None:
    """When a run would copy that is the only one there is; None where it is not, or its losses do not tell.

    Where other pilots have copied, their law answers: it was the better of the two (recipe in_progress).
    """
    if question.timescale != "tau_mem" or any(pilot.tau_mem.observed for pilot in pilots):
        return None
    running = [pilot for pilot in pilots if pilot.point == point and _goes_on(pilot)]
    if not running:
        return None
    latest = max(running, key=lambda pilot: pilot.tau_mem.value)
    assert latest.gap is not None
    uncopied = max(latest.tau_mem.low, 1.0)  # by the last look it may have copied already, for all one knows
    step = expected_time(latest.gap, now=uncopied, confidence=question.confidence)
    if step is None:
        return None
    note = f"by the loss gap of {latest.key} at t = {T} up to step {latest.tau_mem.value:,.0f}"
    return replace(in_units(step, point, Status.IN_PROGRESS, note), censored=len(running))


def _goes_on(pilot: Pilot) -> bool:
    """Whether a run had not copied when it was last looked at, and its losses are known."""
    return pilot.gap is not None and pilot.tau_mem.status is Status.NOT_REACHED
