"""What a database's errors mean. They are translated here and nowhere else."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError

from ...domain.store_errors import StoreUnavailable

_ROW_FAULTS = frozenset(
    {"SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE", "SQLITE_ERROR"}
)
_DEFECTS = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
)
"""What Python and its driver raise for values that they cannot make text or numbers of."""
_CORRUPT = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
_READ_ONLY = frozenset({"SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"})


class InDoubt(Exception):
    """A COMMIT was not answered: the transaction may be stored or not.

    Args:
        result: what its work returned.

    """

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result


def code(error: BaseException) -> str:
    """The database's own code of an error: `SQLITE_FULL`, `23505`; or `""`."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return str(name or "")


def lies_in_the_values(error: BaseException) -> bool:
    """Whether the error comes from what was written, and will come each time."""
    found = code(error)
    if found.startswith("SQLITE_"):
        return "_".join(found.split("_")[:2]) in _ROW_FAULTS
    if found:
        return found[:2] in ("22", "23", "54")
    return isinstance(error, _DEFECTS)


def is_corruption(error: BaseException) -> bool:
    """Whether the file is damaged, or none of SQLite's."""
    return "_".join(code(error).split("_")[:2]) in _CORRUPT


def is_read_only(error: BaseException) -> bool:
    """Whether the file, or its folder, cannot be written."""
    return "_".join(code(error).split("_")[:2]) in _READ_ONLY


def described(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, StoreUnavailable):
        return error.cause
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = " ".join(str(cause).split()) or type(cause).__name__
    found = code(error)
    return f"{text} [{found}]" if found and found not in text else text
