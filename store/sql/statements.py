"""The writer's statements, compiled once for a dialect.

They go to the driver as text with positional parameters: compiling, or even looking up, a
statement for every event would cost more than writing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from .prepared import Prepared, driver
from .schema import checkpoints, cursors, events, runs, slots, state, thread_records, threads

_COLUMNS = tuple(column.name for column in events.columns)
_LARGEST = 256
"""Rows of one statement on SQLite, which takes 32,766 values at most."""

_KEPT = ("attempt", "action", "stop_reason", "error")
_COMPLETED = ("output", "completion_data", "title")
_USAGE = tuple(
    column.name
    for column in runs.columns
    if column.name.endswith(("_tokens", "_count", "_by_model", "_message"))
)


class Statements:
    """All of them.

    Args:
        dialect: for which database.

    """

    def __init__(self, dialect: Dialect) -> None:
        def prepared(statement: Any) -> Prepared:
            return Prepared(statement, dialect)

        upsert: Any = postgresql_insert if dialect.name == "postgresql" else sqlite_insert
        self.reserve = prepared(
            update(state)
            .values(position=state.c.position + bindparam("count"))
            .returning(state.c.position, state.c.epoch)
        )
        self.read_epoch = prepared(select(state.c.epoch))
        self.read_state = prepared(select(state.c.position, state.c.epoch, last_position()))
        latest = select(func.max(events.c.position)).scalar_subquery()
        self.keep_position = prepared(
            update(state).where(state.c.position < latest).values(position=latest)
        )
        self.read_slots = prepared(select(slots.c.slot, slots.c.epoch))
        self._prepare_threads(prepared)
        self._prepare_thread_records(prepared)
        self._prepare_runs(prepared, upsert)
        self._prepare_events(prepared)
        self._prepare_checkpoints(prepared)
        moved = upsert(cursors).values(name=bindparam("name"), position=bindparam("position"))
        self.move_cursor = prepared(
            moved.on_conflict_do_update(
                index_elements=["name"], set_={"position": moved.excluded.position}
            )
        )
        self._insert_events = _unnest_events if dialect.name == "postgresql" else _multi_row_events

    def insert_events(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows of `run_events`, whole, in the order of the table's columns."""
        self._insert_events(connection, rows)

    def _prepare_threads(self, prepared: Any) -> None:
        latest = (
            select(func.max(events.c.seq))
            .where(events.c.thread_no == threads.c.thread_no)
            .scalar_subquery()
        )
        self.find_thread = prepared(
            select(
                threads.c.thread_no, threads.c.owned, threads.c.seq_floor, latest.label("latest")
            ).where(threads.c.thread_id == bindparam("thread_id"))
        )
        self.add_thread = prepared(
            insert(threads)
            .values(
                thread_id=bindparam("thread_id"),
                owned=0,
                seq_floor=select(state.c.seq_floor).scalar_subquery(),
            )
            .returning(threads.c.thread_no, threads.c.seq_floor)
        )
        thread = threads.c.thread_no == bindparam("thread")
        self.own_thread = prepared(
            update(threads).where(thread).values(owned=bindparam("own"), user_id=bindparam("user"))
        )
        self.raise_thread_floor = prepared(
            update(threads)
            .where(thread, threads.c.seq_floor < bindparam("floor"))
            .values(seq_floor=bindparam("floor"))
        )
        self.raise_floor = prepared(
            update(state)
            .where(state.c.seq_floor < bindparam("floor"))
            .values(seq_floor=bindparam("floor"))
        )
        self.delete_thread = prepared(delete(threads).where(thread))

    def _prepare_thread_records(self, prepared: Any) -> None:
        record = thread_records.c.thread_no == bindparam("thread")
        self.recorded_thread = prepared(select(thread_records.c.thread_no).where(record))
        self.record_thread = prepared(
            insert(thread_records).values(
                thread_no=bindparam("thread"),
                metadata=bindparam("data"),
                created_at=bindparam("created"),
                updated_at=bindparam("updated"),
            )
        )
        self.patch_thread = prepared(
            update(thread_records)
            .where(record)
            .values(metadata=bindparam("merged"), updated_at=bindparam("at"))
        )
        self.forget_record = prepared(delete(thread_records).where(record))

    def _prepare_runs(self, prepared: Any, upsert: Any) -> None:
        given = [column.name for column in runs.columns if column.name != "run_no"]
        self.insert_run = prepared(
            upsert(runs)
            .values({name: bindparam(name) for name in given})
            .on_conflict_do_nothing()
            .returning(runs.c.run_no)
        )
        placed = ("run_id", "thread_no", "first_seq", "last_seq", "last_sequence")
        self.add_stub = prepared(
            insert(runs).values({name: bindparam(name) for name in placed}).returning(runs.c.run_no)
        )
        recorded: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in given if name not in placed
        }
        self.record_stub = prepared(
            update(runs)
            .where(runs.c.run_id == bindparam("run_id"), runs.c.status.is_(None))
            .where(runs.c.thread_no == bindparam("thread"))
            .values(recorded)
            .returning(runs.c.run_no)
        )
        self.find_run = prepared(
            select(
                runs.c.run_no,
                runs.c.thread_no,
                runs.c.status,
                runs.c.first_seq,
                runs.c.last_seq,
                runs.c.last_sequence,
                threads.c.thread_id,
            )
            .join(threads)
            .where(runs.c.run_id == bindparam("run_id"))
        )
        self._prepare_changes(prepared)
        self.delete_run = prepared(delete(runs).where(runs.c.run_no == bindparam("run")))
        of_thread = runs.c.thread_no == bindparam("thread")
        self.delete_runs = prepared(delete(runs).where(of_thread))
        self.some_run = prepared(
            select(runs.c.run_no).where(of_thread, runs.c.status.is_not(None)).limit(1)
        )

    def _prepare_changes(self, prepared: Any) -> None:
        changed = _changed()
        self.change = prepared(_moving().values(changed))
        completed: dict[str, Any] = {
            name: func.coalesce(bindparam(name), runs.c[name]) for name in _COMPLETED
        }
        self.complete = prepared(_moving().values(changed | completed))
        usage: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _USAGE}
        self.complete_with_usage = prepared(_moving().values(changed | completed | usage))
        one = runs.c.run_id == bindparam("run")
        self.note_events = prepared(
            update(runs)
            .where(one)
            .values(last_seq=bindparam("latest"), last_sequence=bindparam("sequence"))
        )
        self.rename_model = prepared(update(runs).where(one).values(model_name=bindparam("name")))
        self.progress = prepared(update(runs).where(one, runs.c.status == "running").values(usage))

    def _prepare_events(self, prepared: Any) -> None:
        of_thread = events.c.thread_no == bindparam("thread")
        of_run = and_(
            of_thread, events.c.seq >= bindparam("first"), events.c.run_no == bindparam("run")
        )
        self.event_keys = prepared(select(events.c.event_key).where(of_run))
        found = events.c.event_key == bindparam("key")
        self.find_event = select(*events.columns).where(of_run, found)
        """Executed by SQLAlchemy, which reads the payloads."""
        self.delete_run_events = prepared(
            delete(events).where(of_run, events.c.seq <= bindparam("last"))
        )
        self.delete_thread_events = prepared(delete(events).where(of_thread))
        self.event_at = prepared(
            select(runs.c.run_id, events.c.event_key)
            .join_from(events, runs, runs.c.run_no == events.c.run_no)
            .where(events.c.position == bindparam("at"))
        )

    def _prepare_checkpoints(self, prepared: Any) -> None:
        of_thread = checkpoints.c.thread_no == bindparam("thread")
        at = checkpoints.c.place == bindparam("at")
        self.saved = prepared(
            select(checkpoints.c.place, checkpoints.c.run_id)
            .where(of_thread)
            .order_by(checkpoints.c.place.desc())
        )
        self.save = prepared(
            insert(checkpoints).values(
                thread_no=bindparam("thread"),
                place=bindparam("at"),
                run_id=bindparam("run"),
                state=bindparam("saved"),
            )
        )
        self.replace = prepared(
            update(checkpoints).where(of_thread, at).values(state=bindparam("saved"))
        )
        self.drop = prepared(delete(checkpoints).where(of_thread, at))
        self.drop_before = prepared(
            delete(checkpoints).where(of_thread, checkpoints.c.place < bindparam("at"))
        )
        self.drop_all = prepared(delete(checkpoints).where(of_thread))


def last_position() -> Any:
    """The highest position there is, as a column `latest`."""
    return select(func.max(events.c.position)).scalar_subquery().label("latest")


def log_end(connection: Connection) -> int:
    """The last position that was given."""
    now = connection.execute(select(state.c.position, last_position())).one()
    return int(max(now.position, now.latest or 0))


def _moving() -> Any:
    return update(runs).where(
        runs.c.run_id == bindparam("run_id"), runs.c.status == bindparam("expected")
    )


def _changed() -> dict[Any, Any]:
    kept: dict[Any, Any] = {name: func.coalesce(bindparam(name), runs.c[name]) for name in _KEPT}
    return kept | {
        "status": bindparam("target"),
        "updated_at": bindparam("at"),
        "started_at": func.coalesce(runs.c.started_at, bindparam("begun")),
        "finished_at": func.coalesce(runs.c.finished_at, bindparam("ended")),
        "model_name": case(
            (bindparam("renamed") == True, bindparam("model_name")),  # noqa: E712 - it is SQL
            else_=runs.c.model_name,
        ),
        "last_seq": func.coalesce(bindparam("latest"), runs.c.last_seq),
        "last_sequence": func.coalesce(bindparam("sequence"), runs.c.last_sequence),
    }


def _multi_row_events(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """SQLite: one statement of many rows, or a few.

    Not `executemany`: it lets go of the GIL for every row, and whoever computes in another
    OS thread keeps it for milliseconds each time.
    """
    for start in range(0, len(rows), _LARGEST):
        chunk = rows[start : start + _LARGEST]
        driver(connection).execute(_multi_row_sql(len(chunk)), tuple(chain.from_iterable(chunk)))


@cache
def _multi_row_sql(size: int) -> str:
    row = f"({', '.join('?' * len(_COLUMNS))})"
    names, rows = ", ".join(_COLUMNS), ", ".join([row] * size)
    return f"INSERT INTO run_events ({names}) VALUES {rows}"  # noqa: S608 - columns' names


def _unnest_events(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """PostgreSQL: one statement, one array a column."""
    if rows:
        connection.exec_driver_sql(
            _UNNEST, tuple(list(column) for column in zip(*rows, strict=True))
        )


def _unnest_sql() -> str:
    arrays, chosen = [], []
    for number, column in enumerate(events.columns, 1):
        payload = column.name in ("content", "metadata")
        kind = "text" if payload or column.type.python_type is str else "bigint"
        arrays.append(f"${number}::{kind}[]")
        chosen.append(f"{column.name}::json" if payload else column.name)
    names = ", ".join(_COLUMNS)
    source = f"unnest({', '.join(arrays)}) AS given ({names})"
    return f"INSERT INTO run_events ({names}) SELECT {', '.join(chosen)} FROM {source}"  # noqa: S608


_UNNEST = _unnest_sql()
