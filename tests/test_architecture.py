"""The structure as the sources have it: imports point down, the README's tree is the disk, keys exist."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "memhorizon"

# A module may import from layers below its own, and from its own folder without a circle. Lowest first.
LAYERS = [
    {"errors"},
    {"results"},
    {"checks", "extras", "devices", "eval_mode"},
    {"launching", "processes"},
    {"theory", "timescales"},
    {"forecasting"},
    {"schedule", "distributions"},
    {"files"},
    {"diffusion"},
    {"denoiser"},
    {"samplers", "training"},
    {"networks"},
    {"measure"},
    {"tangent"},
    {"metrics"},
    {"datasets"},
    {"records"},
    {"experiments"},
    {"auditing"},
    {"monitor"},
    {"figures"},
    {"recipes"},
    {"report"},
    {"sweeps", "audits", "integrations"},
    {"forecasts"},
    {"plans"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def dotted(path):
    return (
        path.relative_to(PACKAGE.parent)
        .with_suffix("")
        .as_posix()
        .replace("/", ".")
        .removesuffix(".__init__")
    )


def imported(path):
    """Modules of the package that the file imports at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def edges():
    known = {dotted(path) for path in modules()}
    return {dotted(path): sorted(set(imported(path)) & known - {dotted(path)}) for path in modules()}


def test_every_module_has_a_layer_and_imports_point_down():
    wrong = []
    for importer, targets in edges().items():
        top = importer.split(".")[1]
        for target in targets:
            below = target.split(".")[1]
            if top != below and LEVEL[below] >= LEVEL[top]:
                wrong.append(f"{importer} -> {target}")
    assert not wrong


def test_there_is_no_circle():
    graph = edges()
    state = {}

    def visit(node, trail):
        assert state.get(node) != "open", " -> ".join([*trail, node])
        if node not in state:
            state[node] = "open"
            for target in graph.get(node, []):
                if not node.startswith(target + "."):  # a package's __init__ may import its modules
                    visit(target, [*trail, node])
            state[node] = "done"

    for node in graph:
        visit(node, [])


@pytest.mark.parametrize(
    "name",
    [
        "memhorizon.theory",
        "memhorizon.timescales.power_law",
        "memhorizon.forecasting.forecast",
        "memhorizon.results",
    ],
)
def test_theory_imports_without_torch(name):
    code = f"import {name}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_command_line_prints_and_only_figures_draw():
    for path in modules():
        text = path.read_text()
        if "cli" not in path.parts:
            assert not re.search(r"^\s*print\(", text, re.M), path
        in_recipe = "recipes" in path.parts and path.stem in ("figure", "pictures", "drawing")
        if "figures" not in path.parts and not in_recipe:
            assert "matplotlib" not in {name.split(".")[0] for name in imported(path)}, path


def test_cited_sources_exist():
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "docs" / "references.bib").read_text(), re.M))
    cited = {
        (path.name, key)
        for path in [*modules(), *(ROOT / "docs").rglob("*.md")]
        for key in re.findall(r"Source: \[([^\]]+)\]", path.read_text())
    }
    assert cited
    assert {key for _, key in cited} <= keys


def test_the_tree_of_the_readme_is_the_disk():
    block = re.search(r"```\n(README\.md.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block
    listed, folder = set(), ""
    for line in block[1].splitlines():
        name = line.split()[0]
        if not line.startswith("  "):
            folder = name if name.endswith("/") else ""
        listed.add((folder + name if line.startswith("  ") else name).rstrip("/"))
    missing = sorted(entry for entry in listed if not (ROOT / entry).exists())
    assert not missing
    on_disk = {p.relative_to(ROOT).as_posix() for p in PACKAGE.iterdir() if p.name != "__pycache__"}
    assert sorted(on_disk - listed) == []
