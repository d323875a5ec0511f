"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ..observers import MetricsObserver
from ..observers.prometheus import PrometheusCollector
from .limits import Connections


class _ConnectionCollector(Collector):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "callboard_server_connections",
            "Streams and waits that clients hold open.",
            value=self._connections.total,
        )


def exposition(metrics: MetricsObserver, connections: Connections) -> tuple[bytes, str]:
    """The metrics at this moment, as text, and the media type of that."""
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(metrics))
    registry.register(_ConnectionCollector(connections))
    return generate_latest(registry), CONTENT_TYPE_LATEST
