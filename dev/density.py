"""How dense the code is: syntax nodes per function, values packed into one assignment, `Any`, comments.

    python dev/density.py [FOLDER ...]

Prints the table of each folder (default: src/memhorizon) and of each room in it. The goals: median of nodes
per function at most 50, 90th percentile at most 200, `Any` at most 2 per 1,000 lines. Nodes are those of the
abstract syntax tree in the body of a function, without its docstring.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("functions", "median", "90 %", "most", "nodes/line", "packed", "Any", "comments")
HEAD = " " * 18 + "".join(f"{name:>11}" for name in COLUMNS)


@dataclass
class Counts:
    """What was counted in some files."""

    nodes: list[int] = field(default_factory=list)
    body_lines: int = 0
    lines: int = 0
    packed: int = 0
    any: int = 0
    comments: int = 0

    def add(self, path: Path) -> None:
        """Count one file."""
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        self.lines += len(text.splitlines())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = statements_of(node)
                self.nodes.append(sum(1 for statement in body for _ in ast.walk(statement)))
                self.body_lines += (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            self.packed += isinstance(node, ast.Assign) and is_packed(node)
            self.any += isinstance(node, ast.Name) and node.id == "Any"
        self.comments += sum(1 for _ in comments_of(text))

    def row(self, name: str) -> str:
        """One line of the table; the last three columns are per 1,000 lines."""
        if not self.nodes:
            return f"{name:<18}{0:>10}"
        ordered = sorted(self.nodes)
        tenth = ordered[int(0.9 * len(ordered))]
        per_line = sum(ordered) / max(self.body_lines, 1)
        thousand = self.lines / 1000
        numbers = [
            f"{len(ordered)}",
            f"{statistics.median(ordered):.0f}",
            f"{tenth}",
            f"{ordered[-1]}",
            f"{per_line:.1f}",
            f"{self.packed / thousand:.1f}",
            f"{self.any / thousand:.1f}",
            f"{self.comments / thousand:.0f}",
        ]
        return f"{name:<18}" + "".join(f"{number:>11}" for number in numbers)


def statements_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """The body of a function without its docstring; the signature does not count either."""
    documented = ast.get_docstring(function, clean=False) is not None
    return function.body[1:] if documented else function.body


def is_packed(node: ast.Assign) -> bool:
    """Whether values that are computed apart are packed together, as in `a, b = f(x), g(y)`."""
    target = node.targets[0]
    if not (isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)):
        return False
    return any(isinstance(value, ast.Call) for value in node.value.elts)


def comments_of(text: str) -> Iterator[str]:
    """The comments of a source, without directives to tools."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:", "# pyright")):
            yield token.string


def table(folder: Path) -> list[str]:
    """The rows of a folder: all of it, then each room."""
    whole = Counts()
    rooms: dict[str, Counts] = defaultdict(Counts)
    for path in sorted(folder.rglob("*.py")):
        room = path.relative_to(folder).parts[0]
        whole.add(path)
        rooms[room.removesuffix(".py")].add(path)
    by_size = sorted(rooms.items(), key=lambda entry: -entry[1].lines)
    return [whole.row(folder.name), *(counts.row(f"  {name}") for name, counts in by_size)]


def main() -> None:
    """Print the table of every folder that is named."""
    folders = [Path(name) for name in sys.argv[1:]] or [ROOT / "src" / "memhorizon"]
    print(HEAD)
    for folder in folders:
        print("\n".join(table(folder)))


if __name__ == "__main__":
    main()
