"""The worker's metrics: the sums of what it did, and what waits now."""

from typing import cast

from prometheus_client.parser import text_string_to_metric_families

from activity import order
from streams.metrics import Metrics
from tables.users import Users
from tests.activity.partitions import Table, record, tick, work


class OnePartition:
    """A table that has states of partition 0 only."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def partitions_here(self) -> dict[int, Table]:
        return {2: Table(), 0: self._table}


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Name and labels of all that are ours."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name.startswith("chopar_") and not sample.name.endswith("_created")
    }


def test_each_event_that_is_read_ends_somewhere_or_waits() -> None:
    table = Table()
    metrics = Metrics(cast(Users, OnePartition(table)), "python")
    records = [record(1), record(1, offset=1), record(3, offset=2), record(4, offset=3), record(1, "elsewhere", offset=4)]
    chunks = [records, [tick(5, 6000), record(2, offset=6), record(7, offset=7)], [record(7, offset=7)]]
    for part in chunks:
        step = work(part, table)
        table |= step.states
        metrics.count(0, step.counts)
    assert samples(metrics) == {
        ("chopar_core_info", "python"): 1,
        ("chopar_events_read_total", "0"): 6,
        ("chopar_events_total", "0,logged"): 3,
        ("chopar_events_total", "0,duplicate"): 1,
        ("chopar_events_total", "0,late"): 1,
        ("chopar_events_waiting", "0"): 1,
        ("chopar_events_waiting", "2"): 0,
        ("chopar_records_passed_over_total", "0,moved"): 1,
        ("chopar_records_passed_over_total", "0,tick"): 1,
        ("chopar_records_passed_over_total", "0,repeated"): 1,
    }


def test_a_worker_that_took_a_partition_over_knows_what_waits_there() -> None:
    """No counter of its own says so."""
    table = Table(work([record(2), record(3, offset=1), record(5, "u-2", offset=2)], Table()).states)
    assert order.peek(table[b"u-1"])[1] == 0.0
    assert samples(Metrics(cast(Users, OnePartition(table)), "python")) == {
        ("chopar_core_info", "python"): 1,
        ("chopar_events_waiting", "0"): 3,
        ("chopar_events_waiting", "2"): 0,
    }
