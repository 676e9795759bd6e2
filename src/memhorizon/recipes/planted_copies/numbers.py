"""Which tool sees which copy: shares of planted copies that are found, or a number that leaves its null."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.parts import Part, do_parts, found_of
from memhorizon.recipes.planted_copies import formulas, ours, packages
from memhorizon.recipes.planted_copies.suite import (
    HERE,
    NO_EDIT,
    REPEATED,
    TINY,
    Case,
    Group,
    Run,
    Suite,
    case_of,
    runs_of,
)
from memhorizon.recipes.planted_copies.tools import Tool
from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.records.plain import Plain
from memhorizon.results import Fraction

NAME = "planted_copies"
CHOICES = ("repetitions", "edits", "groups", "left_out")  # of a suite: they change no run
TOOLS: tuple[Tool, ...] = (*ours.TOOLS, *formulas.TOOLS, *packages.TOOLS)


@dataclass(frozen=True)
class Shift:
    """A run, judged by the tools of a group.

    Attributes:
        run: the samples.
        group: of the tools.
    """

    run: Run
    group: Group


@dataclass(frozen=True)
class Outcome:
    """What one tool said in one run.

    Attributes:
        number: of the whole set.
        found: copies that it flagged; None where it flags no samples.
        false: honest samples that it flagged; None likewise.
    """

    number: float
    found: int | None = None
    false: int | None = None


@dataclass(frozen=True)
class RunFound:
    """What the tools said in one run.

    Attributes:
        copies: that were planted.
        honest: other samples.
        outcomes: by the name of the tool.
    """

    copies: int
    honest: int
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class Share:
    """A proportion with its exact 95 % interval, in the digits of a table."""

    value: float
    low: float
    high: float
    count: int
    total: int

    @classmethod
    def of(cls, count: int, total: int) -> "Share":
        """From its counts."""
        found = Fraction.of(count, total)
        return cls(found.value, found.low, found.high, count, total)


@dataclass(frozen=True, kw_only=True)
class ToolRow:
    """A tool, and its null."""

    part: Annotated[Literal["tool"], "a tool and its null"] = "tool"
    tool: Annotated[str, "name of the tool"]
    package: Annotated[str, "distribution that it is called in; memhorizon where a formula is computed here"]
    version: Annotated[str, "of the package, or that it is not installed"]
    call: Annotated[str, "what is called, or the formula and whose it is"]
    flags: Annotated[bool | None, "whether it tells which samples are copies; null if it was not run"] = None
    direction: Annotated[int, "1 where copies should make its number larger, -1 where smaller"]
    low: Annotated[float | None, "its smallest number in the honest runs"] = None
    high: Annotated[float | None, "its largest number in the honest runs"] = None
    base: Annotated[Share | None, "honest samples that it flags, of those of all honest runs"] = None


@dataclass(frozen=True, kw_only=True)
class EditRow:
    """A tool on the copies of one edit."""

    part: Annotated[Literal["edit"], "a tool on the copies of one edit"] = "edit"
    tool: Annotated[str, "name of the tool"]
    edit: Annotated[str, "what was done to the copies"]
    number: Annotated[tuple[float, ...], "of the whole set, per repetition"]
    seen: Annotated[Share, "repetitions in which that number is beyond those of all honest runs"]
    found: Annotated[Share | None, "copies that it flags, of those of all repetitions"] = None
    false: Annotated[float | None, "share of honest ones among the flagged, mean over repetitions"] = None


Row = ToolRow | EditRow
KINDS = (ToolRow, EditRow)


def suite_of(request: Request) -> Suite:
    """The suite of a size."""
    return TINY if request.tiny else HERE


def make(request: Request) -> Found:
    """Judge all runs by all tools that are there."""
    suite = suite_of(request)
    shifts = list(shifts_of(suite))
    done = do_parts([part_of(suite, shift, request.work) for shift in shifts], RunFound, request)
    rows = list(rows_of(merged(shifts, [part.found for part in done])))
    return found_of(NAME, rows, KINDS, done, settings=plain(suite), summary=summarise(rows))


def shifts_of(suite: Suite) -> Iterator[Shift]:
    """Every run with each group of tools that judges it."""
    shifts = (Shift(run, group) for group in suite.groups for run in runs_of(suite))
    yield from (shift for shift in shifts if tools_of(suite, shift))


def merged(shifts: Sequence[Shift], found: Sequence[RunFound]) -> dict[Run, RunFound]:
    """What all groups of tools said of each run."""
    by_run = grouped(zip(shifts, found, strict=True), lambda pair: pair[0].run)
    return {run: _merged([of_group for _, of_group in pairs]) for run, pairs in by_run.items()}


def _merged(found: Sequence[RunFound]) -> RunFound:
    outcomes = {name: outcome for of_group in found for name, outcome in of_group.outcomes.items()}
    return replace(found[0], outcomes=outcomes)


def plain(suite: Suite) -> dict[str, Plain]:
    """The suite as settings."""
    lists = {name: list(value) for name, value in asdict(suite).items() if isinstance(value, tuple)}
    return {**asdict(suite), **lists}


def part_of(suite: Suite, shift: Shift, work: Path) -> Part[RunFound]:
    """One run, judged by the tools of a group that are there."""
    versions: dict[str, Plain] = {tool.name: tool.version for tool in tools_of(suite, shift)}
    run = shift.run
    images = {name: value for name, value in plain(suite).items() if name not in CHOICES}
    settings = {**images, "edit": run.edit, "number": run.number, "tools": versions}
    return Part(file_of(shift), settings, partial(judge, suite, shift, work / "kept"))


def file_of(shift: Shift) -> str:
    """The name of the file of a part."""
    edit = (shift.run.edit or "honest").replace(",", "").replace(" ", "_")
    return f"{edit}-{shift.run.number}-{shift.group}"


def tools_of(suite: Suite, shift: Shift) -> list[Tool]:
    """The tools of a group that judge a run; groups that are not in REPEATED judge the first of an edit."""
    if shift.run.edit and shift.run.number and shift.group not in REPEATED:
        return []
    own = [tool for tool in TOOLS if tool.is_there and tool.group == shift.group]
    return [tool for tool in own if tool.name not in suite.left_out]


def judge(suite: Suite, shift: Shift, folder: Path, _: torch.device) -> RunFound:
    """What the tools say of a run."""
    case = case_of(suite, shift.run, folder)
    outcomes = {tool.name: outcome_of(tool, case) for tool in tools_of(suite, shift)}
    copies = int(case.is_copy.sum())
    return RunFound(copies, len(case.is_copy) - copies, outcomes)


def outcome_of(tool: Tool, case: Case) -> Outcome:
    """What one tool says."""
    verdict = tool.judge(case)
    if verdict.is_flagged is None:
        return Outcome(verdict.number)
    found = int(verdict.is_flagged[case.is_copy].sum())
    return Outcome(verdict.number, found, int(verdict.is_flagged.sum()) - found)


def rows_of(found: Mapping[Run, RunFound]) -> Iterator[Row]:
    """The tools with their nulls, then each on every edit."""
    for tool in TOOLS:
        own = {run: of_run for run, of_run in found.items() if tool.name in of_run.outcomes}
        honest = [of_run for run, of_run in own.items() if run.edit == NO_EDIT]
        yield tool_row(tool, honest)
        edits = grouped((run for run in own if run.edit != NO_EDIT), lambda run: run.edit)
        for edit, runs in edits.items():
            yield edit_row(tool, edit, [own[run] for run in runs], numbers_in(tool.name, honest))


def numbers_in(tool: str, runs: Sequence[RunFound]) -> list[float]:
    """The number of a tool in each run."""
    return [run.outcomes[tool].number for run in runs]


def tool_row(tool: Tool, honest: Sequence[RunFound]) -> ToolRow:
    """A tool and its null."""
    base = pooled_false(tool.name, honest)
    numbers = numbers_in(tool.name, honest)
    return ToolRow(
        tool=tool.name,
        package=tool.package,
        version=tool.version,
        call=tool.call,
        flags=base is not None if honest else None,
        direction=tool.direction,
        low=min(numbers, default=None),
        high=max(numbers, default=None),
        base=base,
    )


def pooled_false(tool: str, runs: Sequence[RunFound]) -> Share | None:
    """Honest samples that a tool flags; None where it flags no samples."""
    false = [run.outcomes[tool].false for run in runs]
    counts = [count for count in false if count is not None]
    return Share.of(sum(counts), sum(run.honest for run in runs)) if counts else None


def edit_row(tool: Tool, edit: str, runs: Sequence[RunFound], null: Sequence[float]) -> EditRow:
    """A tool on one edit."""
    numbers = numbers_in(tool.name, runs)
    found = [run.outcomes[tool.name].found for run in runs]
    counts = [count for count in found if count is not None]
    total = sum(run.copies for run in runs)
    return EditRow(
        tool=tool.name,
        edit=edit,
        number=tuple(numbers),
        seen=Share.of(sum(beyond(number, null, tool.direction) for number in numbers), len(numbers)),
        found=Share.of(sum(counts), total) if counts else None,
        false=false_share([run.outcomes[tool.name] for run in runs]),
    )


def beyond(number: float, null: Sequence[float], direction: int) -> bool:
    """Whether a number is on the side of copying of all those of the null.

    An honest number is so in one of len(null) + 1 cases.

    >>> beyond(3.0, [1.0, 2.0], 1), beyond(3.0, [1.0, 2.0], -1), beyond(2.0, [1.0, 2.0], 1)
    (True, False, False)
    """
    return direction * number > max(direction * other for other in null)


def false_share(outcomes: Sequence[Outcome]) -> float | None:
    """Mean share of honest samples among the flagged, 0 where none is flagged; None for other tools."""
    shares = [
        outcome.false / max(outcome.found + outcome.false, 1)
        for outcome in outcomes
        if outcome.found is not None and outcome.false is not None
    ]
    return sum(shares) / len(shares) if shares else None


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """Which edits each tool sees in every repetition."""
    by_tool = grouped(of_kind(rows, EditRow), lambda row: row.tool)
    return {
        "edits seen in every repetition": {
            tool: [row.edit for row in own if row.seen.count == row.seen.total]
            for tool, own in by_tool.items()
        },
        "not run": [row.tool for row in of_kind(rows, ToolRow) if row.flags is None],
    }
