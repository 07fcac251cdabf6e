"""The peer on Bytewax: `python -m bytewax.run`. Its states are not kept in Kafka; nothing is committed."""

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic

from benchmarks.peers.rule import State, advance, decode, place


class Sequencer(StatefulBatchLogic):
    """One user."""

    def __init__(self, state: State | None) -> None:
        self._state = state or State()

    def on_batch(self, values: Iterable[tuple[int, Any]]) -> tuple[Iterable[Any], bool]:
        out = []
        for sequence, message in values:
            out += [KafkaSinkMessage(message.key, raw) for raw in advance(self._state, sequence, message.value)]
        return out, self.RETAIN

    def snapshot(self) -> State:
        return self._state


def keyed(message: Any) -> tuple[str, tuple[int, Any]]:
    """The message under its user, with its sequence."""
    event = decode(message.value)
    return event.subject, (int(event.sequence), message)


where = place()
flow = Dataflow("bench")
source = KafkaSource([where.kafka], [where.input], add_config={"fetch.queue.backoff.ms": "5"}, batch_size=4000)
users = op.map("keyed", op.input("events", flow, source), keyed)
log = op.stateful_batch("sequencer", users, Sequencer)
sink = KafkaSink([where.kafka], where.output, add_config={"enable.idempotence": "true", "batch.size": "262144"})
op.output("log", op.map("values", log, lambda pair: pair[1]), sink)
