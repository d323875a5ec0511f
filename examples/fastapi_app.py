"""An application of one's own that also speaks the LangGraph Platform API.

It mounts the API into a FastAPI (or Starlette) app, with users told apart by their API keys, an
agent that is no graph beside one that is, and an observer that counts what ends. Start it with

    pip install 'callboard[server]' fastapi
    uvicorn examples.fastapi_app:app

and ask it with the platform's own client:

    client = get_client(url="http://127.0.0.1:8000/agents", api_key="ann's key")
    await client.runs.wait(None, "echo", input="hello")
"""

import hmac
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.graph import START, MessagesState, StateGraph
from starlette.requests import Request

from callboard import LifecycleEventType, RunContext, RunLifecycleEvent, Runtime
from callboard.server import Limits, callboard_app

try:
    from fastapi import FastAPI as App
except ImportError:  # it does as well
    from starlette.applications import Starlette as App

KEYS = {"ann's key": "ann", "bob's key": "bob"}
ENDS = {
    LifecycleEventType.RUN_COMPLETED,
    LifecycleEventType.RUN_FAILED,
    LifecycleEventType.RUN_CANCELLED,
}


async def echo(run: RunContext) -> AsyncIterator[tuple[str, dict]]:
    """An agent that is no graph: what it yields is streamed."""
    for word in str(run.input).split():
        yield "values", {"said": word, "to": run.user_id}


def chat() -> StateGraph:
    """An agent that is a graph."""
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [("ai", state["messages"][-1].content)]})
    graph.add_edge(START, "answer")
    return graph


def user_of(request: Request) -> str | None:
    """Whose key it is; `None` answers 401."""
    given = request.headers.get("x-api-key", "")
    found = [user for key, user in KEYS.items() if hmac.compare_digest(key, given)]
    return found[0] if found else None


ended: Counter[str] = Counter()


def count(event: RunLifecycleEvent) -> None:
    """An observer: hears of every run's life."""
    if event.event_type in ENDS:
        ended[str(event.event_type)] += 1


runtime = Runtime({"echo": echo, "chat": chat()}, os.environ.get("CALLBOARD_STORE"))
runtime.observe(count)


@asynccontextmanager
async def lifespan(_: App) -> AsyncIterator[None]:
    """A mounted app is not started by its host's server: the host starts the runtime."""
    async with runtime:
        yield


app = App(lifespan=lifespan)
app.mount("/agents", callboard_app(runtime, authenticate=user_of, limits=Limits(connections=20)))
