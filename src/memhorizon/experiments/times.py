"""Both timescales of runs that compare: the rules that can be used on them, one level of quality for all."""

from collections.abc import Sequence
from dataclasses import replace

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.reading import Reading
from memhorizon.experiments.written import WrittenConfig
from memhorizon.results import Status, Time, Timescales
from memhorizon.timescales.levels import Level, level_by
from memhorizon.timescales.readings import has_intervals
from memhorizon.timescales.rules import AT_A_TIME, DEFAULT_T, OF_SAMPLES, Rules
from memhorizon.timescales.times import timescales


def check_measured(readings: Sequence[Reading], rules: Rules | None) -> None:
    """Refuse rules that name a curve which was measured nowhere; the default ones take what is there.

    Raises:
        InputError: if the curve is none of the measured ones.
    """
    if rules is None or rules.is_of_default_curve:
        return
    known = sorted({name for reading in readings for name in reading.curves})
    if rules.curve not in known:
        where = f"{readings[0].key} has no curve {rules.curve!r} with a finite value"
        raise InputError(f"rules: {where}; there are {known}")


def rules_for(readings: Sequence[Reading], rules: Rules | None) -> Rules:
    """The rules as they can be used: the measured diffusion time nearest to the default one.

    Where none are given, times are read from the quality of samples if all runs have measured it, else from
    the held-out loss.
    """
    rules = rules or default_rules(readings)
    if rules.quality not in AT_A_TIME:
        return replace(rules, t=None)
    names = [name for reading in readings for name in reading.curves if name.startswith(rules.quality + "@")]
    if rules.t != DEFAULT_T or rules.curve in names or not names:
        return rules
    return replace(rules, t=min(_times_of_most(names), key=lambda t: (abs(t - DEFAULT_T), t)))


def _times_of_most(names: Sequence[str]) -> set[float]:
    """The diffusion times that were measured in most runs, so that as many as can be are compared."""
    most = max(names.count(name) for name in names)
    return {float(name.split("@")[1]) for name in names if names.count(name) == most}


def default_rules(readings: Sequence[Reading]) -> Rules:
    """By the quality of samples where all runs have it, of pixels if they have that, else by the loss.

    Samples of a network that was trained at one diffusion time alone have no quality.
    """
    if any(_is_of_one_time(reading.config) for reading in readings):
        return Rules()
    for quality in OF_SAMPLES:
        curves = [reading.curves.get(quality) for reading in readings]
        if all(curve is not None and has_intervals(curve) for curve in curves):
            return Rules.of_samples(quality)
    return Rules()


def _is_of_one_time(config: Config | WrittenConfig) -> bool:
    return isinstance(config, Config) and config.train.diffusion_time is not None


def times_of(readings: Sequence[Reading], rules: Rules) -> list[Timescales]:
    """Both timescales of each run; where they cannot be read, with the reason."""
    measured = [reading for reading in readings if rules.curve in reading.curves]
    quality = [reading.curves[rules.curve] for reading in measured]
    predicts_noise = all(_predicts_noise(reading.config) for reading in measured)
    level = level_by(rules, quality, predicts_noise=predicts_noise)
    return [_times_of_run(reading, rules, level) for reading in readings]


def _predicts_noise(config: Config | WrittenConfig) -> bool:
    """Whether its network is known to: what a user's network predicts is not."""
    return isinstance(config, Config) and config.train.prediction == "noise"


def _times_of_run(reading: Reading, rules: Rules, level: Level) -> Timescales:
    gap = rules.curve.replace(rules.quality, "gap", 1)
    try:
        found = timescales(
            reading.curves.get(rules.curve),
            reading.curves.get("memorized"),
            quality_level=level.value,
            quality_level_sd=level.sd,
            steep=rules.is_of_samples,
            memorized_level=rules.memorized,
            null=reading.null or 0.0,
            gap=reading.curves.get(gap),
            status=level.status,
        )
    except InputError as error:  # a curve that no time can be read from must not hide the other runs
        unknown = Time.unknown(Status.NOT_MEASURED, str(error))
        return Timescales(unknown, unknown)
    return replace(found, tau_gen=_explained(found.tau_gen, rules.curve, reading, level))


def _explained(tau_gen: Time, curve: str, reading: Reading, level: Level) -> Time:
    """The time with what is known of why it was not measured."""
    if tau_gen.status is not Status.NOT_MEASURED:
        return tau_gen
    if curve not in reading.curves:
        return replace(tau_gen, rule=f"{curve} was not measured in this run")
    note = reading.notes.get(curve)
    if level.value is None and level.status is Status.NOT_MEASURED:
        note = (
            f"its best value is not above 0 in any run, so no level is relative to it; {note or ''}".rstrip(
                "; "
            )
        )
    return replace(tau_gen, rule=f"{tau_gen.rule} ({curve}: {note})") if note else tau_gen
