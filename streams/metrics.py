"""What the worker has done, as Prometheus metrics.

Faust's own sensors count messages; here a message is a whole chunk. These count records, by what came of them: the sums that
`chopar audit` counts from what stands on Kafka, kept all the time.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from activity import order
from tables.users import Users

PASSED_OVER: Final = ("tick", "moved", "repeated")


class Metrics:
    """Counters of this process since it began, and how much waits now."""

    def __init__(self, users: Users, core: str) -> None:
        self._registry = CollectorRegistry()
        Info("chopar_core", "What decides events: `compiled` or `python`.", registry=self._registry).info({"core": core})
        self._read = Counter(
            "chopar_events_read",
            "Records of activity.events that had to end as logged, late, duplicate or dead, or wait.",
            ["partition"],
            registry=self._registry,
        )
        self._ended = Counter("chopar_events", "What came of them.", ["partition", "verdict"], registry=self._registry)
        self._passed_over = Counter(
            "chopar_records_passed_over",
            "Records that do not count: ticks, events moved to their own partition, and what was read again after a crash.",
            ["partition", "why"],
            registry=self._registry,
        )
        self._registry.register(_Waiting(users))
        ProcessCollector(registry=self._registry)

    def count(self, partition: int, counts: Mapping[str, int]) -> None:
        """Add what came of a chunk: `Step.counts`."""
        number = str(partition)
        for what, count in counts.items():
            if what in PASSED_OVER:
                self._passed_over.labels(number, what).inc(count)
                continue
            if what != "released":  # it was read when it began to wait
                self._read.labels(number).inc(count)
            if what != "waiting":
                self._ended.labels(number, "logged" if what == "released" else what).inc(count)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)


class _Waiting(Collector):
    """Counted when it is asked for: the states know it, also those that another worker wrote."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("chopar_events_waiting", "Events that wait for a missing predecessor.", labels=["partition"])
        for number, count in waiting_here(self._users).items():
            gauge.add_metric([str(number)], count)
        yield gauge


def waiting_here(users: Users) -> dict[int, int]:
    """How many events wait, by partition of this worker."""
    return {
        number: sum(_waiting(state) for state in map(part.get, part.waiting) if state is not None)
        for number, part in sorted(users.partitions_here.items())
    }


def _waiting(state: bytes) -> int:
    return sum(len(source.waiting) for source in order.decode(state).sources.values())
