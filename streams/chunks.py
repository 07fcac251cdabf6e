"""How a topic is read in chunks: its schema, the message that carries a chunk, and the loop around an agent's function."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import faust
from faust.types import TP, StreamT
from faust.types.tuples import ConsumerMessage

from activity.chunk import Chunk, Record
from agents.patience import Lost
from streams.exits import SOFTWARE, leave
from streams.lanes import Lanes


class Chunks(faust.Schema[None, Chunk]):
    """The schema of a topic that is read in chunks: an event's value is the `Chunk`, its records undecoded."""

    def loads_key(self, app: Any, message: Any, **options: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        return message.value


class ChunkMessage(ConsumerMessage):
    """Faust's message for a chunk; its offset is that of the last record."""

    __slots__ = ()

    @property
    def chunk(self) -> Chunk:
        """What it carries."""
        return cast(Chunk, self.value)


def chunk_message(tp: TP, records: Sequence[Record], generation: int) -> ChunkMessage:
    """The message that carries `records`, which are not none."""
    last = records[-1]
    chunk = Chunk(tp.topic, tp.partition, records)
    return ChunkMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=last.offset,
        timestamp=last.timestamp / 1000,
        timestamp_type=0,
        headers=None,
        key=None,
        value=cast(bytes, chunk),  # Faust says bytes, and hands on whatever it is
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=tp,
        generation_id=generation,
    )


def each_chunk(work: Callable[..., Awaitable[None]], **parts: Any) -> Callable[[StreamT[Chunk]], Awaitable[None]]:
    """An agent that calls `work(chunk, **parts)` for each chunk of its stream, one at a time for each partition.

    Faust would acknowledge a chunk whose work raised, start the agent anew and go on: the chunk would be lost. Here the
    process ends instead, and the chunk is read again.
    """

    async def one(chunk: Chunk) -> None:
        if chunk.lost:
            return
        chunk.started = chunk.in_hand = True
        try:
            await work(chunk, **parts)
        except Lost:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, going on would lose the chunk)
            _log_and_leave(chunk, error)
        finally:
            chunk.in_hand = False

    async def agent(stream: StreamT[Chunk]) -> None:
        lanes = Lanes(one)
        try:
            async for chunk in stream:
                lanes.put(chunk)
            await lanes.finished()
        finally:
            await lanes.cancel()

    agent.__module__, agent.__qualname__, agent.__doc__ = work.__module__, work.__qualname__, work.__doc__
    agent.__name__ = work.__name__
    return agent


def _log_and_leave(chunk: Chunk, error: Exception) -> None:
    leave(SOFTWARE, f"the agent on {chunk!r} raised {type(error).__name__}: {error}")
