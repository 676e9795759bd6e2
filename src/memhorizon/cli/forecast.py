"""The command that forecasts: how many steps until a run of n items copies?"""

import json as json_module
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from memhorizon.cli.rules import RuleFlags
from memhorizon.cli.terminal import say
from memhorizon.cli.typed import command, remember
from memhorizon.errors import InputError
from memhorizon.experiments.environment import timestamp
from memhorizon.experiments.record import record as record_of
from memhorizon.figures.forecast import forecast as drawn
from memhorizon.figures.style import save
from memhorizon.files.plain import check_file, write_page
from memhorizon.forecasts import forecast as forecast_of
from memhorizon.forecasts import is_record, rules_beside
from memhorizon.records.files import to_plain, write_record
from memhorizon.records.forecast import ForecastRecord
from memhorizon.report import report
from memhorizon.results import Status
from memhorizon.sweeps import find_runs
from memhorizon.timescales.rules import Rules

PAGES = (".html", ".htm")
PICTURES = (".png", ".svg", ".pdf")


def forecast(
    pilots: tyro.conf.Positional[tuple[Path, ...]],
    n: Annotated[int, tyro.conf.arg(aliases=["--n-train"])],
    width: float | None = None,
    lr: float | None = None,
    batch_size: float | None = None,
    confidence: float = 0.9,
    exponent: tuple[float, float] | None = None,
    accept_prior: bool = False,
    rules: RuleFlags = RuleFlags(),  # noqa: B008 - frozen
    output: Path | None = None,
    record: Path | None = None,
    json: bool = False,
) -> int:
    """Forecast when a run of n items would begin to copy, from pilots, with a prediction interval.

    Exit status 1 where the pilots cannot tell; the reason and the pilot to run next are printed.

    Args:
        pilots: run directories, folders of them, or files of records of sweeps.
        n: training items of the run that is asked for.
        width: of its network, if not that of the pilots.
        lr: its learning rate, likewise.
        batch_size: items in each of its updates, likewise.
        confidence: one more run lies within the interval in this share of all cases.
        exponent: mean and standard deviation of the prior of the exponent of n in tau_mem.
        accept_prior: answer also where the pilots show no exponent, from that prior alone.
        rules: how the two times are read off run directories; by default as in the record that lies beside
            them.
        output: a picture (.png, .svg, .pdf) or a page (.html) of the forecast.
        record: also write all numbers to this file, as JSON.
        json: print all numbers.
    """
    check_output(output)
    if record is not None:
        check_file(record, "record")
    found = forecast_of(
        list(pilots),
        n_train=n,
        width=width,
        lr=lr,
        batch_size=batch_size,
        confidence=confidence,
        exponent=exponent,
        accept_prior=accept_prior,
        rules=_rules_over(pilots, rules),
    )
    made = replace(found.record(), command=command(), made=timestamp())
    show(made, output, record, as_json=json)
    return 0 if found.tau_mem.known else 1


def _rules_over(pilots: Sequence[Path], given: RuleFlags) -> Rules | None:
    """The rules beside the runs with what was given in place of theirs.

    Raises:
        InputError: if rules were given for the file of a record, which has its times.
    """
    if not given.are_given:
        return None
    if any(is_record(path) for path in pilots):
        given.check_none_for_a_record()
    return given.over(rules_beside(pilots) or _usual(pilots))


def _usual(pilots: Sequence[Path]) -> Rules:
    """The default rules of the runs in these folders."""
    return record_of([run for folder in pilots for run in find_runs(folder)]).rules


def check_output(output: Path | None) -> None:
    """Refuse a file of another kind before the work.

    Raises:
        InputError: if it is neither a picture nor a page, or cannot be written.
    """
    if output is None:
        return
    if output.suffix not in (*PAGES, *PICTURES):
        wanted = ", ".join((*PICTURES, PAGES[0]))
        raise InputError(f"output: expected a name that ends in one of {wanted}, got {str(output)!r}")
    check_file(output, "output")


def show(made: ForecastRecord, output: Path | None, record: Path | None, *, as_json: bool) -> None:
    """Write the files that were asked for, and print the answer."""
    if record is not None:
        write_record(made, record)
    _write(made, output)
    if as_json:
        print(json_module.dumps(to_plain(made)))
    else:
        _tell(made, output)


def _write(made: ForecastRecord, output: Path | None) -> None:
    """Write the page, or the picture alone."""
    if output is None:
        return
    if output.suffix in PAGES:
        write_page(output, report(made))
    else:
        save(drawn(made.forecast).plot(), output)


def _tell(made: ForecastRecord, output: Path | None) -> None:
    print(made.forecast.summary())
    _say_advice(made.forecast.tau_mem.status)
    if output is not None:
        print(f"open {output}")


def _say_advice(status: Status) -> None:
    if status.advice:
        say(f"{status}: {status.advice}")


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("forecast", forecast)]
