"""`callboard serve`: projects as they are described, and what is refused."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.cli import main
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
    ("document", "fault"),
    [
        ("{", "cannot be read"),
        ({}, "names no graphs"),
        ({"graphs": {"a": 3}}, "needs a place"),
        ({"graphs": {}, "env": "missing.env"}, "env cannot be read"),
        ({"graphs": {}, "env": [1]}, "neither an object nor a file"),
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
async def opened(config):
    assert config == {"configurable": {}}
    yield graph().compile()


@pytest.mark.parametrize("found", [graph(), graph().compile(), graph, later, opened])
def test_a_graph_may_be_compiled_or_not_or_made_and_gets_a_checkpointer(found):
    saver = InMemorySaver()

    async def story():
        async with AsyncExitStack() as stack:
            agents = await made({"it": found}, saver, stack)
            return await finish(LangGraphExecutor(agents["it"]), FakeRun({"path": []}))

    assert asyncio.run(story()).output == {"path": ["a"]}
    assert saver.storage


def test_a_graph_keeps_its_own_checkpointer():
    own = InMemorySaver()

    async def story():
        async with AsyncExitStack() as stack:
            graphs = {"own": graph().compile(checkpointer=own)}
            return await made(graphs, InMemorySaver(), stack)

    assert asyncio.run(story())["own"].checkpointer is own


def test_what_is_no_graph_is_refused():
    async def story():
        async with AsyncExitStack() as stack:
            await made({"it": 3}, None, stack)

    with pytest.raises(Unusable, match="'it' is a int"):
        asyncio.run(story())
