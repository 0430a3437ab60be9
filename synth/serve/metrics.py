"""What a Prometheus server may ask for."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BATCHES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters of one service; their names begin with synth_."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of_requests = {"labelnames": ("route", "status"), "registry": self.registry}
        self.requests = Counter("synth_requests", "HTTP requests answered", **of_requests)
        self.seconds = Histogram("synth_request_seconds", "time to answer", ("route",), registry=self.registry)
        self.pictures = Counter("synth_pictures", "pictures that were tried", ("status",), registry=self.registry)
        self.batch = Histogram("synth_batch_pictures", "in a batch", buckets=BATCHES, registry=self.registry)
        self.clients = Histogram("synth_batch_clients", "that share a batch", buckets=BATCHES, registry=self.registry)
        self.rendering = Counter("synth_rendering_seconds", "time spent rendering", registry=self.registry)
        self.queue = Gauge("synth_queue_pictures", "pictures that wait", registry=self.registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class Counted:
    """Middleware that counts requests by their route, never by their path, which clients choose."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)
