"""How many steps until it copies? `forecast` answers from pilots: runs, records, or tables of times."""

import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from memhorizon.checks import check_flag, check_kind, check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.pilots import pilots_of_record
from memhorizon.experiments.record import record
from memhorizon.experiments.rules import rules_of
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import write_page
from memhorizon.forecasting import answers
from memhorizon.forecasting.forecast import Asked, forecast_of
from memhorizon.forecasting.pilots import MOST, Pilot, pilots_of_rows
from memhorizon.records.files import load_record, write_record
from memhorizon.records.forecast import ForecastRecord
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Status
from memhorizon.sweeps import Sweep, find_runs
from memhorizon.timescales.rules import Rules

MOST_CONFIDENCE = 1 - 1e-6  # tails beyond are those of components that are too light to be kept
Source: TypeAlias = str | Path | RunDir | Sweep | SweepRecord | RunRecord | Mapping[str, object]


@dataclass(frozen=True, repr=False)
class Forecast(answers.Forecast):
    """A forecast, and the ways to keep it; its attributes are those of `memhorizon.forecasting.answers`."""

    def record(self) -> ForecastRecord:
        """Everything that was asked and answered."""
        return ForecastRecord(f"forecast of n = {self.n_train:,}", "", answers.Forecast(**vars(self)))

    def save(self, path: str | Path) -> Path:
        """Write the record as JSON, which `load_record` reads.

        Raises:
            InputError: if no file can be written at `path`.
        """
        return write_record(self.record(), path)

    def to_html(self, path: str | Path) -> Path:
        """Write the page: one file with a picture, no script, nothing loaded from elsewhere.

        Args:
            path: of the HTML file; in a folder that exists it is named report.html.

        Returns:
            The path of the page.

        Raises:
            InputError: if no file can be written at `path`.
        """
        from memhorizon.report import report  # matplotlib, which nothing else here needs

        return write_page(path, report(self.record()))


def forecast(
    pilots: Source | Iterable[Source],
    *,
    n_train: int,
    width: float | None = None,
    lr: float | None = None,
    batch_size: float | None = None,
    confidence: float = 0.9,
    exponent: tuple[float, float] | None = None,
    accept_prior: bool = False,
    rules: Rules | None = None,
) -> Forecast:
    """Forecast when a run of `n_train` items would copy, and when it would be good.

    Log times are normal about a power law, with the scatter between seeds and a misfit that grows with the
    distance from the pilots; times that were not reached enter as bounds. Exponents have a prior (the
    paper's: tau_mem proportional to n, tau_gen independent of it), which the answer shows beside what the
    pilots say alone. The intervals are those in which one more run lies.

    Args:
        pilots: run directories or folders of them, records of sweeps (or their files), or rows of a table
            with "n", "time" and, as far as they are known, "censored", "tau_gen", "seed", "width", "lr",
            "batch_size", "key"; one or several. Times and sizes are at most 1e15.
        n_train: training items of the run that is asked for.
        width: of its network; as in the pilots where it is not given.
        lr: its learning rate; likewise.
        batch_size: items in each update, which smaller sets do not fill; likewise.
        confidence: nominal coverage of the intervals, at most 0.999999.
        exponent: mean (-10 to 10) and standard deviation (1e-6 to 5) of what is believed of the exponent of
            n in tau_mem; by default 1 +- 0.3 where all items are in each update, 1.5 +- 0.5 at a smaller
            batch, 1 +- 0.4 where it is not known.
        accept_prior: answer also where the pilots show no exponent (one n only), from the prior alone.
        rules: how times are read off run directories, and of these only: records and rows have their times.

    Returns:
        Both times in steps, epochs and items seen, or the reason why the pilots cannot tell, as a status; and
        the pilot to run next.

    Raises:
        InputError: if there is no pilot, one cannot be read or has an unknown column, `rules` are no Rules,
            or the width, rate or batch of the run is neither given nor the same in all pilots.
    """
    asked = Asked(
        check_whole("n_train", n_train, least=1, most=int(MOST)),
        _positive("width", width),
        _positive("lr", lr),
        _positive("batch_size", batch_size),
        check_number("confidence", confidence, above=0, most=MOST_CONFIDENCE),
        exponent,
        accept_prior,
    )
    check_flag("accept_prior", accept_prior)
    found = gather(pilots, rules)
    answer = replace(forecast_of(found.pilots, asked), left_out=found.left_out)
    return Forecast(**vars(answer))


def _positive(name: str, value: float | None) -> float | None:
    return None if value is None else check_number(name, value, least=1 / MOST, most=MOST)


class Gathered(NamedTuple):
    """What sources hold: pilots, and runs that are none, each with the reason."""

    pilots: list[Pilot]
    left_out: tuple[str, ...]


def read_pilots(sources: Source | Iterable[Source], rules: Rules | None = None) -> list[Pilot]:
    """Pilots from runs, records and rows, as `gather` finds them.

    Raises:
        InputError: if there is none, or a record or row cannot be read.
    """
    return gather(sources, rules).pilots


def gather(sources: Source | Iterable[Source], rules: Rules | None = None) -> Gathered:
    """Pilots from runs, records and rows; a run that is in several of them counts once.

    Raises:
        InputError: if there is none, a record or row cannot be read, or `rules` are no Rules; runs that
            cannot be read are listed.
    """
    if rules is not None:
        check_kind("rules", rules, Rules)
    listed = _listed(sources)
    records = [_record_of(one) for one in listed if is_record(one)]
    places = [one for one in listed if not (isinstance(one, Mapping) or is_record(one))]
    runs = [run for place in places for run in _runs_at(place)]
    found = pilots_of_rows([one for one in listed if isinstance(one, Mapping)])
    for one in records:
        found += pilots_of_record(one)
    if runs:
        made = record(runs, rules or rules_beside([one for one in places if isinstance(one, str | Path)]))
        records.append(made)
        found += pilots_of_record(made, _seconds_of(runs))
    return Gathered(_once(found), _left_out(records))


def is_record(one: object) -> bool:
    """Whether a source is a record, or the file of one."""
    if isinstance(one, str | Path):
        return Path(one).suffix == ".json" and os.path.isfile(one)  # noqa: PTH113  False where no file can be
    return isinstance(one, SweepRecord | RunRecord)


def _record_of(one: object) -> SweepRecord | RunRecord:
    """A source that is a record, read if it is a file.

    Raises:
        InputError: if the file is not that of a sweep.
    """
    if isinstance(one, SweepRecord | RunRecord):
        return one
    found = load_record(str(one))
    if not isinstance(found, SweepRecord):
        raise InputError(f"pilots: expected records of sweeps, got a {type(found).__name__} in {str(one)!r}")
    return found


def rules_beside(folders: Sequence[str | Path]) -> Rules | None:
    """The rules by which the sweeps in some folders were read; None where there are none.

    Raises:
        InputError: if they were read by different ones.
    """
    found = {str(folder): rules_of(folder) for folder in folders}
    known = {folder: rules for folder, rules in found.items() if rules is not None}
    if len(set(known.values())) > 1:
        raise InputError(
            f"pilots: expected folders whose times are read by the same rules, got different ones in the "
            f"records of {', '.join(known)}; give rules, or make the records again by the same ones"
        )
    return next(iter(known.values()), None)


def _left_out(records: Sequence[SweepRecord | RunRecord]) -> tuple[str, ...]:
    """Runs that records do not have, with the reasons."""
    sweeps = [one for one in records if isinstance(one, SweepRecord)]
    return tuple(f"{run.key}: {run.reason}" for sweep in sweeps for run in sweep.left_out)


def _once(pilots: Sequence[Pilot]) -> list[Pilot]:
    """Pilots without those that are one of the others once more; of one run, what was seen for longest."""
    seen: dict[tuple[object, ...], Pilot] = {}
    for place, pilot in enumerate(pilots):
        run = (pilot.key or place, pilot.seed, pilot.point)
        if run not in seen or _seen_until(pilot) > _seen_until(seen[run]):
            seen[run] = pilot
    return list(seen.values())


def _seen_until(pilot: Pilot) -> tuple[bool, float]:
    """How far a run had been looked at, to compare looks at one run; one that saw copies was the longest."""
    time = pilot.tau_mem
    return time.status in (Status.OBSERVED, Status.BEFORE_FIRST), time.value


def _listed(sources: Source | Iterable[Source]) -> list[Source]:
    """One source or several as a list."""
    if isinstance(sources, Mapping) and any(_has_entries(value) for value in sources.values()):
        raise InputError(
            'pilots: expected a list of rows, [{"n": 50, "time": 900}, ...], got a dict of lists'
        )
    if hasattr(sources, "to_dict"):  # a DataFrame, whose entries are the names of its columns
        kind = type(sources).__name__
        raise InputError(f'pilots: expected a list of rows, got a {kind}: give its .to_dict("records")')
    if isinstance(sources, str | Path | RunDir | Sweep | SweepRecord | RunRecord | Mapping):
        return [sources]  # pyright: ignore[reportReturnType]  a mapping of whatever kind
    if not isinstance(sources, Iterable):
        wanted = "runs, records or rows of a table"
        raise InputError(f"pilots: expected {wanted}, got {type(sources).__name__}")
    found = list(sources)
    if not found:
        raise InputError("pilots: expected at least one run, record or row, got none")
    return found


def _has_entries(value: object) -> bool:
    return isinstance(value, Sized) and not isinstance(value, str)


def _runs_at(place: object) -> list[RunDir]:
    """The runs at a place that was given as a pilot.

    Raises:
        InputError: if it is no place, or has none.
    """
    if isinstance(place, Sweep):
        return list(place.runs)
    if not isinstance(place, str | Path | RunDir):
        raise InputError(
            f'pilots: expected runs, records or rows such as {{"n": 50, "time": 900}}, got {place!r:.60}'
        )
    try:
        return find_runs(place)
    except InputError as error:
        folder = "" if isinstance(place, RunDir) else place
        records = sorted(Path(folder).glob("*.json")) if os.path.isdir(folder) else []
        hint = f"; records are given by their names, such as {str(records[0])!r}" if records else ""
        raise InputError(f"pilots: {str(error).removeprefix('path: ')}{hint}") from error


def _seconds_of(runs: Sequence[RunDir]) -> dict[str, float]:
    """The time that each run took, by name; of those whose log can be read."""
    seconds = {}
    for run in runs:
        with suppress(InputError, OSError):
            seconds[run.path.absolute().name] = run.seconds()
    return seconds
