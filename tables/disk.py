"""States on disk, in RocksDB: for more users than memory holds. Needs the package `rocksdict`.

What is here is a copy of the changelog up to an offset, kept so that a start need not read it all. It may be lost at any
time, and is thrown away when it is of another changelog.
"""

import logging
from collections.abc import Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from struct import Struct
from typing import Final, cast

from rocksdict import BlockBasedOptions, Cache, ColumnFamily, DBCompressionType, Options, Rdict, WriteBatch

from activity.errors import SettingError
from activity.order import peek
from activity.settings import PREFIX
from tables.states import Overview

log = logging.getLogger(__name__)

CACHE: Final = 128 * 1024 * 1024
"""Bytes of memory for what was read lately; RocksDB takes about as much again for what was written."""
PAGE: Final = 1000

_PARTITION: Final = Struct(">H")
_SINCE: Final = Struct(">d")
_REACH: Final = Struct(">qq")
_HISTORY: Final = b"history"


class DiskStates(Overview):
    """The states of one partition; its keys begin with the partition's number.

    Beside the states stand, each in a column family of its own, for whom an event waits, and how far the partition is. A
    `put` writes all three in one batch of RocksDB's log: what SIGKILL leaves is from before it or from after it. What a
    power cut takes from the log's end is read from Kafka again.
    """

    def __init__(self, base: "_Base", partition: int) -> None:
        self._base, self._prefix = base, _PARTITION.pack(partition)
        reach = base.partitions.get(self._prefix)
        offset, newest = (None, -1) if reach is None else _REACH.unpack(reach)
        super().__init__(offset if offset != -1 else None, newest)
        for key, since in _items(base.waiting, self._prefix, self._prefix):
            self.waiting[key[2:]] = _SINCE.unpack(since)[0]

    def get(self, user: bytes) -> bytes | None:
        found: bytes | None = self._base.states.get(self._prefix + user)
        return found

    def put(self, states: Mapping[bytes, bytes | None], offset: int | None) -> None:
        batch, prefix, handle = WriteBatch(raw_mode=True), self._prefix, self._base.waiting_handle
        newest = self.newest
        for user, value in states.items():
            key = prefix + user
            if value is None:
                batch.delete(key)
                since = None
            else:
                batch.put(key, value)
                known, since = peek(value)
                newest = max(newest, known)
            if since is not None:
                batch.put(key, _SINCE.pack(since), handle)
            elif user in self.waiting:
                batch.delete(key, handle)
        reach = self.offset if offset is None else offset
        batch.put(prefix, _REACH.pack(-1 if reach is None else reach, newest), self._base.partitions_handle)
        self._base.states.write(batch)
        self.note(states, offset)

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        """Read a page at a time: an iterator that is held keeps RocksDB from tidying up."""
        after: bytes | None = self._prefix
        while after is not None:
            page, after = self._page(after)
            yield from page

    def page(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        behind = _items(self._base.states, self._prefix + after + b"\0", self._prefix)
        return [(key[2:], value) for key, value in islice(behind, limit)]

    def _page(self, begin: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        page: list[tuple[bytes, bytes]] = []
        for key, value in _items(self._base.states, begin, self._prefix):
            if len(page) == PAGE:
                return page, key
            page.append((key[2:], value))
        return page, None


class DiskShelf:
    """One RocksDB in a folder, for one worker. What is there of a partition that was dropped is used again if it comes back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._base: _Base | None = None

    def start(self, history: str) -> None:
        """Open the folder. What is in it of another `history` (which names the changelog, and no other) is thrown away.

        Raises SettingError when another worker uses the folder, or it can't be read.
        """
        self._base = self._opened()
        found = self._base.partitions.get(_HISTORY)
        if found is not None and found != history.encode():
            log.warning("the states in %s are of another changelog; they are thrown away and read anew", self._folder)
            self.stop()
            Rdict.destroy(str(self._folder), _options())
            self._base = self._opened()
        self._base.partitions.put(_HISTORY, history.encode())

    def stop(self) -> None:
        """Close the folder, so that another may open it."""
        if self._base is not None:
            self._base.close()
            self._base = None

    def open(self, partition: int) -> DiskStates:
        assert self._base is not None, "start() comes first"  # noqa: S101
        return DiskStates(self._base, partition)

    def drop(self, partition: int) -> None:
        """Nothing: it costs only disk, and saves reading if the partition comes back."""

    def _opened(self) -> "_Base":
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            return _Base(self._folder)
        except Exception as error:  # noqa: BLE001  (rocksdict raises no narrower one)
            if "lock file" in str(error) or "lock hold" in str(error):
                problem = f"another worker uses {self._folder}; give each worker a folder of its own"
            else:
                problem = f"can't open {self._folder} ({error}); it may be deleted: what it had is read from Kafka"
            raise SettingError(f"{PREFIX}DATA_DIR", problem) from None


class _Base:
    """The open RocksDB and its column families."""

    def __init__(self, folder: Path) -> None:
        options = _options()  # one for all: they share its cache
        self.states = Rdict(str(folder), options, dict.fromkeys(("default", "waiting", "partitions"), options))
        self.waiting = self.states.get_column_family("waiting")
        self.partitions = self.states.get_column_family("partitions")
        self.waiting_handle: ColumnFamily = self.states.get_column_family_handle("waiting")
        self.partitions_handle: ColumnFamily = self.states.get_column_family_handle("partitions")

    def close(self) -> None:
        del self.waiting_handle, self.partitions_handle  # RocksDB closes once nobody refers to it
        for family in (self.waiting, self.partitions, self.states):
            family.close()


def _items(family: Rdict, begin: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What stands under keys with `prefix`, from `begin` on."""
    items = cast(Iterator[tuple[bytes, bytes]], family.items(from_key=begin))
    return takewhile(lambda item: item[0].startswith(prefix), items)


def _options() -> Options:
    options, table = Options(raw_mode=True), BlockBasedOptions()
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(DBCompressionType.none())  # hashes are most of it
    options.set_keep_log_file_num(2)
    table.set_bloom_filter(10, False)
    table.set_block_cache(Cache(CACHE))
    options.set_block_based_table_factory(table)
    return options
