"""`callboard serve`: projects as they are described, and what is refused."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph_sdk.runtime import ServerRuntime

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.cli import main
from callboard.cli.environment import read_environment
from callboard.cli.loading import Unusable
from callboard.cli.project import read_project
from callboard.cli.project_graphs import made
from tests.executors.fake_run import FakeRun, finish
from tests.executors.graphs import goes, steps


@pytest.fixture
def project(tmp_path):
    """Writes `langgraph.json`. Returns its path."""
    path = tmp_path / "langgraph.json"

    def write(document):
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def test_graphs_are_found_in_files_and_modules_by_path_or_object(project, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my-graphs.py").write_text("graph = 'from a file'\nclass Box:\n    inner = 1\n")
    (tmp_path / "some_module_of_mine.py").write_text("graph = 'from a module'\n")
    places = {
        "file": "./my-graphs.py:graph",
        "nested": {"path": "./my-graphs.py:Box.inner", "description": "a box"},
        "module": "some_module_of_mine:graph",
    }

    assert read_project(project({"graphs": places})).load() == {
        "file": "from a file",
        "nested": 1,
        "module": "from a module",
    }


def test_the_environment_is_an_object_or_a_file(project, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "# a comment\n\nexport PLAIN=one two  # said\nQUOTED=\"a # b\"\nSINGLE='c'\nEMPTY=\n"
    )
    wanted = {"PLAIN": "one two", "QUOTED": "a # b", "SINGLE": "c", "EMPTY": ""}

    assert read_project(project({"graphs": {}, "env": ".env"})).env == wanted
    entered = read_project(project({"graphs": {}, "env": {"CALLBOARD_TEST": 3}}))
    monkeypatch.setenv("CALLBOARD_TEST", "before")
    monkeypatch.setattr("sys.path", [])
    entered.enter()
    assert os.environ["CALLBOARD_TEST"] == "3"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('KEY="-----BEGIN-----\nabc\n"', "-----BEGIN-----\nabc\n"),
        (r'KEY="one\ntwo \"three\""', 'one\ntwo "three"'),
        (r"KEY='one\ntwo \'three\''", r"one\ntwo 'three'"),
        ("KEY = a=b#c  # said", "a=b#c"),
        ("KEY=${CALLBOARD_TEST}/${MISSING:-x}", "before/x"),
        ("A=1\r\nKEY=${A}2\r\n", "12"),
        ("\ufeffKEY=1\n\nALONE\n", "1"),
        ("KEY='a # b' # said\n# KEY=2", "a # b"),
    ],
)
def test_a_file_of_variables_may_be_quoted_and_refer_to_others(text, wanted):
    assert read_environment(text, ".env", {"CALLBOARD_TEST": "before"})["KEY"] == wanted


def test_a_line_that_sets_nothing_is_told():
    with pytest.raises(Unusable, match="sets nothing: '= what'"):
        read_environment("KEY=1\n= what\n", ".env", {})


def test_a_file_of_a_package_is_the_module_that_its_others_import(project, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    package = tmp_path / "src" / "callboard_test_agent"
    (package / "nodes").mkdir(parents=True)
    for folder in (package, package / "nodes"):
        (folder / "__init__.py").touch()
    (package / "state.py").write_text("seen = []\n")
    (package / "nodes" / "one.py").write_text("from ..state import seen\nseen.append('one')\n")
    (package / "graph.py").write_text(
        "from callboard_test_agent.state import seen\nfrom .nodes import one\ngraph = seen\n"
    )
    graphs = {"it": "./src/callboard_test_agent/graph.py:graph"}
    place = "./src/callboard_test_agent/nodes/one.py:seen"

    loaded = read_project(project({"graphs": {**graphs, "again": place}})).load()

    assert loaded == {"it": ["one"], "again": ["one"]}


def test_modules_are_found_in_the_folders_a_project_depends_on(project, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "callboard_test_shared.py").write_text("graph = 'shared'\n")
    (tmp_path / "agent.py").write_text("from callboard_test_shared import graph\n")
    document = {"dependencies": [".", "./shared", "httpx", "./gone"]}

    entered = read_project(project({**document, "graphs": {"it": "./agent.py:graph"}}))
    entered.enter()

    assert entered.imports == (tmp_path, tmp_path / "shared")
    assert entered.load() == {"it": "shared"}


def test_what_a_project_says_of_its_users_is_passed_over_when_the_server_is_told_otherwise(project):
    path = project({"graphs": {}, "auth": {"path": "./auth.py:auth"}, "http": {"app": "x"}})

    assert read_project(path, guarded=True).unread == ("auth", "http")


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("{", "cannot be read"),
        ({}, "names no graphs"),
        ({"graphs": {"a": 3}}, "needs a place"),
        ({"graphs": {}, "env": "missing.env"}, "env cannot be read"),
        ({"graphs": {}, "env": [1]}, "neither an object nor a file"),
        ({"graphs": {}, "dependencies": "."}, "no list of strings"),
        ({"graphs": {}, "auth": {"path": "./auth.py:auth"}}, "see --auth"),
    ],
)
def test_a_description_that_cannot_be_used_says_why(project, document, fault, capsys):
    assert main(["serve", "--config", str(project(document))]) == 2

    assert fault in capsys.readouterr().err


@pytest.mark.parametrize("place", ["./none.py:graph", "no_such_module:graph", "graph", "json:none"])
def test_a_graph_that_is_not_there_is_told(project, place):
    with pytest.raises(Unusable, match=r"graph|none"):
        read_project(project({"graphs": {"a": place}})).load()


def test_a_missing_description_is_told(tmp_path, capsys):
    assert main(["serve", "--config", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_other_machines_are_let_in_only_on_purpose(project, capsys):
    path = project({"graphs": {}})

    assert main(["serve", "--config", str(path), "--host", "0.0.0.0"]) == 2
    assert "--allow-anonymous" in capsys.readouterr().err


def graph():
    return steps(("a", goes("a")))


async def later():
    return graph()


@asynccontextmanager
async def opened():
    yield graph().compile()


@pytest.mark.parametrize("found", [graph(), graph().compile(), graph, later, opened])
def test_a_graph_may_be_compiled_or_not_or_made(found):
    async def story():
        async with AsyncExitStack() as stack:
            agents = await made({"it": found}, stack)
            return await finish(LangGraphExecutor(agents["it"]), FakeRun({"path": []}))

    assert asyncio.run(story()).output == {"path": ["a"]}


@asynccontextmanager
async def opened_by(config: RunnableConfig):
    yield steps((config["configurable"]["node"], goes("a")))


async def made_by(runtime: "ServerRuntime[Any]", config=None):
    context = runtime.execution_runtime.context
    return steps((config["configurable"]["node"], goes(context["says"])))


def made_by_runtime(runtime: ServerRuntime):
    return steps(("a", goes(runtime.access_context)))


@pytest.mark.parametrize(
    ("found", "said"),
    [(opened_by, "a"), (made_by, "b"), (made_by_runtime, "threads.create_run")],
)
def test_a_factory_is_called_for_each_run_with_what_the_run_is_configured_with(found, said):
    async def story():
        async with AsyncExitStack() as stack:
            executor = LangGraphExecutor((await made({"it": found}, stack))["it"])
            outputs = []
            for number, node in enumerate(("one", "two")):
                run = FakeRun({"path": []}, run_id=f"run-{number}", context={"says": "b"})
                run.config = {"configurable": {"node": node}}
                outputs.append((await finish(executor, run)).output)
            return outputs

    # The second run goes on from what the first has left.
    assert asyncio.run(story()) == [{"path": [said]}, {"path": [said, said]}]


@pytest.mark.parametrize("found", [lambda a, b: a, lambda a, b, c: a], ids=["two", "three"])
def test_a_factory_that_takes_what_is_not_known_is_refused(found):
    async def story():
        async with AsyncExitStack() as stack:
            await made({"it": found}, stack)

    with pytest.raises(Unusable, match="'it' is made by a function of a, b"):
        asyncio.run(story())


def test_what_is_no_graph_is_refused():
    async def story():
        async with AsyncExitStack() as stack:
            await made({"it": 3}, stack)

    with pytest.raises(Unusable, match="'it' is a int"):
        asyncio.run(story())
