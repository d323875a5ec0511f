"""What a `MetricsObserver` counts, for prometheus-client. Needs `callboard[prometheus]`."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "callboard.observers.prometheus needs prometheus-client: "
        "pip install 'callboard[prometheus]'"
    ) from error

from .metrics import BUCKETS, Durations, MetricsObserver


class PrometheusCollector(Collector):
    """Register it with a registry: `REGISTRY.register(PrometheusCollector(metrics))`.

    Args:
        metrics: the observer that counts.

    """

    def __init__(self, metrics: MetricsObserver) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """The metrics at this moment."""
        now = self._metrics.statistics()
        for name, text, value in (
            ("created", "Runs that were accepted.", now.created),
            ("started", "Runs whose first attempt began.", now.started),
            ("restarted", "Attempts that were tried again.", now.restarted),
        ):
            yield CounterMetricFamily(f"callboard_runs_{name}", text, value=value)
        ended = CounterMetricFamily(
            "callboard_runs_ended", "Runs that ended, by status.", labels=["status"]
        )
        for status, count in now.ended.items():
            ended.add_metric([status], count)
        yield ended
        stopped = CounterMetricFamily(
            "callboard_runs_stopped",
            "Runs that ended otherwise than by their agent's own doing, by reason.",
            labels=["reason"],
        )
        for reason, count in now.stopped.items():
            stopped.add_metric([reason], count)
        yield stopped
        yield GaugeMetricFamily(
            "callboard_runs_in_flight", "Runs pending or running.", value=now.in_flight
        )
        yield _histogram("callboard_run_queue_seconds", "Creation to start.", now.queued)
        yield _histogram("callboard_run_duration_seconds", "Start to end.", now.executed)


def _histogram(name: str, text: str, durations: Durations) -> HistogramMetricFamily:
    buckets = [
        (str(bound), float(count)) for bound, count in zip(BUCKETS, durations.buckets, strict=True)
    ]
    buckets.append(("+Inf", float(durations.count)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=durations.total)
