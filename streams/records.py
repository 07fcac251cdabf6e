"""Reading what aiokafka can't: records whose header names are not UTF-8.

Kafka's protocol says that a header's name is a string, brokers don't look, and librdkafka sends what it is given. aiokafka raises
in the middle of the fetch: the worker would end, and end again, at the same record.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT: Final = 8
_BEFORE_LENGTH_COUNTS: Final = 12


def read_any_header() -> None:
    """Have aiokafka's consumers of this process read such records too; their names come with `\\xff` for what is no UTF-8."""
    fetcher.MemoryRecords = Records


class Records:
    """aiokafka's reader of a fetch, which also knows where each batch lies."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0
        self._records = MemoryRecords(raw)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        begin = self._at
        self._at += _BEFORE_LENGTH_COUNTS + int(struct.unpack_from(">i", self._raw, begin + _LENGTH_AT)[0])
        return _Batch(batch, memoryview(self._raw)[begin : self._at])


class _Batch:
    """A batch that is read again, slower, if a header's name in it is no UTF-8."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def all(self) -> list[Any]:
        """Its records."""
        try:
            return list(self._batch)
        except UnicodeDecodeError:
            return list(_LenientBatch(bytearray(self._raw)))


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's own reader in Python, over bytes that can always be decoded."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)


class _Lenient(bytearray):
    """Bytes whose `decode` shows what it can't decode."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, "backslashreplace")
