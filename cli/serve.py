"""`callboard serve`: serve a LangGraph project, unchanged, by the platform's API."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog

from ..actors.runtime import Runtime
from ..domain.errors import CallboardError
from ..domain.policies import RestartPolicy
from .loading import Unusable, load
from .logs import configure_logs
from .project import Project, read_project

_log = structlog.get_logger("callboard.serve")

_HERE = ("localhost", "127.0.0.1", "::1")
"""What a server that only this machine reaches is called."""
_ATTEMPTS = 3
"""Of a run whose process dies each time."""


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    parser = commands.add_parser("serve", help="serve a LangGraph project by the platform's API")
    add = parser.add_argument
    add("--config", default="langgraph.json", help="describes the project (%(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=2024, help="port to listen on; 0 takes any (%(default)s)")
    add("--store", metavar="URL", help="keeps runs and states; without it, memory does")
    add("--durability", choices=("full", "process"), default="full", help="what a commit survives")
    add("--auth", metavar="PLACE", help="./file.py:hook that turns a request into a user's id")
    add("--operator", action="append", metavar="USER", help="may see the dashboard; repeat")
    add("--allow-anonymous", action="store_true", help="let others than this machine in without")
    add("--cors-origin", action="append", metavar="ORIGIN", help="of pages that may ask; repeat")
    add("--private-webhooks", action="store_true", help="let webhooks lead to private addresses")
    add("--drain", type=float, default=10.0, metavar="SECONDS", help="for runs at the end (10)")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Serve until told to stop. Returns 0, or 2 if it cannot be done."""
    configure_logs(options.log_level)
    try:
        project = read_project(Path(options.config), guarded=options.auth is not None)
        _check_reach(options)
        if project.unread:
            _log.warning("settings_not_read", config=options.config, settings=list(project.unread))
        project.enter()
        _run(_serve(project, options))
    except ImportError as error:
        print(
            f"callboard serve needs {error.name}: pip install 'callboard[server]'", file=sys.stderr
        )
        return 2
    except (Unusable, CallboardError) as error:
        print(f"callboard serve: {error}", file=sys.stderr)
        return 2
    return 0


def _run(serving: Coroutine[Any, Any, list[int]]) -> None:
    """Serve to the end, whatever nodes raise, and end as the signal wants that was the cause."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(serving)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except SystemExit as error:
                # asyncio lets it out of whatever task it comes from. If that was a node's,
                # its run fails of it.
                if task.done():
                    raise
                _log.error("node_wants_to_exit", error=repr(error))
        for number in task.result():
            # Here, where whoever waits for this process sees why it ended; and at once: leaving
            # the block would wait for nodes that do not unwind.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


async def _serve(project: Project, options: argparse.Namespace) -> list[int]:
    """Returns the signals that ended it, if any did."""
    told: list[int] = []
    from ..server import callboard_app  # noqa: PLC0415 - an extra
    from .project_graphs import made  # noqa: PLC0415 - needs LangGraph

    hook = None if options.auth is None else load(options.auth, project.folder)
    async with AsyncExitStack() as stack:
        agents = await made(project.load(), stack)
        # What a dead process left goes on from its last checkpoint.
        restart = RestartPolicy(on_orphan="restart", max_attempts=_ATTEMPTS)
        runtime = Runtime(agents, options.store, durability=options.durability, restart=restart)
        app = callboard_app(
            runtime,
            authenticate=hook,
            cors_origins=options.cors_origin,
            private_webhooks=options.private_webhooks,
            operators=options.operator or (),
            hosts=None if options.auth or options.allow_anonymous else _HERE,
        )
        await _listen(app, runtime, options, told)
    return told


async def _listen(app: Any, runtime: Runtime, options: argparse.Namespace, told: list[int]) -> None:
    from .uvicorn_server import Server  # noqa: PLC0415 - an extra

    await runtime.start()
    # Uvicorn raises them again when it has stopped: what the graphs hold open is closed first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told.append(number))
    try:
        await Server(app, runtime, options.drain, **_settings(options)).serve()
    finally:
        await runtime.aclose(0.0, hand_over=True)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "host": options.host,
        "port": options.port,
        "ws": "none",
        "log_config": None,
        "access_log": options.log_level == "debug",
        "timeout_graceful_shutdown": 1,
        # Longer than clients keep a connection: it must not be closed as they use it again.
        "timeout_keep_alive": 75,
    }


def _check_reach(options: argparse.Namespace) -> None:
    if not (_is_loopback(options.host) or options.auth or options.allow_anonymous):
        raise Unusable(f"--host {options.host} lets others in: give --auth, or --allow-anonymous")


def _is_loopback(host: str) -> bool:
    if host in _HERE:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
