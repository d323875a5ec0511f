"""Statements as drivers take them: compiled once, with positional parameters."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from json import loads
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Select

from .schema import Payload


class Prepared:
    """A statement, compiled for one database.

    Args:
        statement: what to compile.
        dialect: for which database.

    """

    __slots__ = ("_defaults", "_names", "sql")

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup
        own = compiled.params
        self._defaults = {n: own[n] for n in self._names if own[n] is not None}

    def parameters(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """These values, as they are, in the driver's order."""
        known = {**self._defaults, **values}
        return tuple(known[name] for name in self._names)

    def run(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Execute it with these values."""
        return connection.exec_driver_sql(self.sql, self.parameters(values))


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
        row: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc] # noqa: PYI024 - only now are the names known
        self._make = row._make
        text = dialect.name == "sqlite"
        self._payloads = [
            place for place, column in enumerate(columns) if text and type(column.type) is Payload
        ]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Any]:
        """The driver's rows, with names."""
        return [self._row(row) for row in found]

    def _row(self, row: Sequence[Any]) -> Any:
        if self._payloads:
            values = list(row)
            for place in self._payloads:
                if values[place] is not None:
                    values[place] = loads(values[place])
            return self._make(values)
        return self._make(row)
