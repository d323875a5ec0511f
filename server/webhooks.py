"""Telling others that a run has ended."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, urlsplit

import structlog

from ..actors.runtime import Runtime
from ..actors.settlement import error_data
from ..domain.enums import RunStatus
from ..domain.errors import CallboardError
from ..domain.payload import JSON
from ..domain.views import RunResult, RunSnapshot
from .addresses import is_public
from .encoding import to_bytes
from .errors import Invalid
from .shapes import OURS, outcome_shape, run_shape

_log = structlog.get_logger("callboard.server")

_PATIENCE = 10.0
"""Seconds the other side may take, all in all."""
_AT_ONCE = 64
"""Reports that are on their way at the same time; the others wait."""
_LOOKING_UP = 4
"""OS threads that look names up: not those of graphs, which slow names would hold up."""
_SAFE = "/%:@!$&'()*+,;=~"
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
        self._reporting: set[asyncio.Task[None]] = set()
        """Those of them whose runs have ended."""
        self._followed: set[str] = set()
        """The runs whose ends are waited for."""
        self._resumed = False
        self._lookups = ThreadPoolExecutor(_LOOKING_UP, "callboard-webhook")
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def check(self, url: str | None) -> None:
        """See whether a run may name this webhook.

        Raises:
            Invalid: it may not.

        """
        if url is None:
            return
        try:
            place = urlsplit(url)
            if place.scheme not in ("http", "https") or not place.hostname:
                raise Invalid("webhook", "give an absolute URL with http or https")
            async with asyncio.timeout(_PATIENCE):
                await self._addresses(place)
        except (OSError, ValueError) as error:
            raise Invalid("webhook", f"give an address that can be reached ({error})") from error

    def follow(self, run: RunSnapshot) -> None:
        """Post when the run has ended, if it names a webhook."""
        url = run.request.host_data.get(OURS, {}).get("webhook")
        if url is not None and run.run_id not in self._followed:
            self._followed.add(run.run_id)
            task = asyncio.create_task(self._post_at_end(run, url), name="callboard webhook")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._reporting.discard)

    async def begin(self) -> None:
        """Resume, if nobody did: a mounted app is not told that its host's server starts."""
        if not self._resumed and self._runtime.state == "running":
            await self.resume()

    async def resume(self) -> None:
        """Follow the runs that were in flight when the server started."""
        self._resumed = True
        try:
            for run in await self._runtime.list_in_flight():
                self.follow(run)
        except BaseException as error:
            self._resumed = False  # the next request tries again
            if not isinstance(error, CallboardError):
                raise
            _log.warning("webhooks_not_resumed", error=str(error))

    async def aclose(self) -> None:
        """Give the reports on their way their time, follow no run any more, look up no name."""
        for task in self._tasks - self._reporting:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
        self._lookups.shutdown(wait=False)

    async def _post_at_end(self, run: RunSnapshot, url: str) -> None:
        try:
            result = await self._runtime.wait(run.run_id)
            if (task := asyncio.current_task()) is not None:
                self._reporting.add(task)
            body = to_bytes(_report(run, result))
            async with self._turns, asyncio.timeout(_PATIENCE):
                await self._post(urlsplit(url), body)
        except Exception as error:  # noqa: BLE001 - whatever is wrong is theirs to see to
            _log.warning("webhook_failed", run_id=run.run_id, url=url, error=repr(error))
        finally:
            self._followed.discard(run.run_id)

    async def _post(self, place: SplitResult, body: bytes) -> None:
        reader, writer = await self._connect(place)
        try:
            writer.write(_head(place, len(body)) + body)
            await writer.drain()
            # A redirection is a failure: where it leads has not been looked at.
            line = (await reader.readline()).decode("latin-1").split(None, 2)
            if len(line) < 2 or not line[0].startswith("HTTP/") or not line[1].startswith("2"):
                raise OSError(f"it answered {' '.join(line) or 'nothing'}")
        finally:
            writer.close()

    async def _connect(
        self, place: SplitResult
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To one of the addresses that are looked at now, whatever the name says later."""
        secure = place.scheme == "https"
        failed: Exception | None = None
        for host, port in await self._addresses(place):
            try:
                return await asyncio.open_connection(
                    host, port, ssl=secure, server_hostname=place.hostname if secure else None
                )
            except OSError as error:
                failed = error
        raise failed or OSError("it has no address")

    async def _addresses(self, place: SplitResult) -> list[tuple[str, int]]:
        """Where a URL leads.

        Raises:
            OSError: its name is not known, or not in time.
            ValueError: it leads where it must not, be it one address of several.

        """
        port = place.port or (443 if place.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._lookups, lambda: socket.getaddrinfo(place.hostname, port, 0, socket.SOCK_STREAM)
        )
        hosts = list(dict.fromkeys(str(host) for *_, (host, *_) in found))
        for host in hosts:
            if not self._private and not is_public(host):
                raise ValueError(f"{host} is private")
        return [(host, port) for host in hosts]


def _head(place: SplitResult, length: int) -> bytes:
    name = str(place.hostname).encode("idna").decode()
    host = f"[{name}]" if ":" in name else name
    if place.port is not None:
        host += f":{place.port}"
    path = quote(place.path or "/", safe=_SAFE)
    query = f"?{quote(place.query, safe=_SAFE + '?')}" if place.query else ""
    lines = (
        f"POST {path}{query} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: callboard",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode()


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
