"""What a server counts of itself, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Measured:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "worldmodel_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "worldmodel_request_seconds", "How long they took.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.batch = Histogram(
            "worldmodel_batch_size",
            "Questions answered together.",
            buckets=(1, 2, 4, 8, 16),
            registry=self.registry,
        )
        self.sessions = Gauge("worldmodel_sessions", "Sessions that are open.", registry=self.registry)
        self.waiting = Gauge("worldmodel_waiting", "Questions that wait.", registry=self.registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
