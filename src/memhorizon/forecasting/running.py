"""The forecast of a run in progress, which has not copied yet, from its losses alone."""

from collections.abc import Sequence
from dataclasses import replace

from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.progress import T, expected_time
from memhorizon.forecasting.timescale import Question, per_epoch, scaled
from memhorizon.results import Status


def in_progress(pilots: Sequence[Pilot], point: Point, question: Question) -> ForecastTime | None:
    """When a run would copy that is the only one there is; None where it is not, or its losses do not tell.

    Where other pilots have copied, their law answers: it was the better of the two (recipe in_progress).
    """
    if question.timescale != "tau_mem" or any(pilot.tau_mem.observed for pilot in pilots):
        return None
    running = [pilot for pilot in pilots if pilot.point == point and pilot.gap is not None]
    running = [pilot for pilot in running if pilot.tau_mem.status is Status.NOT_REACHED]
    if not running:
        return None
    latest = max(running, key=lambda pilot: pilot.tau_mem.value)
    assert latest.gap is not None
    step = expected_time(latest.gap, now=latest.tau_mem.value, confidence=question.confidence)
    if step is None:
        return None
    note = f"by the loss gap of {latest.key} at t = {T} up to step {latest.tau_mem.value:,.0f}"
    made = ForecastTime(
        step, scaled(step, per_epoch(point)), scaled(step, point.batch_size), Status.IN_PROGRESS, note
    )
    return replace(made, censored=len(running))
