"""What the cases of schemathesis find on the server, so that they reach more than a 404.

A case goes to the thread that it names: it is made for the case, with a run that has ended, or
with one in flight where the operation is to end it. Neither depends on the cases before.
"""

from uuid import UUID

import requests
import schemathesis

SPARE = "5a5a5a5a-0000-4000-8000-000000000001"
"""The thread where a case names none."""
ENDING = {"Abort run", "Cancel run", "Cancel runs", "Delete run", "Fail run", "Restart run"}
"""What takes a run in flight."""
AGENTS = ("steps", "approval", "echo")
"""Those that end by themselves, so that no case waits for ever."""
SOON = 0.01
"""Seconds that a run may wait at most before it begins, for the same reason."""

http = requests.Session()


@schemathesis.hook
def before_call(context, case, kwargs):
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(body, dict):
            tame(body)
    summary, named = case.operation.definition.raw["summary"], case.path_parameters
    if "assistant_id" in named:
        named["assistant_id"] = "steps"
    furnished = summary in ENDING or {"thread_id", "run_id"} & set(named)
    if furnished and case.meta.phase.name.value != "stateful":  # there, threads come by themselves
        furnish(case.operation.base_url.rstrip("/"), named, ends=summary in ENDING)


def tame(body):
    """Choose what must exist, and let no run call or delay for long."""
    asked = body.get("assistant_id")
    if isinstance(asked, str):
        body["assistant_id"] = AGENTS[len(asked) % len(AGENTS)]
        if body.get("input") is None:
            body["input"] = {"path": []}
    if isinstance(body.get("webhook"), str):
        body["webhook"] = None  # else a name that is drawn might be somebody's
    delay = body.get("after_seconds")
    if isinstance(delay, int | float) and SOON < delay <= 10**9:
        body["after_seconds"] = SOON


def furnish(url, named, *, ends):
    """Make the thread that is named, and name its run and its state."""
    thread_id = named.get("thread_id", SPARE)
    if not is_uuid(thread_id) or UUID(thread_id).int % 4 == 0:
        return  # no id at all, or one of nothing
    thread = f"{url}/threads/{thread_id}"
    http.delete(thread)
    run_id = in_flight(thread) if ends else ended(thread)
    if "run_id" in named and is_uuid(named["run_id"]):
        named["run_id"] = run_id
    if "checkpoint_id" in named:
        named["checkpoint_id"] = http.get(f"{thread}/state").json()["checkpoint_id"]


def is_uuid(text):
    try:
        UUID(text)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def ended(thread):
    answer = http.post(f"{thread}/runs/wait", json=run_of("steps"))
    assert answer.json() == {"path": ["a", "b"]}, answer.text
    return run_id_of(answer)


def in_flight(thread):
    with http.post(f"{thread}/runs/stream", json=run_of("endless"), stream=True) as answer:
        assert b"event: values" in answer.iter_lines(), "it does not begin"
        return run_id_of(answer)


def run_of(agent):
    return {"assistant_id": agent, "input": {"path": []}, "if_not_exists": "create"}


def run_id_of(answer):
    return answer.headers["Content-Location"].rpartition("/")[2]
