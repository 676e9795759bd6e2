"""Mutation testing: which changes of the code does no test notice?

    python dev/mutation.py [--count 120] [--seed 0] [--processes 2] [--only measure/crossing.py ...]

Every place that cosmic-ray's operators can change in the modules below is listed. A random sample of places
is drawn with the seed, and one change at each. A mutant is tried in a copy of the sources, on the tests that
call the changed function (dev/callers.py): first those of its module (the same path under tests/), then the
others of its room, each time the quickest first, and then the examples in its module. A change outside of
functions is tried on all tests of the room. Prints each verdict at once, and at the end the share that was
killed with its exact interval. Exits with 1 if less than 92 % were killed, and with 2 if the tests fail
without a mutant.

Verdicts are kept in build/mutation.jsonl. The same command continues there: a mutant is tried again only
if its module, or a file of tests that it passed or that killed it, has changed since. (A change elsewhere is
not noticed: delete the file to begin anew.) Which test calls what is kept in build/callers.

Left out are lines that no test can be asked to notice: imports, signatures with their annotations,
decorators, and the raising of errors with its messages.
"""

import argparse
import ast
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from memhorizon.results import Fraction

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "memhorizon"
LOG = ROOT / "build" / "mutation.jsonl"
CALLERS = ROOT / "build" / "callers"
ROOMS = ("measure", "metrics", "timescales", "theory", "auditing", "monitor")  # those that exist
MODULES = ("samplers.py", "schedule.py")
GOAL = 0.92
SECONDS = 60  # of processor time, and
TIMES = 10  # what the tests take: a mutant that has not ended by then hangs, which a user would notice
RECORDING = 3_600  # of processor time at most, for the tests of a room without a mutant
PATIENCE = 5  # times as long by the wall's time, for a mutant that waits; much, since the machine may be busy
OPERATORS = (  # kinds of change
    "ReplaceBinaryOperator",
    "ReplaceComparisonOperator",
    "ReplaceUnaryOperator",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "AddNot",
    "NumberReplacer",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
)


@dataclass(frozen=True)
class Mutant:
    """One change: an operator at its n-th place in a module."""

    module: str
    operator: str
    occurrence: int
    line: int
    column: int


def modules(only: list[str]) -> list[str]:
    """The modules that are changed, relative to the package."""
    found = [*MODULES]
    for room in ROOMS:
        found += [path.relative_to(PACKAGE).as_posix() for path in sorted((PACKAGE / room).rglob("*.py"))]
    named = [name for name in found if not name.endswith("__init__.py")]
    return [name for name in named if not only or any(part in name for part in only)]


def quiet_lines(source: str) -> set[int]:
    """Lines that no test can be asked to notice, see above."""
    quiet: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise):
            quiet |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.FunctionDef):
            quiet |= set(range(node.lineno, node.body[0].lineno))
            quiet |= {line for decorator in node.decorator_list for line in [decorator.lineno]}
        if isinstance(node, ast.AnnAssign) and node.value is None:
            quiet |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.ClassDef):
            quiet |= {decorator.lineno for decorator in node.decorator_list}
    return quiet


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    source = (PACKAGE / module).read_text(encoding="utf-8")
    quiet = quiet_lines(source)
    tree = get_ast(source)
    found = []
    for name in operator_names():
        if not name.split("/")[-1].startswith(OPERATORS):
            continue
        operator = get_operator(name)()
        occurrence = 0
        for node in ast_nodes(tree):
            for start, _ in operator.mutation_positions(node):
                if start[0] not in quiet:
                    found.append(Mutant(module, name, occurrence, *start))
                occurrence += 1
    return found


def by_place(every: list[Mutant]) -> list[list[Mutant]]:
    """The mutants of each place in the sources together."""
    places: dict[tuple[str, int, int], list[Mutant]] = defaultdict(list)
    for mutant in every:
        places[mutant.module, mutant.line, mutant.column].append(mutant)
    return list(places.values())


def mirror(module: str) -> str:
    """The file of a module's own tests, whether or not there is one."""
    path = Path(module)
    return str(Path("tests") / path.parent / f"test_{path.name}")


def files_of(module: str) -> list[str]:
    """The files of tests of a module's room; of a module outside of rooms, its own."""
    parts = Path(module).parts
    if len(parts) == 1:
        return [mirror(module)]
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests" / parts[0]).rglob("test_*.py"))]


@dataclass(frozen=True)
class Caller:
    """One test: its name, its processor time in seconds, and the functions that it calls."""

    name: str
    seconds: float
    calls: frozenset[tuple[str, int]]

    @property
    def file(self) -> str:
        """The file of the test."""
        return self.name.split("::")[0]

    @property
    def modules(self) -> set[str]:
        """The modules of the functions that it calls."""
        return {module for module, _ in self.calls}


def stages(mutant: Mutant, callers: list[Caller]) -> list[list[Caller]]:
    """The tests that a mutant has to pass, in the order in which they are tried."""
    inside = function_lines(mutant)
    if inside is None:
        touched = [caller for caller in callers if mutant.module in caller.modules]
        near = [touched, [caller for caller in callers if mutant.module not in caller.modules]]
    else:
        touched = [
            caller for caller in callers if any((mutant.module, line) in caller.calls for line in inside)
        ]
        home = mirror(mutant.module)
        near = [[c for c in touched if c.file == home], [c for c in touched if c.file != home]]
    return [sorted(tests, key=lambda caller: caller.seconds) for tests in near if tests]


def function_lines(mutant: Mutant) -> range | None:
    """The innermost function around a mutant, its decorators included; None outside of functions."""
    tree = ast.parse((PACKAGE / mutant.module).read_text(encoding="utf-8"))
    found = None
    for node in ast.walk(tree):  # breadth first: inner functions come later
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = range(first, (node.end_lineno or node.lineno) + 1)
            if mutant.line in lines:
                found = lines
    return found


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and by which files: they say whether the verdict still holds."""

    mutant: Mutant
    lived: bool
    files: tuple[str, ...]
    digest: str

    def holds(self) -> bool:
        """Whether the module and the tests that decided are what they were."""
        return self.digest == digest_of(self.files)

    def line(self) -> str:
        """The verdict as one line of the log."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> "Verdict":
        """The verdict in one line of the log."""
        found = json.loads(line)
        return cls(Mutant(**found["mutant"]), found["lived"], tuple(found["files"]), found["digest"])

    def __str__(self) -> str:
        m = self.mutant
        what = f"{m.module}:{m.line}:{m.column} {m.operator.split('/')[-1]} #{m.occurrence}"
        return f"{'lived ' if self.lived else 'killed'}  {what}"


def digest_of(files: tuple[str, ...]) -> str:
    """What is in these files, paths from the root of the repository; a file that is gone counts as empty."""
    total = hashlib.sha256()
    for name in files:
        path = ROOT / name
        total.update(path.read_bytes() if path.exists() else b"")
    return total.hexdigest()


def verdict_on(mutant: Mutant, callers: list[Caller], folder: Path) -> Verdict:
    """Try the tests on a copy of the sources with this change."""
    target = folder / "src" / "memhorizon" / mutant.module
    original = (PACKAGE / mutant.module).read_text(encoding="utf-8")
    changed = mutate_code(original, get_operator(mutant.operator)(), mutant.occurrence)
    module = str((PACKAGE / mutant.module).relative_to(ROOT))
    if changed is None or changed == original:
        return Verdict(mutant, False, (module,), digest_of((module,)))
    files = {module: None}  # in the order of the stages
    lived = True
    target.write_text(changed, encoding="utf-8")
    try:
        for tests in stages(mutant, callers):
            files |= dict.fromkeys(test.file for test in tests)
            seconds = SECONDS + TIMES * sum(test.seconds for test in tests)
            lived = run_tests([test.name for test in tests], folder, seconds)
            if not lived:
                break
        lived = lived and run_examples(mutant.module, folder)
    finally:
        target.write_text(original, encoding="utf-8")
    return Verdict(mutant, lived, tuple(files), digest_of(tuple(files)))


def run_tests(tests: list[str], folder: Path, seconds: float, record: Path | None = None) -> bool:
    """Whether these tests pass with the sources in this folder. What they call is written to `record`."""
    command = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    if record is None:
        return run(command, folder, seconds, {}) in (0, 5)  # 5: there is no test
    path = f"{folder / 'src'}{os.pathsep}{ROOT / 'dev'}"
    return (
        run([*command, "-p", "callers"], folder, seconds, {"CALLERS": str(record), "PYTHONPATH": path}) == 0
    )


def run_examples(module: str, folder: Path) -> bool:
    """Whether the examples in a module's docstrings give what they say, with the sources in this folder."""
    name = ".".join(["memhorizon", *Path(module).with_suffix("").parts])
    code = f"import doctest, sys, {name} as module; sys.exit(doctest.testmod(module).failed > 0)"
    return run(["-c", code], folder, SECONDS, {}) == 0


def run(arguments: list[str], folder: Path, seconds: float, environment: dict[str, str]) -> int | None:
    """Run Python with the sources in this folder; give its exit status, None where it has not ended."""
    limit = int(seconds)
    usual = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder / "src")}
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **usual, **environment},
            capture_output=True,
            timeout=PATIENCE * limit,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def known() -> dict[Mutant, Verdict]:
    """The verdicts of the log that still hold."""
    read = [Verdict.read(line) for line in logged() if "mutant" in line]
    return {verdict.mutant: verdict for verdict in read if verdict.holds()}


def logged() -> list[str]:
    """The lines of the log."""
    return LOG.read_text(encoding="utf-8").splitlines() if LOG.exists() else []


def log(line: str) -> None:
    """Add a line to the log."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as lines:
        lines.write(line + "\n")


def keep(verdict: Verdict) -> None:
    """Print a verdict and write it to the log."""
    log(verdict.line())
    print(verdict, flush=True)


def callers_in(files: list[str], folder: Path) -> list[Caller] | None:
    """What each test in these files calls; None where one fails without a mutant. Kept, and run only once."""
    sources = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
    kept = CALLERS / f"{digest_of((*sources, *files))}.json"
    if not kept.exists():
        CALLERS.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(".new")
        passed = run_tests(files, folder, RECORDING, fresh)
        print(
            f"{'pass' if passed else 'fail'} without a mutant: {len(files)} files as {files[0]}", flush=True
        )
        if not passed:
            return None
        fresh.replace(kept)
    read = json.loads(kept.read_text(encoding="utf-8"))
    return [
        Caller(name, seen["seconds"], frozenset((module, line) for module, line in seen["calls"]))
        for name, seen in read.items()
    ]


def drawn(only: list[str], count: int, seed: int) -> list[Mutant]:
    """The random sample: places without repetition, and one change at each."""
    places = by_place([mutant for module in modules(only) for mutant in mutants(module)])
    chance = random.Random(seed)
    sample = [chance.choice(choices) for choices in chance.sample(places, min(count, len(places)))]
    print(f"{len(sample)} of {len(places)} places, seed {seed}", flush=True)
    return sample


def try_all(sample: list[Mutant], processes: int) -> list[Verdict] | None:
    """A verdict on each mutant; None where the tests fail without a mutant."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(processes) as pool:
        folders = [Path(place) / str(k) for k in range(processes)]
        for folder in folders:
            shutil.copytree(PACKAGE, folder / "src" / "memhorizon")
        free = list(folders)
        callers = {}
        for files in sorted({tuple(files_of(mutant.module)) for mutant in sample}):
            found = callers_in(list(files), folders[0])
            if found is None:
                return None
            callers[files] = found

        def tried(mutant: Mutant) -> Verdict:
            folder = free.pop()
            try:
                verdict = verdict_on(mutant, callers[tuple(files_of(mutant.module))], folder)
            finally:
                free.append(folder)
            keep(verdict)
            return verdict

        return list(pool.map(tried, sample))


def main() -> int:
    """Try the sample and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    sample = drawn(given.only, given.count, given.seed)
    before = known()
    old = [before[mutant] for mutant in sample if mutant in before]
    for verdict in old:
        print(f"{verdict} (before)")
    new = try_all([mutant for mutant in sample if mutant not in before], given.processes)
    if new is None:
        print("tests fail without a mutant: run them first")
        return 2
    killed = Fraction.of(sum(not verdict.lived for verdict in old + new), len(sample))
    print(f"killed: {killed}")
    return int(killed.value < GOAL)


if __name__ == "__main__":
    sys.exit(main())
