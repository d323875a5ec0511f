"""The agents a runtime knows, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..domain.errors import InvalidValue, UnknownAgent
from ..domain.identifiers import AssistantId
from ..domain.policies import RestartPolicy
from ..store.graph_checkpoints import GraphCheckpoints
from .executors import Executor, Workers, executor_for


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with a restart policy of its own.

    Args:
        target: an async generator, coroutine or plain function that takes the run, a
            LangGraph graph, or an `Executor`.
        restart: when a failed attempt is tried again; `None` takes the runtime's.

    """

    target: Any
    restart: RestartPolicy | None = None


@dataclass(frozen=True, slots=True)
class _Registration:
    executor: Executor
    restart: RestartPolicy


class Agents:
    """Finds the executor and the policy that go with a name.

    Args:
        default: the policy of agents that bring none.
        workers: OS threads for plain functions.
        graph_checkpoints: keeps the states of graphs that bring no checkpointer; `None` for
            memory.

    """

    __slots__ = ("_default", "_graph_checkpoints", "_known", "_workers")

    def __init__(
        self,
        default: RestartPolicy,
        workers: Workers,
        graph_checkpoints: GraphCheckpoints | None = None,
    ) -> None:
        self._default = _checked(default)
        self._workers = workers
        self._graph_checkpoints = graph_checkpoints
        self._known: dict[str, _Registration] = {}

    def register_all(self, agents: Mapping[str, Any]) -> None:
        """Register every agent of a mapping.

        Raises:
            InvalidIdentifier: a name is blank.
            InvalidValue: it is no mapping, or an agent is nothing that can be driven.

        """
        if not isinstance(agents, Mapping):
            raise InvalidValue("agents", agents, "give a mapping of names to agents")
        for name, agent in agents.items():
            self.register(name, agent)

    def register(self, name: str, agent: Any, restart: RestartPolicy | None = None) -> None:
        """Register an agent; runs that begin from now on use it.

        Raises:
            InvalidIdentifier: the name is blank.
            InvalidValue: it is nothing that can be driven, or no policy.

        """
        if isinstance(agent, Agent):
            agent, restart = agent.target, agent.restart if restart is None else restart
        if agent is None:
            raise InvalidValue("agent", agent, f"give something to run as '{name}'")
        executor = executor_for(agent, self._workers, self._graph_checkpoints)
        policy = self._default if restart is None else _checked(restart)
        self._known[AssistantId(name)] = _Registration(executor, policy)

    @property
    def names(self) -> tuple[str, ...]:
        """What there is, sorted."""
        return tuple(sorted(self._known))

    def executor(self, name: str) -> Executor:
        """What drives the agent.

        Raises:
            UnknownAgent: no agent has that name.

        """
        return self._find(name).executor

    def policy(self, name: str) -> RestartPolicy:
        """When its attempts are tried again.

        Raises:
            UnknownAgent: no agent has that name.

        """
        return self._find(name).restart

    def _find(self, name: str) -> _Registration:
        try:
            return self._known[name]
        except KeyError:
            raise UnknownAgent(name, self.names) from None


def _checked(restart: object) -> RestartPolicy:
    if not isinstance(restart, RestartPolicy):
        raise InvalidValue("restart", restart, "give a RestartPolicy")
    return restart
