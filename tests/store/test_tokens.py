"""What the runs of a thread used together."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import (
    CallerTokens,
    ModelTokens,
    RunStatus,
    RunUsage,
    ThreadTokens,
)
from tests.store.contract import PENDING, RUNNING, SUCCESS, TERMINAL, contract, put, run


def usage(read, written, model="m", caller="lead_agent"):
    tokens = read + written
    return RunUsage(
        total_input_tokens=read,
        total_output_tokens=written,
        total_tokens=tokens,
        tokens_by_model={model: tokens},
        **{f"{caller}_tokens": tokens},
    )


@contract
async def test_a_thread_without_ended_runs_used_nothing(store):
    assert await store.runs.aggregate_tokens_by_thread("t") == ThreadTokens()

    await put(store, run("r1", usage=usage(1, 1)))
    await put(store, run("r2", status=RUNNING, usage=usage(1, 1)))

    assert await store.runs.aggregate_tokens_by_thread("t") == ThreadTokens()


@contract
async def test_tokens_are_added_up_by_model_and_by_caller(store):
    await put(
        store,
        run("r1", status=SUCCESS, usage=usage(1, 2, "small", "subagent")),
        run("r2", status=SUCCESS, usage=usage(10, 20, "large", "lead_agent")),
        run("r3", status=SUCCESS, usage=usage(100, 200, "large", "middleware")),
        run("x", "t2", status=SUCCESS, usage=usage(7, 7)),
    )

    assert await store.runs.aggregate_tokens_by_thread("t") == ThreadTokens(
        total_tokens=333,
        total_input_tokens=111,
        total_output_tokens=222,
        total_runs=3,
        by_model={
            "small": ModelTokens(tokens=3, runs=1),
            "large": ModelTokens(tokens=330, runs=2),
        },
        by_caller=CallerTokens(lead_agent=30, subagent=3, middleware=300),
    )


@contract
async def test_running_runs_count_only_when_asked_for_and_pending_ones_never(store):
    await put(
        store,
        run("r1", status=SUCCESS, usage=usage(1, 0)),
        run("r2", status=RUNNING, usage=usage(10, 0)),
        run("r3", status=PENDING, usage=usage(100, 0)),
    )

    async def total(**asked):
        return (await store.runs.aggregate_tokens_by_thread("t", **asked)).total_tokens

    assert await total() == 1
    assert await total(include_active=True) == 11


@contract
async def test_a_user_is_told_of_the_tokens_of_own_runs(store):
    await put(
        store,
        run("r1", status=SUCCESS, user="ann", usage=usage(1, 0)),
        run("r2", status=SUCCESS, user="bob", usage=usage(10, 0)),
        run("r3", status=SUCCESS, usage=usage(100, 0)),
    )

    async def total(user):
        return (await store.runs.aggregate_tokens_by_thread("t", user_id=user)).total_tokens

    assert [await total(user) for user in ("ann", "bob", "eve", None)] == [1, 10, 0, 111]


spent = st.lists(
    st.tuples(
        st.sampled_from(RunStatus),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.sampled_from(["m1", "m2", "m3"]),
        st.sampled_from(["lead_agent", "subagent", "middleware"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(spent=spent, active=st.booleans())
@contract
async def test_the_sums_are_those_of_a_walk_over_all_runs(store, spent, active):
    tokens, callers, runs = Counter(), Counter(), 0
    for number, (status, read, written, model, caller, deleted) in enumerate(spent):
        used = usage(read, written, model, caller)
        await put(store, run(f"r{number}", status=status, usage=used))
        if deleted:
            await store.runs.delete(f"r{number}")
        elif status in TERMINAL or (active and status is RUNNING):
            runs += 1
            tokens[model] += read + written
            callers[caller] += read + written

    found = await store.runs.aggregate_tokens_by_thread("t", include_active=active)

    assert found.total_runs == runs == sum(m.runs for m in found.by_model.values())
    assert found.total_tokens == sum(tokens.values())
    assert found.total_input_tokens + found.total_output_tokens == found.total_tokens
    assert {model: m.tokens for model, m in found.by_model.items()} == dict(tokens)
    assert found.by_caller == CallerTokens(**callers)
