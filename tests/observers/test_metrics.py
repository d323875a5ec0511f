"""What the metrics observer counts, and how prometheus sees it."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from callboard.observers import MetricsObserver
from callboard.observers.prometheus import PrometheusCollector
from tests.support import passes, staged, virtual


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
