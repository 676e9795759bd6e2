"""A pytest plugin: which functions of the package does each test call, and how long does it take?

    CALLERS=out.json PYTHONPATH=dev pytest -p callers tests/theory

Writes `{test: {"seconds": processor time, "calls": [[path, first line], ...]}}`; paths are relative to the
package's folder. What a fixture of a module or a session calls counts for each test that uses the fixture.
Caches of the package are emptied before each test, so that no test profits from an earlier one. What happens
in other processes is not seen.
"""

import json
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType

import pytest

Calls = set[CodeType]
tests: dict[str, Calls] = defaultdict(set)
seconds: dict[str, float] = {}
fixtures: dict[str, Calls] = defaultdict(set)
users: dict[str, list[str]] = {}
now: list[Calls] = []  # innermost last: the test, or the fixture that is being set up


def trace(frame: FrameType, event: str, argument: object) -> None:
    """Note that a function is called; its lines are not followed."""
    if now:
        now[-1].add(frame.f_code)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Watch one test from its set-up to its end."""
    empty_caches()
    users[item.nodeid] = [fixture_key(item, name) for name in getattr(item, "fixturenames", ())]
    start = time.process_time()
    now.append(tests[item.nodeid])
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        return (yield)
    finally:
        sys.settrace(None)
        threading.settrace(None)  # pyright: ignore[reportArgumentType]
        now.pop()
        seconds[item.nodeid] = time.process_time() - start


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest):
    """What a fixture that several tests share calls is noted apart."""
    if fixturedef.scope == "function":
        return (yield)
    now.append(fixtures[fixture_key(request.node, fixturedef.argname)])
    try:
        return (yield)
    finally:
        now.pop()


def fixture_key(node: pytest.Item | pytest.Collector, name: str) -> str:
    """A fixture of a file."""
    return f"{node.nodeid.split('::')[0]} {name}"


def empty_caches() -> None:
    """Empty every cache that a module of the package holds."""
    modules = [module for name, module in sys.modules.items() if name.startswith("memhorizon")]
    for module in modules:
        for thing in list(vars(module).values()):
            if callable(empty := getattr(thing, "cache_clear", None)):
                empty()


def places(called: Calls) -> list[list[object]]:
    """The package's functions among these, as paths and first lines."""
    import memhorizon

    package = Path(memhorizon.__file__ or "").parent
    inside = [code for code in called if code.co_filename.startswith(f"{package}{os.sep}")]
    found = {(Path(code.co_filename).relative_to(package).as_posix(), code.co_firstlineno) for code in inside}
    return [[*place] for place in sorted(found)]


def pytest_sessionfinish() -> None:
    """Write what was seen."""
    answer = {}
    for test, called in tests.items():
        shared = set().union(*(fixtures[key] for key in users[test] if key in fixtures))
        answer[test] = {"seconds": round(seconds[test], 3), "calls": places(called | shared)}
    Path(os.environ["CALLERS"]).write_text(json.dumps(answer), encoding="utf-8")
