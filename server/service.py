"""What all routes share."""

from __future__ import annotations

from collections import OrderedDict

from ..actors.runtime import Runtime
from ..domain.views import RunSnapshot, ThreadSnapshot
from .admission import Admissions
from .auth import Authenticate
from .bodies import RunBody
from .catalogue import Catalogue
from .errors import Missing
from .graphs import Graphs
from .limits import Connections, Limits
from .origins import Origins
from .webhooks import Webhooks

_MOST_REMEMBERED = 10_000


class Service:
    """A runtime as this API's clients find it.

    Args:
        runtime: runs the agents.
        origins: which pages may ask.
        authenticate: tells who asks; `None` for a server of one user.
        limits: what a client may ask for.
        private_webhooks: whether webhooks may lead to private addresses.

    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        origins: Origins,
        authenticate: Authenticate | None,
        limits: Limits,
        private_webhooks: bool,
    ) -> None:
        self.runtime = runtime
        self.origins = origins
        self.authenticate = authenticate
        self.limits = limits
        self.connections = Connections(limits)
        self.catalogue = Catalogue(runtime)
        self.graphs = Graphs(runtime)
        self.webhooks = Webhooks(runtime, private=private_webhooks)
        self.admissions = Admissions(runtime, self.catalogue, self.graphs, self.webhooks)
        self._handed_out: OrderedDict[str, None] = OrderedDict()

    # Threads.

    async def thread(self, thread_id: str, user_id: str | None) -> ThreadSnapshot:
        """A thread of a user.

        Raises:
            Missing: there is none.

        """
        thread = await self.runtime.get_thread(thread_id, user_id=user_id)
        if thread is None:
            raise Missing(f"There is no thread '{thread_id}'.")
        return thread

    # Runs.

    async def admit(
        self, body: RunBody, user_id: str | None, thread_id: str | None = None
    ) -> RunSnapshot:
        """Create the run that a body asks for.

        Args:
            body: the body.
            user_id: who asks.
            thread_id: its thread; `None` for a new one, which goes with the run unless it is
                to be kept.

        Raises:
            Refused: the body cannot be used.
            CallboardError: what `Runtime.create_run` raises.

        """
        return await self.admissions.admit(await self.admissions.prepare(body, user_id, thread_id))

    async def run(self, thread_id: str, run_id: str, user_id: str | None) -> RunSnapshot:
        """A run on a thread.

        Raises:
            Missing: there is none.

        """
        run = await self.runtime.get_run(run_id, thread_id, user_id)
        if run is None:
            raise Missing(f"There is no run '{run_id}' on thread '{thread_id}'.")
        return run

    # Streams.

    def start_of_stream(self, run_id: str, last_event_id: str | None) -> str | None:
        """Where a consumer's stream begins.

        Who names an event goes on behind it. Else the first consumer of a run gets all of it,
        and later ones what comes from now on: a client that lost its connection would take
        what it has seen already for new.

        Args:
            run_id: the run.
            last_event_id: what the consumer has seen; `None` if it does not say.

        """
        if last_event_id is not None:
            return last_event_id
        known = run_id in self._handed_out
        self._handed_out[run_id] = None
        if len(self._handed_out) > _MOST_REMEMBERED:
            self._handed_out.popitem(last=False)
        return "$" if known else None
