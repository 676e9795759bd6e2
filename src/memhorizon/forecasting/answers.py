"""What a forecast answers: when a run would copy and when it would be good, what that rests on, what next."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.results import Curve, Estimate, Status, Time, status_among

FORECAST_STATUSES = (
    Status.FORECAST,
    Status.IN_PROGRESS,
    Status.ASSUMED,
    Status.ALL_CENSORED,
    Status.ONE_VALUE,
    Status.CONTRADICTORY,
    Status.MIXED,
    Status.NOT_MEASURED,
)


SETTING = {"batch_size": "batch", "width": "width", "lr": "lr"}  # of a run beside its n: names, and in words
SURPRISING = 0.05  # probability below which pilots are told to contradict the prior


@dataclass(frozen=True)
class ForecastTime:
    """When a run would copy, or be good, with the interval in which one more run lies.

    Attributes:
        step: in updates; NaN with an unbounded interval where it is refused.
        epochs: in passes over its training set; NaN where the batch size is not known.
        items: in training items seen, repetitions included; NaN likewise.
        status: "forecast"; "from a run in progress", by its losses; "rests on the prior" where an exponent is
            assumed; or why it is refused.
        note: details of the status.
        exponents: of the law, by factor: what pilots and prior say together.
        prior: what was believed of each exponent before.
        alone: what the pilots say of the exponent of n_train without the prior; None where they say nothing.
        conflict: probability of pilots that differ from the prior as much as these; NaN where not known.
        left_out: time of the largest pilots over its forecast from the smaller ones; None without either, or
            where some of the largest have a bound only.
        observed: pilots whose time was observed.
        censored: pilots whose time is a bound.
        widened: factor of the interval in log time by split conformal prediction; 1 where it was not needed.
    """

    step: Estimate
    epochs: Estimate
    items: Estimate
    status: Status
    note: str = ""
    exponents: Mapping[str, Estimate] = field(default_factory=dict)
    prior: Mapping[str, Estimate] = field(default_factory=dict)
    alone: Estimate | None = None
    conflict: float = math.nan
    left_out: Estimate | None = None
    observed: int = 0
    censored: int = 0
    widened: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", status_among(FORECAST_STATUSES, self.status))

    @property
    def known(self) -> bool:
        """Whether there is an answer."""
        return self.status in (Status.FORECAST, Status.IN_PROGRESS, Status.ASSUMED)

    def __str__(self) -> str:
        if not self.known:
            return f"- ({self.status})"
        return str(self.step)


@dataclass(frozen=True)
class NextPilot:
    """The run that would narrow a forecast most for its time.

    Attributes:
        n_train: number of training items.
        n_updates: length in steps, with which it copies in nine of ten cases.
        factor: ends of the interval over each other, expected after it.
        before: the same now; by the prior where the forecast is refused, infinite where nothing was observed.
        items: training items that it sees: its cost.
        seconds: that it takes, as the pilots did; NaN where unknown.
        note: why this one.
        batch_size: items in each of its updates; None where unknown.
        width: of its network; None where unknown.
        lr: its learning rate; None where unknown.
    """

    n_train: int
    n_updates: int
    factor: float
    before: float
    items: float
    seconds: float = math.nan
    note: str = ""
    batch_size: float | None = None
    width: float | None = None
    lr: float | None = None


@dataclass(frozen=True)
class PilotTime:
    """A pilot as a forecast keeps it, for its picture and its record.

    Attributes:
        key: its name.
        n_train: number of training items.
        batch_size: items in each update; None where unknown.
        width: of its network; None where unknown.
        lr: its learning rate; None where unknown.
        tau_mem: when it copied.
        tau_gen: when it was good.
    """

    key: str
    n_train: int
    batch_size: float | None
    width: float | None
    lr: float | None
    tau_mem: Time
    tau_gen: Time


@dataclass(frozen=True, repr=False)
class Forecast:
    """How many steps until a run of n_train items copies, forecast from pilots.

    Attributes:
        n_train: training items of the run.
        batch_size: items in each of its updates; None where unknown.
        width: of its network, where that is a factor; None where it is that of the pilots.
        lr: its learning rate, likewise.
        confidence: nominal coverage of the prediction intervals: one more run lies within.
        tau_mem: when it would copy; `tau_mem.step.low` is how long it can be trained.
        tau_gen: when it would be good.
        pilots: what the forecast rests on.
        tau_mem_by_n: tau_mem along n with the interval of one more run; `step` of the curve is n.
        tau_gen_by_n: the same of tau_gen.
        next_pilot: the run that would narrow tau_mem most for its time; None where none would.
        left_out: runs that were given and are not among the pilots, each with the reason.
    """

    n_train: int
    batch_size: float | None
    width: float | None
    lr: float | None
    confidence: float
    tau_mem: ForecastTime
    tau_gen: ForecastTime
    pilots: tuple[PilotTime, ...] = ()
    tau_mem_by_n: Curve | None = None
    tau_gen_by_n: Curve | None = None
    next_pilot: NextPilot | None = None
    left_out: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """That of tau_mem."""
        return self.tau_mem.status

    def summary(self) -> str:
        """What was forecast in words: both times in all units, what they rest on, the pilot to run next."""
        lines = [*_answer_lines(self, "tau_mem"), *_answer_lines(self, "tau_gen")]
        if self.tau_mem.known:
            safe = f"{rounded_text(self.tau_mem.step.low)} steps"
            share = 50 * (1 - self.confidence)
            lines.append(f"up to {safe} it copies in at most {share:.3g}% of such runs")
        lines += _evidence_lines(self.tau_mem)
        lines += _batch_lines(self)
        lines += _rule_lines(self)
        if self.next_pilot is not None:
            lines.append(_next_line(self.next_pilot, _setting_text(self)))
        lines += [f"left out: {run}" for run in self.left_out]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """The size and both times in steps."""
        return f"Forecast(n_train {self.n_train:,}: tau_gen {self.tau_gen}, tau_mem {self.tau_mem} steps)"


def interval_text(found: Estimate) -> str:
    """A number with its interval, each to three digits."""
    return f"{rounded_text(found.value)} [{rounded_text(found.low)}, {rounded_text(found.high)}]"


def rounded_text(value: float) -> str:
    """Round to three significant digits, written out: what a forecast knows of a step.

    >>> rounded_text(12345.6), rounded_text(0.01234)
    ('12,300', '0.0123')
    """
    if not math.isfinite(value) or value == 0:
        return str(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.0f}" if digits <= 0 else f"{rounded:g}"


def _answer_lines(found: Forecast, name: str) -> list[str]:
    answer = found.tau_mem if name == "tau_mem" else found.tau_gen
    if not answer.known:
        reason = f": {answer.note}" if answer.note else ""
        return [f"{name}({found.n_train:,}): {answer.status}{reason}"]
    units = [f"{interval_text(answer.step)} steps"]
    if not math.isnan(answer.epochs.value):
        units += [f"{interval_text(answer.epochs)} epochs", f"{interval_text(answer.items)} items seen"]
    note = f" ({answer.note})" if answer.note else ""
    return [f"{name}({found.n_train:,}) = {' = '.join(units)}{note}"]


def _evidence_lines(answer: ForecastTime) -> list[str]:
    """Exponents beside what was believed, and how well the smaller pilots tell of the largest."""
    lines = [
        f"exponent of {name}: {_short(found)}; believed before: {_short(answer.prior[name])}"
        for name, found in answer.exponents.items()
    ]
    if answer.alone is not None:
        verdict = "contradict" if answer.conflict < SURPRISING else "agree with"
        chance = f"p = {answer.conflict:.2g}"
        lines.append(
            f"the pilots alone: n^{_short(answer.alone)}; they {verdict} what was believed ({chance})"
        )
    if answer.left_out is not None:
        lines.append(f"largest pilots over their forecast from the smaller ones: {_short(answer.left_out)}")
    if answer.widened > 1:
        lines.append(
            f"widened by {answer.widened:.2f}, as such forecasts of the pilots were wrong (conformal)"
        )
    return lines


def _batch_lines(found: Forecast) -> list[str]:
    """Which batch was assumed, and how to set it; nothing where that of the run is smaller than its set."""
    if found.batch_size is None:
        return [
            "batch: not known, so taken to be as in the pilots whatever n; give the batch_size of each pilot"
        ]
    whole = all(pilot.batch_size == pilot.n_train for pilot in found.pilots)
    if whole and found.batch_size == found.n_train:
        size = f"{found.n_train:,}"
        return [f"batch: {size}, the whole set in each update, as in the pilots; batch_size sets another"]
    return []


def _rule_lines(found: Forecast) -> list[str]:
    """How the times of the pilots were read."""
    lines = []
    for name in ("tau_mem", "tau_gen"):
        rules = _rules_of_pilots(found, name)
        if rules:
            lines.append(f"{name} of the pilots: {_first_of(rules)}")
    return lines


def _rules_of_pilots(found: Forecast, name: str) -> list[str]:
    times = [pilot.tau_mem if name == "tau_mem" else pilot.tau_gen for pilot in found.pilots]
    return sorted({time.rule for time in times if time.known and time.rule})


def _first_of(rules: list[str]) -> str:
    others = f", and {len(rules) - 1} more" if len(rules) > 1 else ""
    return f"{rules[0]}{others}"


def _setting_text(found: Forecast) -> str:
    """Batch, width and rate of the next pilot; empty where all runs have the same ones."""
    runs = [*found.pilots, found, found.next_pilot]
    if all(len({getattr(run, name) for run in runs}) == 1 for name in SETTING):
        return ""
    values = {words: getattr(found.next_pilot, name) for name, words in SETTING.items()}
    return "".join(f", {words} {value:g}" for words, value in values.items() if value is not None)


def _next_line(pilot: NextPilot, setting: str) -> str:
    """The pilot to run next, in words."""
    what = f"run next: n = {pilot.n_train:,}{setting} for {pilot.n_updates:,} steps"
    about = "" if math.isnan(pilot.seconds) else f", about {pilot.seconds / 60:.0f} min"
    if math.isnan(pilot.factor):
        return f"{what}{about}: {pilot.note}"
    return f"{what}{about}: high over low falls from {_factor(pilot.before)} to about {_factor(pilot.factor)}"


def _factor(value: float) -> str:
    """A factor to one decimal, or to its magnitude where it is very large."""
    return f"{value:.1f}" if value < 1e4 else f"{value:.2g}"


def _short(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
