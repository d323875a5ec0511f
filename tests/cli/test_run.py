"""`python -m callboard run`, as a user calls it."""

import json
import signal
import subprocess
import sys

import pytest

AGENTS = """
import asyncio

async def echo(run):
    for word in run.input["text"].split():
        yield "values", {"word": word, "thread": run.thread_id}

async def waits(run):
    yield "values", "ready"
    try:
        await asyncio.Event().wait()
    finally:
        run.emit("custom", "unwound")

async def fails(run):
    raise ValueError("kaput")

nothing = 7
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_agents.py").write_text(AGENTS)
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "callboard", *arguments]


def call(folder, *arguments):
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_prints_the_frames_of_one_agent_as_json_lines(folder):
    done = call(folder, "run", "my_agents:echo", "--thread", "t", "--input", '{"text": "to be"}')

    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [frame["event"] for frame in frames] == ["metadata", "values", "values", "end"]
    assert frames[2] == {"id": "3", "event": "values", "data": {"word": "be", "thread": "t"}}


def test_a_failing_agent_gives_exit_code_1_and_an_error_frame(folder):
    done = call(folder, "run", "my_agents:fails")

    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert frames[-2]["data"] == {"error": "ValueError", "message": "kaput"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_aborts_the_run_and_lets_the_agent_unwind(folder, number):
    with subprocess.Popen(
        command("run", "my_agents:waits"), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(number)
        rest = process.stdout.read()

    frames = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert process.returncode == 130
    assert [f["event"] for f in frames] == ["metadata", "values", "custom", "end"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["my_agents"], "give package.module:name"),
        (["my_agents:missing"], "cannot be loaded"),
        (["no_module:x"], "cannot be loaded"),
        (["my_agents:nothing"], "agent is 7"),
        (["my_agents:echo", "--input", "{"], "not JSON"),
        (["my_agents:echo", "--timeout", "-1"], "timeout is -1"),
        (["my_agents:echo", "--thread", " "], "thread_id is ' '"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(folder, arguments, text):
    done = call(folder, "run", *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_command_it_prints_the_help(folder):
    done = call(folder)

    assert done.returncode == 2
    assert "demo" in done.stdout
    assert "run" in done.stdout
