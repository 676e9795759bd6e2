"""The whole forecast: both timescales, the law for a picture, the pilot to run next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memhorizon.errors import InputError
from memhorizon.forecasting.answers import Forecast, ForecastTime, PilotTime
from memhorizon.forecasting.fitting import Question, check_pilots, fit
from memhorizon.forecasting.next_pilot import next_pilot
from memhorizon.forecasting.pilots import TIMESCALES, Pilot
from memhorizon.forecasting.priors import Exponent, beliefs
from memhorizon.forecasting.refusals import Refusal, mixed
from memhorizon.forecasting.running import in_progress
from memhorizon.forecasting.target import Target, target_of
from memhorizon.forecasting.timescale import answer, curve_of, refused
from memhorizon.results import Curve

ALONG = 13  # points of the law in a picture
BEYOND = 1.15  # how far it goes beyond the largest n, as a factor


@dataclass(frozen=True)
class Asked:
    """What is asked for; None is as in the pilots.

    Attributes:
        n_train: training items of the run.
        width: of its network.
        lr: its learning rate.
        batch_size: items in each update; smaller sets do not fill it.
        confidence: of the prediction intervals.
        exponent: mean and standard deviation of what is believed of the exponent of n in tau_mem.
        accept_prior: whether an exponent that the pilots do not show may be assumed.
    """

    n_train: int
    width: float | None = None
    lr: float | None = None
    batch_size: float | None = None
    confidence: float = 0.9
    exponent: tuple[float, float] | None = None
    accept_prior: bool = False

    def question(self, timescale: str) -> Question:
        """The question of one timescale."""
        known: Mapping[str, Exponent] = beliefs(timescale, self.exponent)
        return Question(timescale, known, self.confidence, self.accept_prior)


def forecast_of(pilots: Sequence[Pilot], asked: Asked) -> Forecast:
    """The forecast from pilots.

    Raises:
        InputError: if there is no pilot, or the batch, width or rate of the run is not known.
    """
    if not pilots:
        raise InputError("pilots: expected at least one run or row, got none")
    refusal = mixed(pilots)
    group = _largest_group(pilots) if refusal else list(pilots)
    target = target_of(group, asked.n_train, batch_size=asked.batch_size, width=asked.width, lr=asked.lr)
    return _forecast(group, target, asked, refusal)


def _forecast(pilots: Sequence[Pilot], target: Target, asked: Asked, refusal: Refusal | None) -> Forecast:
    questions = {timescale: asked.question(timescale) for timescale in TIMESCALES}
    times = {name: _time(pilots, target, question, refusal) for name, question in questions.items()}
    laws = {name: _law(pilots, target, questions[name], times[name]) for name in TIMESCALES}
    point = target.point
    return Forecast(
        n_train=asked.n_train,
        batch_size=point.batch_size,
        width=point.width,
        lr=point.lr,
        confidence=asked.confidence,
        tau_mem=times["tau_mem"],
        tau_gen=times["tau_gen"],
        pilots=tuple(_shown(pilot) for pilot in pilots),
        tau_mem_by_n=laws["tau_mem"],
        tau_gen_by_n=laws["tau_gen"],
        next_pilot=next_pilot(pilots, target, questions["tau_mem"], times["tau_mem"].widened),
    )


def _time(
    pilots: Sequence[Pilot], target: Target, question: Question, refusal: Refusal | None
) -> ForecastTime:
    if refusal is not None:
        return refused(refusal.status, refusal.note, question.confidence)
    running = in_progress(pilots, target.point, question)
    return running or answer(pilots, target.point, question)


def _law(pilots: Sequence[Pilot], target: Target, question: Question, time: ForecastTime) -> Curve | None:
    """The forecast along n, from the smallest pilot to beyond the run that is asked for."""
    if not time.known or check_pilots(pilots, question) is not None:
        return None
    sizes = [pilot.point.n_train for pilot in pilots]
    most = BEYOND * max(*sizes, target.n_train)
    grid = np.geomspace(min(*sizes, target.n_train), most, ALONG).tolist()
    found = fit(pilots, [target.point, *(target.at(n) for n in grid)], question)
    return curve_of(found, grid, question.confidence, time.widened, question.timescale)


def _largest_group(pilots: Sequence[Pilot]) -> list[Pilot]:
    """The pilots of the setting that most of them have."""
    groups: dict[str, list[Pilot]] = {}
    for pilot in pilots:
        groups.setdefault(repr(sorted(pilot.setting.items(), key=lambda entry: entry[0])), []).append(pilot)
    return max(groups.values(), key=len)


def _shown(pilot: Pilot) -> PilotTime:
    """A pilot as the forecast keeps it."""
    point = pilot.point
    return PilotTime(
        pilot.key,
        int(point.n_train),
        point.batch_size,
        point.width,
        point.lr,
        pilot.tau_mem,
        pilot.tau_gen,
    )
