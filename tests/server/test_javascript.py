"""The platform's client for JavaScript, from npm, against this server."""

import asyncio
import os
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from callboard import Runtime
from callboard.cli.project import read_project
from callboard.cli.project_graphs import made
from tests.server.house import serving, story

HERE = Path(__file__).parent / "javascript"
PROJECT = Path(__file__).parents[2] / "examples" / "langgraph_project" / "langgraph.json"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script, beside the client that it imports.

    Without npm or its registry such tests are skipped, but for CALLBOARD_REQUIRE_NPM=1: then
    they fail.
    """
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    npm = shutil.which("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
    if npm and subprocess.run(command, cwd=folder, check=False, timeout=60).returncode == 0:
        return folder / "client.mjs"
    if os.environ.get("CALLBOARD_REQUIRE_NPM") == "1":
        pytest.fail("npm does not install the client")
    pytest.skip("npm does not install the client")


@story
async def test_a_client_in_javascript_finds_what_it_knows(script):
    async with AsyncExitStack() as stack:
        agents = await made(read_project(PROJECT).load(), stack)
        async with serving(runtime=Runtime(agents, drain_timeout=0.0)) as served:
            node = await asyncio.create_subprocess_exec(
                "node", script, served.url, stderr=asyncio.subprocess.PIPE
            )
            _, told = await node.communicate()

    assert node.returncode == 0, told.decode()
