"""Telling others that a run has ended."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import structlog

from ..actors.runtime import Runtime
from ..actors.settlement import error_data
from ..domain.enums import RunStatus
from ..domain.payload import JSON
from ..domain.views import RunResult, RunSnapshot
from .encoding import to_bytes
from .errors import Invalid
from .shapes import OURS, outcome_shape, run_shape

_log = structlog.get_logger("callboard.server")

_PATIENCE = 10.0
"""Seconds the other side may take."""
_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


class Webhooks:
    """Posts the end of each run that names a webhook, once.

    A server that dies between a run's end and its webhook does not post it. Private and
    loopback addresses are refused, or a client could reach what only the server should: when
    the run is created, and again when the address is connected to.

    Args:
        runtime: has the runs.
        private: allow such addresses.

    """

    def __init__(self, runtime: Runtime, *, private: bool) -> None:
        self._runtime = runtime
        self._private = private
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, url: str | None) -> None:
        """See whether a run may name this webhook.

        Raises:
            Invalid: it may not.

        """
        if url is None:
            return
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise Invalid("webhook", "give an absolute URL with http or https")
        try:
            await asyncio.to_thread(self._address, place)
        except (OSError, ValueError) as error:
            raise Invalid("webhook", f"give an address that can be reached ({error})") from error

    def follow(self, run: RunSnapshot) -> None:
        """Post when the run has ended, if it names a webhook."""
        url = run.request.host_data.get(OURS, {}).get("webhook")
        if url is not None:
            task = asyncio.create_task(self._post_at_end(run, url), name="callboard webhook")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def resume(self) -> None:
        """Follow the runs that were in flight when the server started."""
        for run in await self._runtime.list_in_flight():
            self.follow(run)

    async def _post_at_end(self, run: RunSnapshot, url: str) -> None:
        try:
            result = await self._runtime.wait(run.run_id)
            body = to_bytes(_report(run, result))
            await asyncio.to_thread(self._post, urlsplit(url), body)
        except Exception as error:  # noqa: BLE001 - whatever is wrong is theirs to see to
            _log.warning("webhook_failed", run_id=run.run_id, url=url, error=repr(error))

    def _post(self, place: SplitResult, body: bytes) -> None:
        address = self._address(place)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        connection: Any = kind(str(place.hostname), place.port, timeout=_PATIENCE)
        # To the address that was looked at, whatever the name says by now.
        connection._create_connection = lambda _, *rest: socket.create_connection(address, *rest)
        try:
            path = (place.path or "/") + (f"?{place.query}" if place.query else "")
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
            if status >= 300:
                raise OSError(f"it answered {status}")
        finally:
            connection.close()

    def _address(self, place: SplitResult) -> tuple[str, int]:
        """Where a URL leads.

        Raises:
            OSError: its name is not known.
            ValueError: it leads where it must not.

        """
        port = place.port or (443 if place.scheme == "https" else 80)
        found = socket.getaddrinfo(place.hostname, port, type=socket.SOCK_STREAM)
        for *_, (host, *_) in found:
            address = ip_address(str(host).partition("%")[0])
            if not self._private and not address.is_global:
                raise ValueError(f"{host} is private")
        return str(found[0][4][0]), port


def _report(run: RunSnapshot, result: RunResult) -> dict[str, JSON]:
    now = datetime.now(UTC).isoformat()
    report = {
        **run_shape(run),
        "status": result.status.value,
        "run_started_at": run.created_at.isoformat(),
        "run_ended_at": now,
        "webhook_sent_at": now,
        "values": outcome_shape(result, result.output),
    }
    if result.status in _FAILED:
        report["error"] = error_data(result.status, result.error)
        report["values"] = None
    return report
