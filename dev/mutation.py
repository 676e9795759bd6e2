"""Mutation testing: which changes of the code does no test notice?

    python dev/mutation.py [--count 120] [--seed 0] [--processes 2] [--only measure/crossing.py ...]

Every place that cosmic-ray's operators can change in the modules below is listed. A random sample of places
is drawn with the seed, and one change at each. A mutant is tried in a copy of the sources, on the tests of
its module (the same path under tests/) and, where these let it live, on those of its whole room. Prints which
lived, and the share that was killed with its exact interval. Exits with 1 if less than 92 % were killed, and
with 2 if the tests fail without a mutant.

Left out are lines that no test can be asked to notice: imports, signatures with their annotations,
decorators, and the raising of errors with its messages.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from memhorizon.results import Fraction

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "memhorizon"
ROOMS = ("measure", "timescales", "theory", "audit", "monitor")
MODULES = ("samplers.py", "schedule.py")
GOAL = 0.92
SECONDS = 300  # a mutant that has not ended by then hangs, which a user would notice
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
        found += [path.relative_to(PACKAGE).as_posix() for path in sorted((PACKAGE / room).glob("*.py"))]
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


def tests_of(module: str) -> list[list[str]]:
    """The tests that a mutant has to pass, in the order in which they are tried."""
    path = Path(module)
    own = ROOT / "tests" / path.parent / f"test_{path.name}"
    near = [str(own.relative_to(ROOT))] if own.exists() else []
    room = path.parts[0] if len(path.parts) > 1 else ""
    wide = [f"tests/{room}"] if room else []
    return [tests for tests in (near, wide) if tests]


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests pass on a copy of the sources with this change."""
    copy = folder / "src" / "memhorizon"
    target = copy / mutant.module
    original = (PACKAGE / mutant.module).read_text(encoding="utf-8")
    changed = mutate_code(original, get_operator(mutant.operator)(), mutant.occurrence)
    if changed is None or changed == original:
        return False
    target.write_text(changed, encoding="utf-8")
    try:
        return all(_pass(tests, folder) for tests in tests_of(mutant.module))
    finally:
        target.write_text(original, encoding="utf-8")


def _pass(tests: list[str], folder: Path) -> bool:
    """Whether these tests pass with the sources in this folder."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    threads = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(folder / "src")}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode in (0, 5)  # 5: there is no test


def main() -> int:
    """Try the sample and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    places = by_place([mutant for module in modules(given.only) for mutant in mutants(module)])
    chance = random.Random(given.seed)
    sample = [chance.choice(own) for own in chance.sample(places, min(given.count, len(places)))]
    print(f"{len(sample)} of {len(places)} places, seed {given.seed}", flush=True)
    alive: list[Mutant] = []
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(given.processes) as pool:
        folders = [Path(place) / str(k) for k in range(given.processes)]
        for folder in folders:
            shutil.copytree(PACKAGE, folder / "src" / "memhorizon")
        free = list(folders)
        needed = {tuple(tests) for mutant in sample for tests in tests_of(mutant.module)}
        broken = [" ".join(tests) for tests in sorted(needed) if not _pass(list(tests), folders[0])]
        if broken:
            print(f"fail without a mutant: {', '.join(broken)}")
            return 2

        def tried(mutant: Mutant) -> tuple[Mutant, bool]:
            folder = free.pop()
            try:
                return mutant, survives(mutant, folder)
            finally:
                free.append(folder)

        for mutant, lived in pool.map(tried, sample):
            if lived:
                alive.append(mutant)
                print(
                    f"lived: {mutant.module}:{mutant.line} {mutant.operator} #{mutant.occurrence}", flush=True
                )
    killed = Fraction.of(len(sample) - len(alive), len(sample))
    print(f"killed: {killed}")
    return int(killed.value < GOAL)


if __name__ == "__main__":
    sys.exit(main())
