"""The law of the house that a machine can check: who imports whom, and sizes that keep it livable (ARCHITECTURE §2)."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
from radon.complexity import cc_visit

ROOT = Path(__file__).parents[2]
ORDER = ("common", "identity", "image", "volume", "network", "compute")
CODE = sorted(path for top in ORDER for path in (ROOT / top).rglob("*.py"))
MOST_LINES, MOST_FUNCTION, MOST_COMPLEXITY = 400, 40, 10
# What may be larger, and why.
EXCEPTIONS: dict[str, str] = {}


def imports(path: Path) -> set[str]:
    """The full names that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_code():
    assert len(CODE) > 50


@pytest.mark.parametrize("path", CODE, ids=name)
def test_imports_go_one_way(path):
    mine = path.relative_to(ROOT).parts[0]
    for other in imports(path):
        top, _, rest = other.partition(".")
        if top not in ORDER or top in ("common", mine):
            continue
        assert ORDER.index(top) < ORDER.index(mine), f"{name(path)} imports {other}, which stands above it"
        assert rest.split(".")[0] in ("", "public"), f"{name(path)} imports {other}: only {top}.public is open"


@pytest.mark.parametrize("path", CODE, ids=name)
def test_rooms_keep_to_themselves(path):
    parts, seen = path.relative_to(ROOT).parts, imports(path)
    if len(parts) > 2 and parts[1] == "api" and parts[0] != "common":
        assert not [other for other in seen if ".engine" in other], "an API imports no engine"
        assert not [other for other in seen if other.startswith("sqlalchemy")], "an API knows no SQL"
    if parts[1] == "agent":
        bad = [other for other in seen if "models" in other or other.startswith(("sqlalchemy", "common.db", "common.jobs"))]
        assert not bad, f"an agent has no database: {bad}"
    if parts[-1] == "public.py":
        assert not [other for other in seen if ".engine" in other], "public imports no engine"


@pytest.mark.parametrize("path", CODE, ids=name)
def test_sizes(path):
    source = path.read_text()
    lines = source.count("\n")
    found = [] if lines <= MOST_LINES else [f"{name(path)}: {lines} lines"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_FUNCTION:
                found.append(f"{name(path)}:{node.name}: {length} lines")
    found += [f"{name(path)}:{b.fullname}: complexity {b.complexity}" for b in _functions(source) if b.complexity > MOST_COMPLEXITY]
    assert not [item for item in found if item.rsplit(": ", 1)[0] not in EXCEPTIONS]


def _functions(source: str) -> list:
    blocks = []
    for block in cc_visit(source):
        blocks += block.methods if hasattr(block, "methods") else [block]
    return blocks


@pytest.mark.parametrize("path", CODE, ids=name)
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text())
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree), f"{name(path)} does not say who lives here"
    missing = [
        f"{name(path)}:{node.name}"
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not missing


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a checkout that git can list")
def test_no_junk_is_tracked():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [path for path in tracked if path.endswith((".pyc", ".log", ".sock", ".pid", ".qcow2", ".img", ".raw"))]


def test_few_options():
    from common.config import GROUPS

    assert sum(len(options) for options in GROUPS.values()) <= 60
