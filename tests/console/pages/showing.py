"""Pages over fakes: an installation where all is well, what differs in it, and a reader of the HTML that comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from html.parser import HTMLParser
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from msgspec.structs import replace

from activity.names import APP, BULK_QUEUE, DEAD, EVENTS, LOG, NOTIFY_APP
from activity.pace import Bounds, Look, Reader, Standing, Topic, pace
from console.access import Access
from console.pages.frame import problem_page
from console.pages.routes import Pages, page_routes
from console.pages.runs import Runs
from console.pages.snapshot import Books, Snapshot
from console.server import create_application
from console.session import session_routes
from console.tables import Share
from rabbit.deciding import Deciding
from rabbit.depths import Depth
from rabbit.status import Status
from rabbit.topology import QUEUES
from rabbit.wiring import DECLARED
from streams.lag import OURS
from tests.console.serving import TOKEN
from tests.console.worlds import RULES, World
from tests.rabbit.desks import MemoryDesk

MAILER = Status(mailer="host/7", paused=False, away_since=None, workers=4, at_most=4, busy=2, held=0, put_off=0, ended=1234)


def reader(agent: str, group: str, topic: str, *, members: int = 1, read: int = 100, come: int = 100, lag: int = 0) -> Reader:
    """Eight partitions; in a second so many records were read, and so many came, in each of them."""
    standings = []
    for number in range(8):
        before, after = Look(0.0, 1000 - read, 0, 1000 + lag - come), Look(1.0, 1000, 0, 1000 + lag)
        standings.append(Standing(number, after, pace(before, after), "worker 10.0.0.7" if members else None))
    return Reader(agent, group, topic, "Stable" if members else "Empty", members, standings)


READERS = [
    reader("sequencer", APP, EVENTS),
    reader("archiver", APP, LOG),
    reader("desk", APP, DEAD, read=0, come=0),
    reader("notifier", NOTIFY_APP, LOG),
]
WELL = Snapshot(
    now=1_700_000_000.0,
    readers=READERS,
    topics=[
        *(Topic(name, 8, True, {number: Bounds(0, 1_000) for number in range(8)}) for name in OURS),
        Topic("orders", 3, False),
    ],
    wiring=DECLARED,
    queues={**{queue.name: Depth(0, 1) for queue in QUEUES}, BULK_QUEUE: Depth(1_234, 1)},
    mailers=[MAILER],
    books=Books({"sent": 1_234_567, "dead": 0, "waiting": 3, "unknown": 0}, [], None),
    shares=[Share("http://a:6066", (0, 1, 2, 3), here=True), Share("http://b:6066", (4, 6, 7, 5), here=False)],
    waiting=12,
)


def with_reader(changed: Reader) -> Snapshot:
    """All is well but for this one."""
    return replace(WELL, readers=[changed if one.agent == changed.agent else one for one in READERS])


class Changing:
    """What the overview sees: a snapshot, until it is told another."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._changed = snapshot, asyncio.Event()

    def tell(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._changed.set()
        self._changed = asyncio.Event()

    async def look(self) -> Snapshot:
        return self._snapshot

    async def change(self, within: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), within)


@asynccontextmanager
async def showing(
    world: World | None = None,
    desk: MemoryDesk | None = None,
    snapshot: Snapshot | Changing = WELL,
    token: str | None = TOKEN,
    trace_url: str | None = None,
) -> AsyncIterator[Any]:
    """A client of all pages."""
    world, desk = world or World(), desk or MemoryDesk()
    seen = Changing(snapshot) if isinstance(snapshot, Snapshot) else snapshot
    access = Access(token)
    runs, decider = Runs(), Deciding(world.ledger, world.log, world.ledger, lambda: RULES)
    parts = (desk.redelivery, seen.look, seen.change, runs, decider, trace_url)
    pages = Pages(world.timelines(), world.ledger, desk.letters, *parts)
    application = create_application([*page_routes(pages, access), *session_routes(access)], access, problem_page)
    async with TestClient(TestServer(application), headers={"Accept": "text/html"}) as client:
        yield client
        await runs.close()


class Read(HTMLParser):
    """The tags with their attributes, and the text, of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def page(client: Any, path: str, status: int = 200, headers: dict[str, str] | None = None) -> Read:
    response = await client.get(path, headers=headers or {})
    text = await response.text()
    assert response.status == status, text
    assert response.content_type == "text/html"
    return Read(text)
