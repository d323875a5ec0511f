"""Where a store is: its URL, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...domain.errors import InvalidValue

_EXAMPLES = (
    "give 'sqlite+aiosqlite:///runs.db', 'postgresql+asyncpg://user@host/database', "
    "or None to keep runs in memory"
)
_DIALECTS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A store's place.

    Args:
        url: with the driver named.
        dialect: which database.
        path: SQLite's file; `None` for others.

    """

    url: URL
    dialect: Literal["sqlite", "postgresql"]
    path: Path | None

    def __str__(self) -> str:
        """Without the password."""
        return f"'{self.url.render_as_string(hide_password=True)}'"

    @classmethod
    def of(cls, text: str) -> Place:
        """Read a URL.

        Raises:
            InvalidValue: it names no store that callboard has.

        """
        try:
            url = make_url(text)
        except ArgumentError as error:
            raise InvalidValue("store", text, _EXAMPLES) from error
        driver = _DIALECTS.get(url.drivername)
        if driver is None:
            raise InvalidValue("store", url.render_as_string(), _EXAMPLES)
        url = url.set(drivername=driver)
        if driver == "postgresql+asyncpg":
            return cls(url, "postgresql", None)
        return cls(url, "sqlite", _file(url))


def _file(url: URL) -> Path:
    name = url.database or ""
    if url.host:
        remedy = "give three slashes before a relative path and four before an absolute one"
        raise InvalidValue("store", str(url), remedy)
    if name in ("", ":memory:") or name.startswith("file:"):
        raise InvalidValue("store", str(url), "name a file, or give None to keep runs in memory")
    return Path(name).absolute()
