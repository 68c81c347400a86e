"""What Prometheus reads: how the API is used, and how jobs, streams and webhooks stand.

Labels are bounded: a route's template and never a path, a state and never a job, a connection that is worked here.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tallyport.control.counts import Standing

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_TRAFFIC = {
    "places": ("Calls that may be under way at a connection, as many as suit its platform.", "places"),
    "busy": ("Calls under way at a connection.", "busy"),
    "wait_seconds": ("Seconds that a connection's platform asks to wait.", "waits"),
}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counts of one server."""

    def __init__(self, standing: Callable[[], Standing], watchers: Callable[[], int]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        labels = ("method", "route", "status")
        self._requests = Counter("tallyport_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "tallyport_request_seconds",
            "Seconds until an answer began.",
            ("method",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Standing(standing, watchers))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def text(self) -> bytes:
        """Write them all."""
        return generate_latest(self._registry)


class _Standing(Collector):
    """What is looked up when it is asked for."""

    def __init__(self, standing: Callable[[], Standing], watchers: Callable[[], int]) -> None:
        self._standing = standing
        self._watchers = watchers

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = self._standing()
        jobs = GaugeMetricFamily("tallyport_jobs", "Jobs by state.", labels=["state"])
        for state, number in now.jobs.items():
            jobs.add_metric([state], number)
        yield jobs
        letters = GaugeMetricFamily("tallyport_deliveries", "Webhook deliveries by state.", labels=["state"])
        for state, number in now.deliveries.items():
            letters.add_metric([state], number)
        yield letters
        totals = GaugeMetricFamily("tallyport_open_runs", "Totals of the runs under way.", labels=["what"])
        for what, number in now.under_way.items():
            totals.add_metric([what], number)
        yield totals
        for name, (words, field) in _TRAFFIC.items():
            told = GaugeMetricFamily(f"tallyport_connection_{name}", words, labels=["id", "name"])
            for one in now.connections:
                told.add_metric([one.id, one.name], getattr(one.traffic, field))
            yield told
        yield GaugeMetricFamily("tallyport_watchers", "Open streams of events.", value=self._watchers())
        yield GaugeMetricFamily("tallyport_disk_free_bytes", "Room left where the ledger is.", value=now.disk_free)
