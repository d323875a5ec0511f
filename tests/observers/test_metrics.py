"""What the metrics observer counts, and how prometheus sees it."""

import importlib
import sys
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition, parser
from prometheus_client.parser import text_string_to_metric_families

from callboard.observers import LifecycleEventType, MetricsObserver, RunLifecycleEvent
from callboard.observers.metrics import BUCKETS
from callboard.observers.prometheus import PrometheusCollector
from tests.support import passes, staged, virtual


def event(kind, sequence, at=0.0, run="r", **payload):
    """An event of a run, `at` seconds after midnight."""
    return RunLifecycleEvent(
        event_id=f"{run}/{sequence}",
        event_type=LifecycleEventType(kind),
        run_id=run,
        thread_id="t",
        sequence=sequence,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at),
        payload=payload,
    )


def counted_of(*events):
    metrics = MetricsObserver()
    for each in events:
        metrics.on_event(each)
    return metrics.statistics()


async def played(metrics):
    """One success after 5 s, one failure, one abort of a queued run."""
    async with staged() as (runtime, stage):
        runtime.observe(metrics)
        first = await runtime.create_run("t", "work")
        second = await runtime.create_run("t", "failing", multitask_strategy="enqueue")
        third = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await runtime.cancel(third.run_id)
        await passes(5)
        stage.release(first)
        await runtime.wait(second.run_id)
        await passes(1)
    return metrics.statistics()


@virtual
async def test_runs_are_counted_by_how_they_ended():
    counted = await played(MetricsObserver())

    assert (counted.created, counted.started, counted.in_flight) == (3, 2, 0)
    assert counted.ended == {"success": 1, "error": 1, "interrupted": 1}


@virtual
async def test_queueing_and_execution_are_timed_in_seconds():
    counted = await played(MetricsObserver())

    assert counted.executed.count == 2
    assert 5 <= counted.executed.longest < 5.1
    assert 5 <= counted.queued.longest < 5.1
    assert counted.executed.buckets[-1] == 2
    assert counted.executed.mean == counted.executed.total / 2


@virtual
async def test_an_event_that_is_told_again_counts_once():
    metrics = MetricsObserver()

    class Twice:
        def on_event(self, event):
            metrics.on_event(event)
            metrics.on_event(event)

    async with staged() as (runtime, stage):
        runtime.observe(Twice())
        run = await runtime.create_run("t", "work")
        stage.release(run)
        await runtime.wait(run.run_id)
        await passes(1)

    counted = metrics.statistics()
    assert (counted.created, counted.started, counted.ended) == (1, 1, {"success": 1})


def test_a_restart_is_counted_and_timed_as_part_of_the_run():
    counted = counted_of(
        event("run_created", 1, 0),
        event("run_started", 2, 2, attempt=1),
        event("run_restarted", 3, 5, attempt=2),
        event("run_completed", 4, 9, status="success"),
    )

    assert (counted.started, counted.restarted) == (1, 1)
    assert (counted.queued.total, counted.executed.total) == (2.0, 7.0)


def test_buckets_hold_what_took_at_most_their_bound():
    runs = [
        (event("run_created", 1, 0, run), event("run_started", 2, seconds, run))
        for run, seconds in (("a", 1.0), ("b", 1.1), ("c", 9999))
    ]
    counted = counted_of(*(each for run in runs for each in run))
    below = dict(zip(BUCKETS, counted.queued.buckets, strict=True))

    assert (below[0.5], below[1.0], below[5.0], below[1800.0]) == (0, 1, 2, 2)
    assert (counted.queued.count, counted.in_flight) == (3, 3)
    assert (counted.queued.shortest, counted.queued.longest) == (1.0, 9999.0)


@pytest.mark.parametrize(
    ("kind", "payload", "ended", "stopped"),
    [
        ("run_failed", {"status": "timeout"}, {"timeout": 1}, {}),
        ("run_failed", {"stop_reason": "orphaned"}, {"error": 1}, {"orphaned": 1}),
        ("run_cancelled", {"stop_reason": "shutdown"}, {"interrupted": 1}, {"shutdown": 1}),
        ("run_cancelled", {"stop_reason": None}, {"interrupted": 1}, {}),
    ],
)
def test_ends_are_counted_by_status_and_stop_reason(kind, payload, ended, stopped):
    counted = counted_of(event("run_created", 1), event(kind, 2, **payload))

    assert (counted.ended, counted.stopped) == (ended, stopped)
    assert (counted.in_flight, counted.executed.count) == (0, 0)


def test_a_clock_that_is_set_back_makes_no_negative_duration():
    counted = counted_of(
        event("run_created", 1, 60),
        event("run_started", 2, 30),
        event("run_completed", 3, 0, status="success"),
    )

    assert (counted.queued.shortest, counted.queued.total) == (0.0, 0.0)
    assert (counted.executed.shortest, counted.executed.total) == (0.0, 0.0)


def test_a_run_created_before_the_observer_was_bound_is_not_counted():
    counted = counted_of(event("run_started", 2), event("run_completed", 3, status="success"))

    assert counted == MetricsObserver().statistics()


def test_an_end_or_a_later_event_that_is_told_after_the_end_changes_nothing():
    events = [event("run_created", 1), event("run_started", 2), event("run_completed", 3)]
    late = [events[-1], event("thread_status_updated", 4)]

    assert counted_of(*events, *late) == counted_of(*events)


def test_a_snapshot_does_not_change_when_more_is_counted():
    metrics = MetricsObserver()
    before = metrics.statistics()
    metrics.on_event(event("run_created", 1))
    metrics.on_event(event("run_cancelled", 2, stop_reason="shutdown"))

    assert before == MetricsObserver().statistics()


@virtual
async def test_prometheus_reads_what_was_counted():
    metrics = MetricsObserver()
    await played(metrics)
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(metrics))

    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["callboard_runs_created_total",] == 3
    assert samples["callboard_runs_ended_total", "error"] == 1
    assert samples["callboard_runs_in_flight",] == 0
    assert samples["callboard_run_duration_seconds_count",] == 2
    assert samples["callboard_run_duration_seconds_bucket", "+Inf"] == 2


def test_openmetrics_gets_the_type_of_each_figure():
    metrics, registry = MetricsObserver(), CollectorRegistry()
    metrics.on_event(event("run_created", 1))
    metrics.on_event(event("run_cancelled", 2, stop_reason="superseded"))
    registry.register(PrometheusCollector(metrics))

    text = exposition.generate_latest(registry).decode()
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert {name: family.type for name, family in families.items()} == {
        "callboard_runs_created": "counter",
        "callboard_runs_started": "counter",
        "callboard_runs_restarted": "counter",
        "callboard_runs_ended": "counter",
        "callboard_runs_stopped": "counter",
        "callboard_runs_in_flight": "gauge",
        "callboard_run_queue_seconds": "histogram",
        "callboard_run_duration_seconds": "histogram",
    }
    (stopped,) = families["callboard_runs_stopped"].samples
    assert (stopped.labels, stopped.value) == ({"reason": "superseded"}, 1)


def test_without_prometheus_client_the_import_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    monkeypatch.delitem(sys.modules, "callboard.observers.prometheus")

    with pytest.raises(ImportError, match=r"callboard\[prometheus\]"):
        importlib.import_module("callboard.observers.prometheus")
