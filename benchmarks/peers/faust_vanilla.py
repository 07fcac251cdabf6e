"""The peer on Faust as its documentation teaches: models, a table, an agent that takes one event after the other.

One thing is not of the documentation: without the last function it loses what it reads while its table's recovery ends.
"""

from typing import Any

import faust

from benchmarks.peers.rule import place

where = place()
app = faust.App(
    where.group,
    broker=f"kafka://{where.kafka}",
    topic_partitions=8,
    topic_disable_leader=True,
    web_enabled=False,
    datadir=where.folder,
)


class Event(faust.Record, serializer="json"):
    """An event, as it is sent."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    sequence: str
    time: str
    data: dict[str, Any]
    position: int = 0


class User(faust.Record, serializer="json"):
    """A user's state."""

    due: int = 1
    waiting: dict[str, Event] = {}  # noqa: RUF012  (Faust's models are written so)


events = app.topic(where.input, key_type=bytes, value_type=Event)
log = app.topic(where.output, key_type=bytes, value_type=Event)
users = app.Table("users", partitions=8, key_type=str, value_type=User)


@app.agent(events)
async def sequencer(stream: faust.StreamT[Event]) -> None:
    """The rule of `benchmarks/peers/rule.py`."""
    async for event in stream:
        user, sequence = users.get(event.subject) or User(due=1, waiting={}), int(event.sequence)
        if sequence < user.due or event.sequence in user.waiting:
            continue
        waiting, due = {**user.waiting, event.sequence: event}, user.due
        while next_one := waiting.pop(str(due), None):
            next_one.position = due
            await log.send(key=event.subject.encode(), value=next_one)
            due += 1
        users[event.subject] = User(due=due, waiting=waiting)


@app.on_rebalance_complete.connect(weak=False)
async def hold_the_flow(*_: Any, **__: Any) -> None:
    """Faust lets it go on itself, after the seek."""
    app.consumer.stop_flow()
    app.flow_control.suspend()


if __name__ == "__main__":
    app.main()
