"""A bare loop on confluent-kafka: what the protocol and librdkafka allow from Python. Its states live in memory only."""

import signal
from collections import defaultdict
from time import monotonic

from confluent_kafka import Consumer, Producer

from benchmarks.peers.rule import State, advance, decode, place

COMMIT_EVERY = 0.5


def main() -> None:
    where, running = place(), True

    def stop(*_: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer(
        {
            "bootstrap.servers": where.kafka,
            "group.id": where.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 100_000,
            "check.crcs": False,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": where.kafka,
            "enable.idempotence": True,
            "linger.ms": 5,
            "batch.size": 256 * 1024,
            "queue.buffering.max.messages": 1_000_000,
            "delivery.report.only.error": True,
        }
    )
    consumer.subscribe([where.input])
    users: defaultdict[str, State] = defaultdict(State)
    uncommitted, committed = False, monotonic()
    while running:
        for message in consumer.consume(4000, timeout=0.05):
            if message.error():
                raise SystemExit(str(message.error()))
            raw = message.value()
            event = decode(raw)
            for out in advance(users[event.subject], int(event.sequence), raw):
                producer.produce(where.output, out, message.key(), message.partition())
            uncommitted = True
        producer.poll(0)
        if uncommitted and monotonic() - committed > COMMIT_EVERY:
            if producer.flush(30):
                raise SystemExit("Kafka did not take all")
            consumer.commit(asynchronous=False)
            uncommitted, committed = False, monotonic()
    consumer.close()


if __name__ == "__main__":
    main()
