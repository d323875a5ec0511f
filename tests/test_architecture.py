"""The rules of the house, held by reading the sources."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import callboard

ROOT = Path(__file__).parent.parent
LAYERS = {
    "domain": set(),
    "kernel": {"domain"},
    "store": {"domain"},
    "observers": {"domain", "kernel", "store"},
    "actors": {"domain", "kernel", "store", "observers"},
    "testing": {"domain", "kernel", "store", "observers", "actors"},
    "server": {"domain", "kernel", "store", "observers", "actors"},
    "cli": {"domain", "kernel", "store", "observers", "actors", "server"},
}
FILES = sorted(p for folder in LAYERS for p in (ROOT / folder).rglob("*.py"))
OUTSIDE = {
    "sqlalchemy": ("store/", "cli/project_graphs.py"),
    "aiosqlite": ("store/",),
    "alembic": ("store/sql/migrations/",),
    "pykka": ("kernel/", "actors/", "observers/"),
    "langgraph": ("actors/executors/langgraph", "cli/graphs.py", "cli/project_graphs.py"),
    "langchain_core": ("actors/executors/langgraph", "cli/graphs.py"),
    "prometheus_client": ("observers/prometheus.py", "server/metrics.py"),
    "starlette": ("server/",),
    "uvicorn": ("cli/uvicorn_server.py",),
    "orjson": ("server/encoding.py",),
    "pydantic": ("server/", "actors/executors/langgraph"),
}
CLOCKS = {
    ("time", "time"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("asyncio", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
}
CHANCE = {"random", "secrets"}
OUTSIDE_TIME = {"store/sql/reading.py", "store/sql/store.py"}
"""They wait for a real database, which knows no other time than the wall's."""
DEFERRED = {("actors.runtime", "actors.blocking")}
"""Imports that wait for a call: `Runtime.blocking` makes a class that stands on `Runtime`."""


def name(path):
    return path.relative_to(ROOT).as_posix()


def tree(path):
    return ast.parse(path.read_text())


def module(path):
    """A file's name as a module, without `callboard`."""
    return name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module(path) for path in FILES}


def executed(node):
    """The nodes below, without what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from executed(child)


def needed(path):
    """The modules of ours that a file imports when it is run."""
    package = path.relative_to(ROOT).parent.parts
    for node in executed(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *filter(None, [node.module]))
            for alias in node.names:
                full = ".".join((*base, alias.name))
                yield full if full in MODULES else ".".join(base)


def imported(path):
    """(folder, module) of each import: the folder of ours, or "" and the module's name."""
    depth = len(path.relative_to(ROOT).parts) - 1
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield "", alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield "", str(node.module).partition(".")[0]
            elif node.level > depth:
                yield str(node.module).partition(".")[0], str(node.module)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_one_way(path):
    folder = path.relative_to(ROOT).parts[0]

    for other, module in imported(path):
        if other:
            assert other in LAYERS[folder], f"{name(path)} imports {module}"
        assert module != "callboard", "inside the package imports are relative"


def test_no_module_imports_itself_in_a_circle():
    graph = {
        module(path): {
            each
            for each in needed(path)
            if each != module(path) and (module(path), each) not in DEFERRED
        }
        for path in FILES
    }

    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("path", FILES, ids=name)
def test_libraries_stay_where_they_belong(path):
    for other, module in imported(path):
        if not other and module in OUTSIDE:
            assert name(path).startswith(OUTSIDE[module]), f"{name(path)} imports {module}"


def test_the_domain_stands_on_the_standard_library_alone():
    for path in (ROOT / "domain").glob("*.py"):
        for other, module in imported(path):
            assert other or module in sys.stdlib_module_names, f"{name(path)}: {module}"


def reached(node):
    """What a node takes out of what: `time.time`, or `from time import time`."""
    if isinstance(node, ast.Attribute):
        yield ast.unparse(node.value).rpartition(".")[2], node.attr
    elif isinstance(node, ast.ImportFrom):
        yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("folder", ["actors", "observers", "domain", "store"])
def test_time_and_chance_come_from_the_kernel_alone(folder):
    for path in (ROOT / folder).rglob("*.py"):
        if name(path) in OUTSIDE_TIME:
            continue
        assert not CHANCE & {library for _, library in imported(path)}, name(path)
        for node in ast.walk(tree(path)):
            assert not CLOCKS & set(reached(node)), f"{name(path)}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400, name(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1
            lines -= doc.end_lineno - doc.lineno + 1 if doc else 0
            assert lines <= 45, f"{name(path)}:{node.lineno} {node.name}"


def test_the_front_door_is_sorted_and_leads_to_what_it_names():
    names = callboard.__all__

    assert names == sorted(names)
    assert len(names) == len(set(names))
    for each in names:
        assert getattr(callboard, each) is not None


def test_a_public_name_means_one_thing_wherever_it_is_exported():
    meanings = {}
    for folder in LAYERS:
        package = importlib.import_module(f"callboard.{folder}")
        assert len(package.__all__) == len(set(package.__all__)), folder
        for each in package.__all__:
            assert getattr(package, each) is meanings.setdefault(each, getattr(package, each)), each


def test_importing_callboard_loads_no_extra():
    code = "import callboard, sys; print([m for m in ('langgraph', 'langchain_core', "
    code += "'prometheus_client') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"
