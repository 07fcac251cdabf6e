"""The peer on Quix Streams: RocksDB with a changelog, at least once, as by default; bytes in place of JSON for its states."""

from collections.abc import Iterable
from typing import Any

import msgspec
from quixstreams import Application

from benchmarks.peers.rule import State, advance, decode, place

_read = msgspec.msgpack.Decoder(State).decode
_write = msgspec.msgpack.Encoder().encode


def sequencer(raw: bytes, state: Any) -> Iterable[bytes]:
    """What goes out for `raw`."""
    event, known = decode(raw), state.get_bytes("user")
    user = State() if known is None else _read(known)
    out = advance(user, int(event.sequence), raw)
    state.set_bytes("user", _write(user))
    return out


def main() -> None:
    where = place()
    app = Application(
        broker_address=where.kafka,
        consumer_group=where.group,
        auto_offset_reset="earliest",
        state_dir=where.folder,
        loglevel="WARNING",
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
        producer_extra_config={"batch.size": 256 * 1024},
    )
    events = app.topic(where.input, value_deserializer="bytes")
    log = app.topic(where.output, value_serializer="bytes")
    app.dataframe(events).apply(sequencer, stateful=True, expand=True).to_topic(log)
    app.run()


if __name__ == "__main__":
    main()
