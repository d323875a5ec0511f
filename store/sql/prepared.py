"""Statements as drivers take them: compiled once, with positional parameters."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from json import loads
from typing import Any

from sqlalchemy import Connection, Dialect, Select

from .schema import Payload


class Answer:
    """What a statement brought: its rows, with names, and how many it changed.

    Args:
        rows: what was read.
        changed: how many rows were written.

    """

    __slots__ = ("rowcount", "rows")

    def __init__(self, rows: list[Any], changed: int) -> None:
        self.rows = rows
        self.rowcount = changed

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def first(self) -> Any | None:
        """The first row, or `None`."""
        return self.rows[0] if self.rows else None

    def one(self) -> Any:
        """The only row."""
        (row,) = self.rows
        return row

    def scalar(self) -> Any | None:
        """The first value of the first row, or `None`."""
        return self.rows[0][0] if self.rows else None


class Prepared:
    """A statement, compiled for one database.

    On SQLite it goes to the driver itself: for the few microseconds that its statements
    take, SQLAlchemy's execution would cost as much again.

    Args:
        statement: what to compile.
        dialect: for which database.

    """

    __slots__ = ("_defaults", "_directly", "_names", "_row", "sql")

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup
        own = compiled.params
        self._defaults = {n: own[n] for n in self._names if own[n] is not None}
        self._directly = dialect.name == "sqlite"
        self._row: Any = None

    def parameters(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """These values, as they are, in the driver's order."""
        known = {**self._defaults, **values} if self._defaults else values
        return tuple([known[name] for name in self._names])

    def run(self, connection: Connection, **values: Any) -> Answer:
        """Execute it with these values."""
        parameters = self.parameters(values)
        if not self._directly:
            result = connection.exec_driver_sql(self.sql, parameters)
            return Answer(list(result) if result.returns_rows else [], result.rowcount)
        cursor = driver(connection).execute(self.sql, parameters)
        if cursor.description is None:
            return Answer([], cursor.rowcount)
        if self._row is None:
            self._row = _row_type(column[0] for column in cursor.description)
        return Answer([self._row(row) for row in cursor.fetchall()], 0)


def driver(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.dbapi_connection


def _row_type(names: Iterable[str]) -> Any:
    kind: Any = namedtuple("Row", list(names))  # type: ignore[misc] # noqa: PYI024 - only now are the names known
    return kind._make


class Query(Prepared):
    """A statement whose rows are read: with names, and payloads decoded.

    Args:
        statement: what to compile.
        dialect: for which database.

    """

    __slots__ = ("_make", "_payloads")

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        columns = list(statement.selected_columns)
        self._make = _row_type(column.name for column in columns)
        text = dialect.name == "sqlite"
        self._payloads = [
            place for place, column in enumerate(columns) if text and type(column.type) is Payload
        ]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Any]:
        """The driver's rows, with names."""
        return [self._read(row) for row in found]

    def _read(self, row: Sequence[Any]) -> Any:
        if self._payloads:
            values = list(row)
            for place in self._payloads:
                if values[place] is not None:
                    values[place] = loads(values[place])
            return self._make(values)
        return self._make(row)
