"""`callboard run`: run one agent and print its frames as JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from typing import Any

import structlog

from ..actors.runtime import Runtime
from ..domain.errors import CallboardError
from ..domain.views import RunResult
from .loading import Unusable, load

_CODES = {"success": 0, "interrupted": 130}


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    parser = commands.add_parser("run", help="run one agent, print its frames as JSON lines")
    parser.add_argument("agent", help="where it is: package.module:name")
    parser.add_argument("--thread", default="main", help="the conversation (default: %(default)s)")
    parser.add_argument("--input", default="null", help="JSON for the agent")
    parser.add_argument("--config", default="null", help="a JSON object")
    parser.add_argument("--context", default="null", help="a JSON object")
    parser.add_argument("--command", default="null", help="JSON, for graphs: resume, update, goto")
    parser.add_argument("--stream-mode", action="append", help="for graphs; may be repeated")
    parser.add_argument("--timeout", type=float, help="seconds it may take")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the agent. Returns 0 for success, 130 for an abort, 1 otherwise, 2 for bad input."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        agent = _load(options.agent)
        given = {
            name: _json(getattr(options, name), name)
            for name in ("input", "config", "context", "command")
        }
        given |= {"stream_mode": options.stream_mode, "timeout": options.timeout}
        result = asyncio.run(_run(agent, options.thread, given))
    except (Unusable, CallboardError) as error:
        print(f"callboard run: {error}", file=sys.stderr)
        return 2
    return _CODES.get(result.status, 1)


async def _run(agent: Any, thread_id: str, given: dict[str, Any]) -> RunResult:
    async with Runtime({"agent": agent}) as runtime:
        run = await runtime.create_run(thread_id, "agent", **given)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)

        async def stop() -> None:
            await stopping.wait()
            await runtime.cancel(run.run_id)

        stopper = asyncio.create_task(stop())
        async for frame in runtime.stream(run.run_id):
            if frame.event != "heartbeat":
                line = {"id": frame.id, "event": frame.event, "data": frame.data}
                print(json.dumps(line, ensure_ascii=False), flush=True)
        stopper.cancel()
        return await runtime.wait(run.run_id)


def _load(place: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")
    return load(place)


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unusable(f"--{name} is {text!r}, which is not JSON ({error})") from error
