"""Many letters onto a channel in one write, and one wait for all their confirms.

aio-pika makes frames, a task and three futures of each message and waits for the socket after each; that is most of what
publishing costs. What follows stands on names of aiormq that are public but not described (tests/rabbit/test_burst.py fails if
they change): a publish takes the channel's lock and its next delivery tag, and leaves in `confirmations` what the confirm is
told to. Everything else of the channel stays aio-pika's: confirms, returns, closing.
"""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from aio_pika.abc import AbstractChannel
from aiormq import Channel
from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError

from rabbit.frames import frames
from rabbit.letters import Letter

_IDS: Final = itertools.count()
_SELF: Final = uuid.uuid4().hex
"""What tells the message ids of this process from all others'."""


async def burst(channel: AbstractChannel, letters: Sequence[Letter], confirmed: Callable[[], None]) -> list[Letter]:
    """Publishes all, mandatory and persistent; returns when each was confirmed, refused or returned, or the channel broke.

    Gives those that are not known to be safe; they may be. `confirmed` is called for each of the others. If it is cancelled,
    any of them may have been published. On a channel that is closed already it raises ChannelInvalidStateError.
    """
    inner = cast("Channel", await channel.get_underlay_channel())
    closing = inner.closing
    batch = _Batch(letters, confirmed, inner.message_id_delivery_tag)
    try:
        async with inner.lock:
            if not await _written(inner, batch, closing):
                return list(letters)
        await asyncio.wait({batch.ended, closing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        closing.cancel()
    return batch.unsafe()


async def _written(inner: Channel, batch: "_Batch", closing: "asyncio.Future[Any]") -> bool:
    """Whether the writer has it all. If not, the broker has seen nothing of it and the tags are free again."""
    before, payload = inner.delivery_tag, list[bytes]()
    for tag, (number, letter) in enumerate(enumerate(batch.letters), before + 1):
        id = f"{_SELF}-{next(_IDS)}"
        payload += frames(letter, id, inner.number, inner.max_content_size)
        inner.confirmations[tag] = cast("Any", _Confirm(batch, number, id))
        inner.message_id_delivery_tag[id] = tag
    inner.delivery_tag = before + len(batch.letters)
    written = False
    try:
        written = await _put(inner, payload, closing)
    finally:
        if not written:
            inner.delivery_tag = before
            for tag in range(before + 1, before + len(batch.letters) + 1):
                cast("_Confirm", inner.confirmations.pop(tag)).forget()
    return written


async def _put(inner: Channel, payload: Sequence[bytes], closing: "asyncio.Future[Any]") -> bool:
    """Hands it to the connection's writer; waits while that is behind. Not if the channel closes meanwhile."""
    chunk = ChannelFrame(payload=b"".join(payload), should_close=False)
    if not inner.write_queue.full():
        inner.write_queue.put_nowait(chunk)
        return True
    putting = asyncio.ensure_future(inner.write_queue.put(chunk))
    try:
        await asyncio.wait({putting, closing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Cancelled in time it has put nothing; done already it has, whatever happened to who waits here.
        putting.cancel()
    return putting.done() and not putting.cancelled()


async def cast_away(channel: AbstractChannel, letters: Sequence[Letter]) -> None:
    """Publishes all in one write, on a channel without confirms; those that nobody listens for are dropped."""
    inner = cast("Channel", await channel.get_underlay_channel())
    closing = inner.closing
    payload: list[bytes] = []
    for letter in letters:
        payload += frames(letter, f"{_SELF}-{next(_IDS)}", inner.number, inner.max_content_size, mandatory=False)
    try:
        if inner.is_closed or not await _put(inner, payload, closing):
            raise ChannelInvalidStateError("the channel is closed")
    finally:
        closing.cancel()


class _Batch:
    """What is still to be heard of."""

    def __init__(self, letters: Sequence[Letter], confirmed: Callable[[], None], tags: dict[str, int]) -> None:
        self.letters, self.tags = letters, tags
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._confirmed = confirmed
        self._safe = bytearray(len(letters))
        self._left = len(letters)

    def heard(self, number: int, *, safe: bool) -> None:
        """Of one of them."""
        if safe:
            self._safe[number] = 1
            self._confirmed()
        self._left -= 1
        if not self._left and not self.ended.done():
            self.ended.set_result(None)

    def unsafe(self) -> list[Letter]:
        """Those that were not confirmed."""
        return [letter for letter, safe in zip(self.letters, self._safe, strict=True) if not safe]


class _Confirm:
    """In the place of the future that aiormq makes for each message: what it is told, and asked."""

    __slots__ = ("_batch", "_ended", "_id", "_number")

    def __init__(self, batch: _Batch, number: int, id: str) -> None:
        self._batch, self._number, self._id, self._ended = batch, number, id, False

    def done(self) -> bool:
        """Whether it was told."""
        return self._ended

    def cancelled(self) -> bool:
        """Nobody cancels it."""
        return False

    def set_result(self, _: object) -> None:
        """The broker has it, on a queue."""
        self._end(safe=True)

    def set_exception(self, _: BaseException) -> None:
        """It was refused or returned."""
        self._end(safe=False)

    def forget(self) -> None:
        """It was never sent."""
        self._batch.tags.pop(self._id, None)

    def _end(self, *, safe: bool) -> None:
        self._ended = True
        self.forget()
        self._batch.heard(self._number, safe=safe)
