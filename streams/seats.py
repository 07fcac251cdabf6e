"""A worker's seat in its group. One that was killed keeps it until its session is over; who starts next beside it gives it up.

Without that a worker that is started again waits up to 10 s for its own ghost, and all others wait with it.
"""

import fcntl
import logging
import os
import uuid
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

log = logging.getLogger(__name__)


class Seat:
    """A file in `folder` with the worker's member id, locked while its process lives, however that ends.

    A paused process lives: its seat is not touched.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._path = folder, folder / uuid.uuid4().hex
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def note(self, member: str) -> None:
        """Call it whenever the group has confirmed `member`."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, member.encode(), 0)

    def leave(self) -> None:
        """The worker has left its group."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def take_from_dead(self) -> list[str]:
        """The member ids of those that died in their seats; each is given once."""
        members = []
        for path in self._folder.iterdir():
            if path != self._path:
                members += _take(path)
        return members


def _take(path: Path) -> list[str]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # another one was quicker
        return []
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        return os.pread(handle, 1024, 0).decode(errors="replace").split()
    except BlockingIOError:
        return []
    finally:
        os.close(handle)


async def give_up_seats(address: str, group: str, members: list[str]) -> None:
    """Tell the group that `members` are gone. One that it does not know any more is none; if it can't be told, it waits."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=10_000)
    try:
        await admin.start()
        coordinator = await admin.find_coordinator(group)
        for member in members:
            await admin._send_request_to_node(coordinator, LeaveGroupRequest(group, member))
    except (KafkaError, TimeoutError) as error:
        log.debug("seats not given up: %r", error)
    else:
        log.info("%d of group %s had been killed; their partitions are free", len(members), group)
    finally:
        await admin.close()
