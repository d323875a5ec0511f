"""The assistants: one for each agent, with the id that every server of this API gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from ..actors.runtime import Runtime
from ..domain.payload import JSON
from .errors import Invalid, Missing

_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""In which the platform makes the ids of assistants from the names of graphs."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """An agent as clients know it.

    Args:
        name: of the agent.
        assistant_id: its id.

    """

    name: str
    assistant_id: str


class Catalogue:
    """Finds agents by id or name.

    Args:
        runtime: has the agents.

    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.since = datetime.now(UTC)
        """When the assistants came to be, as far as clients are concerned."""

    def all(self) -> list[Assistant]:
        """All there are, by name."""
        return [Assistant(name, id_of(name)) for name in self._runtime.agents.names]

    def find(self, asked: str) -> Assistant:
        """The assistant with an id or a name.

        Raises:
            Missing: there is none with that id.
            Invalid: there is none with that name.

        """
        for assistant in self.all():
            if asked in (assistant.name, assistant.assistant_id):
                return assistant
        known = ", ".join(self._runtime.agents.names) or "none"
        try:
            wanted = str(UUID(asked))
        except ValueError:
            raise Invalid("assistant_id", f"there is no {asked!r}; choose one of {known}") from None
        for assistant in self.all():
            if assistant.assistant_id == wanted:
                return assistant
        raise Missing(f"There is no assistant '{asked}' (known: {known}).")

    def shape(self, assistant: Assistant) -> dict[str, JSON]:
        """An assistant as clients read it."""
        at = self.since.isoformat()
        return {
            "assistant_id": assistant.assistant_id,
            "graph_id": assistant.name,
            "config": {},
            "context": {},
            "created_at": at,
            "updated_at": at,
            "metadata": {"created_by": "system"},
            "version": 1,
            "name": assistant.name,
            "description": None,
        }


def id_of(name: str) -> str:
    """The id of an agent's assistant."""
    return str(uuid5(_NAMESPACE, name))
