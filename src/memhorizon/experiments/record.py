"""From run directories to one record: curves, both timescales, laws. Figures and reports read only this."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.experiments.comparable import apart, batch_of, differs, in_text, once, same_data, setting
from memhorizon.experiments.config import Config, config_of
from memhorizon.experiments.hyperparameters import CONTRASTS, HYPERPARAMETERS, axes_of, varied
from memhorizon.experiments.laws import collapse_of, contrasts_of, laws_by
from memhorizon.experiments.reading import Reading, key_of, read_run
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.times import check_measured, rules_for, times_of
from memhorizon.experiments.written import WrittenConfig, is_written, written_of
from memhorizon.records.codec import encode, encode_object
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import LeftOut, RunRecord, SweepRecord
from memhorizon.results import Status, Time, Timescales
from memhorizon.timescales.rules import Rules

Factors = dict[str, float | int | str | None]


def record(
    runs: Sequence[RunDir], rules: Rules | None = None, *, name: str = "", command: str = ""
) -> SweepRecord:
    """Everything that was measured in these runs and what follows from it.

    Runs that cannot be read, and those that are a run of the list once more, are left out and listed under
    `left_out` with the reason. Runs that do not compare with the largest group of those that do are further
    records, under `others`.

    Args:
        runs: run directories.
        rules: how times are read; None reads tau_gen from the quality of samples where all runs have it, else
            from the held-out loss at the measured diffusion time nearest to 0.1. Rules that are given replace
            all of these: `dataclasses.replace(made.rules, memorized=0.2)` changes one.
        name: of the record.
        command: that made it.

    Raises:
        InputError: if there is no run or none can be read, or no run has the curve that the rules name.
    """
    if not runs:
        raise InputError("runs: expected at least one, got none")
    if rules is not None:
        check_kind("rules", rules, Rules)
    readings, damaged = _readable(runs)
    readings, repeated = once(readings)
    readings, replaced = same_data(readings)
    check_measured(readings, rules)
    largest, *smaller = _groups(readings)
    return replace(
        _record(largest, rules, name, command),
        left_out=(*damaged, *repeated, *replaced),
        others=tuple(
            replace(_record(group, rules, name, command), differs=_apart(group, largest)) for group in smaller
        ),
    )


def _apart(group: Sequence[Reading], largest: Sequence[Reading]) -> dict[str, Plain]:
    """The settings of a group that are not those of the largest one."""
    return _plain_settings(differs(_about(group[0]), _about(largest[0])))


def _plain_settings(settings: Mapping[str, Plain]) -> dict[str, Plain]:
    return {name: encode(entry) for name, entry in settings.items()}


def read_again(record: SweepRecord, rules: Rules, *, laws: bool = True) -> SweepRecord:
    """Read the runs of a record by other rules: times, laws and contrasts follow from its curves.

    Args:
        record: of a sweep.
        rules: how times are read now.
        laws: whether laws and contrasts are wanted, which take most of the time.

    Returns:
        The record with these times.

    Raises:
        InputError: if no run has the curve that the rules name, or a configuration is none of this version.
    """
    check_kind("record", record, SweepRecord)
    check_kind("rules", rules, Rules)
    readings = [_reading(run) for run in record.runs]
    check_measured(readings, rules)
    again = _with_times(readings, rules, record.name, record.command)
    again = _with_laws(again) if laws else again
    kept = {
        name: getattr(record, name) for name in ("claim", "size", "seconds", "made", "left_out", "differs")
    }
    others = tuple(read_again(other, rules, laws=laws) for other in record.others)
    return replace(again, others=others, **kept)


def _reading(run: RunRecord) -> Reading:
    """A run of a record as what its directory held."""
    known = written_of(run.config) if is_written(run.config) else config_of(run.config)
    return Reading(run.key, known, run.curves, run.null, run.environment, run.data, run.notes)


def factors(config: Config | WrittenConfig) -> Factors:
    """What runs of a sweep differ in; None is what a network lacks, and Adam has no momentum at all."""
    if isinstance(config, WrittenConfig):
        return dict(config.factors)
    known = {name: entry.value_in(config) for name, entry in HYPERPARAMETERS.items()}
    del known["n_train"]
    if "momentum" not in axes_of(config):
        del known["momentum"]
    return {**known, "batch_size": batch_of(config), "optimizer": config.optimizer.name}


# --- which runs ---


def _readable(runs: Sequence[RunDir]) -> tuple[list[Reading], list[LeftOut]]:
    """What can be read, and the others with the reason.

    Raises:
        InputError: if nothing can be read.
    """
    readings = []
    left_out = []
    for run in runs:
        try:
            readings.append(read_run(run))
        except (InputError, OSError) as error:
            left_out.append(LeftOut(key_of(run), str(error)))
    if not readings:
        raise InputError(left_out[0].reason)
    return readings, left_out


def _groups(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Runs that compare, the largest group first; of equal ones the first by its settings.

    Where powers are varied, all runs of a group have the same value of each hyperparameter that is none.
    """
    untimed = Timescales(_NO_TIME, _NO_TIME)
    groups = []
    for group in apart(readings, lambda reading: setting(reading.config)):
        runs = [_run(reading, untimed) for reading in group]
        groups += apart(group, _contrasted) if varied(runs) else [group]
    return sorted(groups, key=lambda group: (-len(group), in_text(_about(group[0]))))


_NO_TIME = Time.unknown(Status.NOT_MEASURED, "")


def _contrasted(reading: Reading) -> dict[str, Plain]:
    known = factors(reading.config)
    return {name: known.get(name) for name in CONTRASTS}


def _about(reading: Reading) -> dict[str, Plain]:
    return setting(reading.config) | _contrasted(reading)


# --- the record of runs that compare ---


def _record(readings: Sequence[Reading], rules: Rules | None, name: str, command: str) -> SweepRecord:
    return _with_laws(_with_times(readings, rules, name, command))


def _with_times(readings: Sequence[Reading], rules: Rules | None, name: str, command: str) -> SweepRecord:
    """The runs and their times."""
    rules = rules_for(readings, rules)
    times = times_of(readings, rules)
    runs = tuple(_run(reading, own) for reading, own in zip(readings, times, strict=True))
    return SweepRecord(name, command, rules, runs)


def _with_laws(made: SweepRecord) -> SweepRecord:
    """The record with what follows from the times of its runs: laws where powers are varied, or contrasts."""
    by = varied(made.runs)
    if not by:
        return replace(made, contrasts=tuple(contrasts_of(made.runs)))
    collapse, note = collapse_of(made.runs, by)
    return replace(made, laws=laws_by(made.runs, by), collapse=collapse, collapse_note=note)


def _run(reading: Reading, times: Timescales) -> RunRecord:
    return RunRecord(
        key=reading.key,
        n_train=_n_train(reading.config),
        seed=reading.config.seed,
        factors=factors(reading.config),
        config=encode_object(reading.config),
        environment=reading.environment,
        data=reading.data,
        curves=reading.curves,
        null=reading.null,
        timescales=times,
        n_updates=_n_updates(reading.config),
        notes=reading.notes,
    )


def _n_train(config: Config | WrittenConfig) -> int:
    return config.n_train if isinstance(config, WrittenConfig) else config.data.n_train


def _n_updates(config: Config | WrittenConfig) -> int:
    return config.n_updates if isinstance(config, WrittenConfig) else config.train.n_updates
