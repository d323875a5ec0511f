"""Who has a SQLite file open: the file `<database>.owner` beside it.

Its lock belongs to the process and ends with it, however it ends: who comes after a
`kill -9` need not wait. It also says how far the log had got, so that a database that has
lost what it acknowledged is noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...domain.store_errors import StoreOwned, StoreReadOnly

_WATERMARK = 512
"""Where in the file the position of the log is."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class OwnerFile:
    """Locks a database for this process, and for one store in it.

    Args:
        database: the database's file.

    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = _beside(database)
        self._file = -1
        self.before: dict[str, Any] = {}
        """What the last owner left: `pid`, `host`, `boot`, `durability`, `position`."""

    def lock(self) -> None:
        """Become the owner.

        Raises:
            StoreOwned: a living process is.
            StoreReadOnly: the folder cannot be written.

        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreReadOnly(
                f"'{self._database}'",
                f"'{self._path}' cannot be written ({error.strerror})",
                "Make the folder, and let this user write files in it",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read(file)
            os.close(file)
            raise self._owned(owner) from error
        self._file, self.before = file, _read(file)

    def _owned(self, owner: dict[str, Any]) -> StoreOwned:
        who = f"process {owner.get('pid', '?')} on host '{owner.get('host', '?')}' has it open"
        remedy = "Stop that process, or open another file"
        if owner.get("pid") == os.getpid():
            who = "another store of this very process has it open"
            remedy = "Close that one first, or open another file"
        return StoreOwned(f"'{self._database}'", who, remedy)

    def sign(self, position: int, durability: str) -> None:
        """Say who has it now, what that promises, and how far its log is."""
        name = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": boot_id(),
            "durability": durability,
        }
        head = json.dumps(name).ljust(_WATERMARK - 1).encode() + b"\n"
        os.pwrite(self._file, head + _digits(position), 0)

    def note(self, position: int) -> None:
        """Say how far the log is, once that is on the disk.

        What cannot be noted is stored all the same; its loss would only be noticed less well.
        """
        if self._file >= 0:
            with suppress(OSError):
                os.pwrite(self._file, _digits(position), _WATERMARK)

    def unlock(self) -> None:
        """Be the owner no more. Idempotent."""
        file, self._file = self._file, -1
        if file >= 0:
            with suppress(OSError):
                os.close(file)


def acknowledged(database: Path) -> int:
    """How far a database's log must reach, as its last owner said; 0 where none did.

    What `process` promises ends with the machine's last start.
    """
    try:
        file = os.open(_beside(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        before = _read(file)
    finally:
        os.close(file)
    return 0 if may_have_lost(before) else int(before.get("position", 0))


def may_have_lost(before: dict[str, Any]) -> bool:
    """Whether the last owner's promise has ended: with the machine's start, for `process`."""
    same = boot_id() != "" and before.get("boot") == boot_id()
    return before.get("durability") == "process" and not same


def boot_id() -> str:
    """Changes with every start of the machine; `""` where there is no such thing."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def _digits(position: int) -> bytes:
    return b"%020d\n" % position


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.owner")


def _read(file: int) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        text = os.pread(file, _WATERMARK + 32, 0)
        known: dict[str, Any] = json.loads(text[:_WATERMARK])
        known["position"] = int(text[_WATERMARK:] or b"0")
        return known
    return {}
