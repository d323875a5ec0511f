"""Who may write which slots: epochs, owners, leases.

A slot may be taken when nobody has it, when its owner's session is gone, or when its lease
has run out on the database's own clock. Whoever had it before is fenced from then on.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, select, update

from ...domain.errors import Fenced
from ...domain.identifiers import Slot
from ...domain.store_errors import StoreOwned
from .place import Place
from .schema import owners, slots, state


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims slots for one store.

    Args:
        place: for messages.
        owner: this store's number, which no other has.
        now: the database's clock, in seconds.
        lease: how many seconds a claim holds; `None` for as long as the session lives.
        is_alive: whether the session of another owner lives.

    """

    place: Place
    owner: int
    now: ColumnElement[float]
    lease: float | None
    is_alive: Callable[[Connection, int], bool]

    def claim(self, connection: Connection, wanted: Iterable[Slot]) -> int:
        """Become the owner of slots: raises their epoch to a new one, which it returns.

        Raises:
            StoreOwned: another living owner has one of them.

        """
        numbers = sorted(set(wanted))
        # First, because it holds the row that every writer changes: one claims, or writes.
        epoch: int = connection.execute(
            update(state).values(epoch=state.c.epoch + 1).returning(state.c.epoch)
        ).scalar_one()
        living = self._living(connection)
        self._check(connection, numbers, living)
        if not self._prolong(connection):
            name = {"owner": self.owner, "host": socket.gethostname(), "pid": os.getpid()}
            connection.execute(insert(owners).values(lease_until=self._until(), **name))
        # Rows stay the same ones: whoever waits to hold one sees its new owner.
        row = {"epoch": epoch, "owner": self.owner}
        taken = update(slots).where(slots.c.slot.in_(numbers)).values(**row)
        known = set(connection.execute(taken.returning(slots.c.slot)).scalars())
        new = [{"slot": number, **row} for number in numbers if number not in known]
        if new:
            connection.execute(insert(slots), new)
        self._forget_dead(connection, living)
        return epoch

    def _forget_dead(self, connection: Connection, living: Iterable[int]) -> None:
        """Delete the dead owners that have no slot any more."""
        holders = select(slots.c.owner).where(slots.c.owner.is_not(None))
        dead = owners.c.owner.not_in([self.owner, *living]), owners.c.owner.not_in(holders)
        connection.execute(delete(owners).where(*dead))

    def _check(
        self, connection: Connection, numbers: list[Slot], living: dict[int, tuple[int, str]]
    ) -> None:
        held = select(slots.c.owner).where(
            slots.c.slot.in_(numbers), slots.c.owner != self.owner, slots.c.owner.in_(living)
        )
        owner = connection.execute(held).scalar()
        if owner is not None:
            pid, host = living[owner]
            raise StoreOwned(
                str(self.place),
                f"process {pid} on host '{host}' has it open",
                "Stop that process, or wait until it is gone",
            )

    def _living(self, connection: Connection) -> dict[int, tuple[int, str]]:
        """The other owners that live."""
        found = connection.execute(
            select(owners, (owners.c.lease_until > self.now).label("unexpired")).where(
                owners.c.owner != self.owner
            )
        ).all()
        return {
            row.owner: (row.pid, row.host)
            for row in found
            if row.unexpired is not False and self.is_alive(connection, row.owner)
        }

    def _until(self) -> ColumnElement[float] | None:
        return None if self.lease is None else self.now + self.lease

    def _prolong(self, connection: Connection) -> bool:
        mine = update(owners).where(owners.c.owner == self.owner)
        return connection.execute(mine.values(lease_until=self._until())).rowcount == 1

    def renew(self, connection: Connection) -> frozenset[Slot]:
        """Prolong the lease. Returns the slots that are still this store's."""
        if self.lease is not None:
            self._prolong(connection)
        return frozenset(Slot(slot) for slot in connection.execute(self.owned()).scalars())

    def owned(self) -> Select[Any]:
        """Asks for the slots that are this store's."""
        return select(slots.c.slot).where(slots.c.owner == self.owner)

    def abandoned(self, connection: Connection) -> frozenset[Slot]:
        """The slots whose owner died. Those that were given up wait for their owner's heir."""
        held = [self.owner, *self._living(connection)]
        free = select(slots.c.slot).where(slots.c.owner.not_in(held))
        return frozenset(Slot(slot) for (slot,) in connection.execute(free))

    def elsewhere(self, connection: Connection) -> frozenset[Slot]:
        """The slots that other living owners have."""
        theirs = select(slots.c.slot).where(slots.c.owner.in_([*self._living(connection)]))
        return frozenset(Slot(slot) for (slot,) in connection.execute(theirs))

    def hold(self, connection: Connection, numbers: Iterable[Slot]) -> None:
        """See that slots stay where they are until the transaction ends.

        Raises:
            Fenced: one of them is another owner's.

        """
        held = select(slots.c.owner).where(slots.c.slot.in_(list(numbers)))
        found = connection.execute(held.with_for_update(read=True)).scalars()
        if any(owner not in (None, self.owner) for owner in found):
            raise Fenced("Another runtime owns what was to be written to.")

    def release(self, connection: Connection) -> None:
        """Own nothing any more."""
        mine = slots.c.owner == self.owner
        connection.execute(update(slots).where(mine).values(owner=None))
        connection.execute(delete(owners).where(owners.c.owner == self.owner))
