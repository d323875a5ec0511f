"""The description of the API is true: schemathesis tries all of it on a server with real graphs.

It runs as a process of its own: it changes Hypothesis for every test that shares one with it.
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.server import house
from tests.server.house import AGENTS, serving, story

HERE = Path(__file__).parent / "openapi"
ID = "11111111-1111-1111-1111-111111111111"
GROUPS = {
    "of the server": {"System", "Dashboard", "Assistants"},
    "of threads": {"Threads", "Thread states"},
    "of runs": {"Runs"},
    "of runs without threads": {"Stateless runs"},
}


@pytest.fixture(autouse=True)
def _thousands_of_requests_take_their_time(monkeypatch):
    monkeypatch.setattr(house, "PATIENCE", 300.0)


def agents():
    return {**AGENTS(), "endless": endless}


async def endless(run):
    """Ends when it is ended."""
    yield "values", {}
    await asyncio.Event().wait()


async def tried(served, folder, phases, tags=()):
    """How often each operation gave each status; a check that fails fails the test."""
    report = folder / "report.ndjson"
    chosen = [option for tag in sorted(tags) for option in ("--include-tag", tag)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", HERE / "schemathesis.toml", "run", f"{served.url}/openapi.json"),
        *("--no-color", "--report", "ndjson", "--report-ndjson-path", report),
        *("--phases", phases, *chosen),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, told.decode()
    return statuses_in(report.read_text())


def statuses_in(report):
    statuses = defaultdict(Counter)
    for line in report.splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {"recorder": {}})["recorder"]
        for case_id, exchange in scenario.get("interactions", {}).items():
            case = scenario["cases"][case_id]["value"]
            statuses[case["method"], case["path"]][exchange["response"]["status_code"]] += 1
    return statuses


def taken(statuses):
    """The operations that did what was asked at least once."""
    return {operation for operation, found in statuses.items() if min(found) < 300}


async def described(served):
    """The operations in the description, with their tags."""
    api = (await served.http.get("/openapi.json")).json()
    return {
        (method.upper(), path): set(operation["tags"])
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }


async def ended(served):
    """How many runs ended, by status."""
    metrics = (await served.http.get("/metrics")).text
    found = re.findall(r'^callboard_runs_ended_total{status="(\w+)"} (\d+)', metrics, re.MULTILINE)
    return {status: int(count) for status, count in found}


@pytest.mark.parametrize("group", GROUPS)
@story
async def test_what_is_described_is_what_happens(group, tmp_path):
    async with serving(agents()) as served:
        statuses = await tried(served, tmp_path, "coverage,fuzzing", GROUPS[group])

        operations = await described(served)
        assert taken(statuses) == {each for each in operations if operations[each] & GROUPS[group]}
        assert (await ended(served))["success"] >= len(operations)


@story
async def test_sequences_of_requests_keep_to_the_description_too(tmp_path):
    async with serving(agents()) as served:
        statuses = await tried(served, tmp_path, "stateful")

        assert taken(statuses) >= {("POST", "/threads"), ("GET", "/threads/{thread_id}")}


@story
async def test_every_route_is_described_or_not_offered_and_what_is_described_is_tried():
    async with serving() as served:
        operations = await described(served)
        routes = {
            (method, route.path)
            for route in served.app.routes
            for method in route.methods - {"HEAD"}
        }

        assert set(operations) <= routes
        for method, path in routes - set(operations):
            answer = await served.http.request(method, re.sub(r"\{\w+\}", ID, path), json={})
            assert answer.status_code == 501, (method, path)
        assert set.union(*operations.values()) == set.union(*GROUPS.values())
