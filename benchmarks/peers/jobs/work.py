"""What every side of `make bench-jobs` does with a job, as its user would write it; and where it does it.

A job is an order's number and what its mail says. `Marks` notes each one that is done, with the time.
"""

import asyncio
import os
import struct
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import jinja2
import msgspec

RECORD = struct.Struct("<Id")
"""A mark: the job's number, and when (monotonic, the same clock in all processes)."""
QUEUE = "bench"


class Place(msgspec.Struct, frozen=True):
    """What a run has told its side. `rate`: publish so many a second in place of as fast as it goes (0)."""

    rabbit: str
    smtp: str
    jobs: int
    rate: float
    folder: str


def place(environ: Any = os.environ) -> Place:
    """As the run has set it; on a machine where nothing is set, of no use but to be imported."""
    get = environ.get
    jobs, rate = int(get("BENCH_JOBS", "0")), float(get("BENCH_RATE", "0"))
    return Place(get("BENCH_RABBIT", ""), get("BENCH_SMTP", ""), jobs, rate, get("BENCH_FOLDER", "."))


class Marks:
    """Notes jobs in a file that several processes may add to: each mark is one small append."""

    def __init__(self, folder: str, name: str = "done") -> None:
        self._file = os.open(Path(folder) / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, number: int) -> None:
        """Job `number`, now."""
        os.write(self._file, RECORD.pack(number, monotonic()))


def order(number: int) -> dict[str, Any]:
    """What the mail of job `number` says."""
    items = [{"quantity": count, "name": f"Rose für Jörg, Nr. {number}", "price": 1.5 * count} for count in (1, 2, 3)]
    return {"order": f"A-{number}", "items": items, "total": 9.0}


def number_of(data: dict[str, Any]) -> int:
    """The job's number again."""
    return int(data["order"][2:])


class Renderer:
    """The mail of a job, rendered from Chopar's own template and built as the documentation of `EmailMessage` shows it."""

    def __init__(self) -> None:
        found = jinja2.Environment(
            loader=jinja2.FileSystemLoader("templates"),
            autoescape=jinja2.select_autoescape(["html"]),
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._parts = [found.get_template(f"order_confirmation.{part}") for part in ("subject.txt", "txt", "html")]

    def mail(self, data: dict[str, Any]) -> EmailMessage:
        """It, with its Message-ID."""
        subject, text, html = (part.render(data=data) for part in self._parts)
        message = EmailMessage(policy=SMTP)
        message["From"] = "Shop <mail@shop.example>"
        message["To"] = "joerg@example.com"
        message["Subject"] = subject.strip()
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{data['order']}@shop.example>"
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return message


class Sender:
    """Mails jobs by aiosmtplib over connections that are kept."""

    def __init__(self, url: str, connections: int = 8) -> None:
        self._host, _, port = url.removeprefix("smtp://").partition(":")
        self._port = int(port)
        self._renderer = Renderer()
        self._kept: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        for _ in range(connections):
            self._kept.put_nowait(None)

    async def send(self, data: dict[str, Any]) -> None:
        """Returns once the mail server has it."""
        import aiosmtplib

        connection = await self._kept.get()
        try:
            if connection is None:
                connection = aiosmtplib.SMTP(hostname=self._host, port=self._port)
                await connection.connect()
            await connection.send_message(self._renderer.mail(data))
        finally:
            self._kept.put_nowait(connection)


def told(seconds: float) -> None:
    """Leaves for the run how long publishing took."""
    (Path(place().folder) / "seconds").write_text(repr(seconds))


def publish_all(publish: Callable[[int], object], threads: int) -> None:
    """Publish every job by a call that returns once it is confirmed: several threads, or one at a steady rate."""
    where = place()
    if where.rate:
        marks, began = Marks(where.folder, "sent"), monotonic()
        for number in range(where.jobs):
            sleep(max(0.0, began + number / where.rate - monotonic()))
            marks.note(number)
            publish(number)
        return
    with ThreadPoolExecutor(threads) as pool:
        began = monotonic()
        for _ in pool.map(publish, range(where.jobs)):
            pass
        told(monotonic() - began)


async def publish_window(publish: Callable[[int], Awaitable[object]], window: int = 200) -> None:
    """Publish every job by a coroutine that returns once it is confirmed: a window of them, or at a steady rate."""
    where = place()
    free, marks = asyncio.Semaphore(window), Marks(where.folder, "sent") if where.rate else None
    began = monotonic()

    async def one(number: int) -> None:
        try:
            await publish(number)
        finally:
            free.release()

    async with asyncio.TaskGroup() as group:
        for number in range(where.jobs):
            await free.acquire()
            if marks is not None:
                await asyncio.sleep(max(0.0, began + number / where.rate - monotonic()))
                marks.note(number)
            group.create_task(one(number))
    told(monotonic() - began)


def publishes() -> bool:
    """Whether this process was started to publish and not to work."""
    return sys.argv[1:2] == ["publish"]
