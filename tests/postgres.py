"""A PostgreSQL server that belongs to the tests: started by them, and gone with them."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Self

StopMode = Literal["fast", "immediate"]
"""How a server ends: `fast` closes its sessions and writes everything out; `immediate` is a
crash, from which the next start recovers."""

PATIENCE = 60
"""Seconds that the server gets to start or to stop before that is an error."""

PORTS = range(20_000, 32_000)
"""Below the ports that the system gives to clients. Among those, a client that tries again
while the server is down could be given the server's port, and keep it."""

CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
fsync = {fsync}
"""

GUARD = 'cat; "$0" stop --silent --mode=immediate --pgdata="$1/data"; rm -rf "$1"'
"""Waits until its standard input closes, and ends the server."""


def installed_postgres() -> Path | None:
    """The folder of PostgreSQL's binaries, of its newest version; None when there is none."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    initdb = newest or shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class PostgresServer:
    """A server with a data directory of its own, on a free port of 127.0.0.1.

    Use it as a context manager. It ends with the block, and also when this process is killed.
    Its methods block until they are done; call them by `asyncio.to_thread` where the event
    loop is to go on meanwhile.

    Args:
        binaries: the folder of `initdb`, `pg_ctl` and `psql`, PostgreSQL 14 or newer.
        fsync: whether commits survive the loss of power too. Without it a restart need not
            wait for the disk, and the end of the server's processes still loses nothing.
    """

    def __init__(self, binaries: Path, *, fsync: bool = True) -> None:
        self._binaries = binaries
        self._fsync = "on" if fsync else "off"
        self._folder = Path(tempfile.mkdtemp(prefix="callboard-postgres-"))
        self._port = _free_port()
        self._database_numbers = itertools.count(1)
        # The server refuses to run as root, so root runs it as the user that owns its folder.
        self._as_user: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as_user |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        # Without the caller's PGDATA, PGOPTIONS and the like.
        self._as_user["env"] = {"PATH": os.defpath, "LC_ALL": "C"}

    def __enter__(self) -> Self:
        # The system closes the guard's pipe when this process ends, whatever ends it. A session
        # of its own keeps signals to our process group, such as Ctrl-C, from the guard.
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, self._binaries / "pg_ctl", self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._as_user,
        )
        try:
            self._create()
            self.start()
        except BaseException:
            self._guard.communicate(timeout=PATIENCE)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.communicate(timeout=PATIENCE)

    @property
    def url(self) -> str:
        """Of the database `postgres`. It stays the same over restarts."""
        return self._url("postgres")

    def new_database(self) -> str:
        """Create an empty database that no other test has. Returns its URL."""
        name = f"test_{next(self._database_numbers)}"
        # From template0: no session can be in it, which would make the statement wait.
        self._query(f"CREATE DATABASE {name} TEMPLATE template0")
        return self._url(name)

    def start(self) -> None:
        """Returns when the server accepts connections; at once when it already does."""
        if not self._is_running():
            self._pg_ctl("start", f"--log={self._log}")

    def stop(self, mode: StopMode = "fast") -> None:
        """Returns when the server's processes are gone; at once when there are none."""
        if self._is_running():
            self._pg_ctl("stop", f"--mode={mode}")

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start. Returns when the server accepts connections again."""
        self.stop(mode)
        self.start()

    def kill_backends(self) -> int:
        """Terminate every session of a client. Returns how many, once they are gone."""
        killed = self._query(
            f"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, {PATIENCE * 1000}))"
            " FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(killed.split()[-1])  # behind warnings about sessions that ended meanwhile

    def processes(self) -> list[int]:
        """The ids of the running server's processes; the one that makes the others is first."""
        first = (self._data / "postmaster.pid").read_text().split()[0]
        others = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [int(pid) for pid in (first, *others)]

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self._port}/{database}"

    def _create(self) -> None:
        self._run(
            "initdb",
            f"--pgdata={self._data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        with (self._data / "postgresql.conf").open("a") as file:
            settings = {"port": self._port, "folder": self._folder, "fsync": self._fsync}
            file.write(CONFIGURATION.format(**settings))

    def _is_running(self) -> bool:
        return self._attempt("pg_ctl", "status", f"--pgdata={self._data}").returncode == 0

    def _pg_ctl(self, command: str, *options: str) -> None:
        self._run(
            "pg_ctl",
            command,
            f"--pgdata={self._data}",
            "--wait",
            f"--timeout={PATIENCE}",
            "--silent",
            *options,
        )

    def _query(self, sql: str) -> str:
        address = f"host=127.0.0.1 port={self._port} user=postgres dbname=postgres"
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, address)

    def _run(self, program: str, *arguments: str) -> str:
        done = self._attempt(program, *arguments)
        if done.returncode != 0:
            log = self._log.read_text() if self._log.exists() else ""
            raise RuntimeError(f"{program} {' '.join(arguments)}:\n{done.stdout}{log[-4000:]}")
        return done.stdout

    def _attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._binaries / program, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._as_user,
        )


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            # As the server does, so that its predecessor's old connections are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"No free port in {PORTS}: end some of the servers on 127.0.0.1.")
