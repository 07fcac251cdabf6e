"""Entries and jobs for the store's tests."""

from activity.jobs import Job
from store.log import Entry


def entry(position: int, user: str = "u-1", event_id: str | None = None, type: str = "order.paid") -> Entry:
    """The entry at `position`; its event is `e-<position>` unless told."""
    return Entry(
        user_id=user,
        position=position,
        source="/shop",
        event_id=event_id or f"e-{position}",
        type=type,
        time=None if position % 2 else "2026-01-31T09:30:00+05:00",
        received="2026-01-31T09:30:00.125Z",
        sequence=str(position) if position % 3 else None,
        verdict="late" if position % 5 == 0 else "logged",
        event=b'{"id":"\xc3\xa9","position":%d}' % position,
        kafka_partition=3,
        kafka_offset=2**40 + position,
    )


def job(id: str = "j-1", user: str = "u-1") -> Job:
    """A job."""
    return Job(
        id=id,
        rule="welcome",
        job_class="bulk",
        user=user,
        to="ada@shop.example",
        template="hello",
        event={"id": f"e-of-{id}", "source": "/shop"},
    )
