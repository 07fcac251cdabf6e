"""`chopar lag` and `replay` on a real installation, over a Kafka of its own, since their groups have fixed names."""

import asyncio
import sqlite3
import sys
import time
import uuid
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from activity.errors import InUse, Mismatch
from activity.names import APP, LOG, NOTIFY_APP
from activity.pace import Reader
from activity.replay import Moment, Offset
from activity.settings import Settings
from brokers.kafka import Kafka
from brokers.node import Node
from chopar.passes import Result, Wish, run
from chopar.reset import reset
from streams.groups import open_groups
from streams.lag import looks
from tests.chopar.running import chopar, environment
from tests.installation import Installation, read_log, send
from tests.processes import ROOT
from tests.rabbit.inbox import Inbox

USERS = 6
WELCOME = """
[[rule]]
name = "welcome"
on = "user.signed_up"
to = "{{ data.email }}"
class = "transactional"
template = "welcome"
"""
AGAIN = """
[[rule]]
name = "again"
on = "user.password_reset_requested"
to = "{{ data.email }}"
class = "bulk"
unsubscribe = "none"
template = "password_reset"
"""
ALL = Wish(Offset(0), None, None, store=True, mail=True, send_unknown=False, limit=100)


class Shop:
    """An installation, what is sent to it, and what its users got."""

    def __init__(self, folder: Path, kafka_url: str, rabbit_url: str, inbox: Inbox) -> None:
        self.run = f"r{uuid.uuid4().hex[:8]}"
        self.users = [f"{self.run}-{n}" for n in range(USERS)]
        self.rules = folder / "rules.toml"
        self.rules.write_text(WELCOME)
        self.ours = Installation(folder, kafka_url, rabbit_url, inbox.url, CHOPAR_RULES=str(self.rules))
        self.settings = {
            "kafka_url": kafka_url,
            "rabbit_url": rabbit_url,
            "store_url": f"sqlite:///{self.ours.store}",
            "rules": str(self.rules),
            "templates": str(ROOT / "templates"),
            "data_dir": str(folder),
        }
        self._kafka_url, self._inbox = kafka_url, inbox

    async def send(self, first: int, *kinds: str) -> None:
        """One event of each kind for each user, with sequences from `first` on; waits until they are in the store."""
        events = [self._event(user, first + n, kind) for n, kind in enumerate(kinds) for user in self.users]
        await send(self._kafka_url, events, rate=10_000)
        wanted = USERS * (first + len(kinds) - 1)
        await self.ours.until(lambda: self.ours.stored(f"{self.run}-") == wanted, "all events stored")
        await self.caught_up()

    def _event(self, user: str, n: int, kind: str) -> dict[str, Any]:
        data = {"email": f"{user}@shop.example", "name": "Ann", "link": "https://shop.example/r"}
        return {
            "specversion": "1.0", "id": f"{user}-{n}", "source": "/web", "type": kind, "subject": user, "sequence": str(n),
            "data": data,
        }  # fmt: skip

    async def caught_up(self) -> None:
        """Waits until everything is read and committed."""
        async with asyncio.timeout(90):
            while any(reader.all.lag for reader in await self.lag()):
                pass

    async def lag(self) -> list[Reader]:
        """What `chopar lag` shows."""
        async with aclosing(looks(Settings(kafka_url=self.settings["kafka_url"]), 0.3)) as readers:
            return await anext(readers)

    async def replay(self, *, dry: bool = False, **changes: Any) -> Result:
        """What `chopar replay --from 0` does, with `changes` of what is wished for."""
        return await run(msgspec.structs.replace(ALL, **changes), dry=dry)

    async def call(self, *arguments: str) -> tuple[int, str, str]:
        """A command as a process: its exit code, and what it wrote to stdout and stderr."""
        result = await asyncio.to_thread(chopar, *arguments, settings=self.settings)
        return result.returncode, result.stdout, result.stderr

    async def sent(self, number: int) -> None:
        """Waits until so many jobs are sent, and looks whether each mail came once."""
        await self.ours.until(lambda: self.states()["sent"] == number, f"{number} mails sent")
        assert self.mails() == number
        assert not [id for id, count in self._inbox.ids.items() if count > 1], "no mail came twice"

    def mails(self) -> int:
        """How many mails came."""
        return sum(self.run in str(mail["To"]) for mail in self._inbox.mails)

    def states(self) -> Counter[str]:
        """How many jobs are in each state."""
        rows = self.ours.rows("select state, count(*) from job where user_id like ? group by state", f"{self.run}-%")
        return Counter(dict(rows))

    def log(self) -> list[Any]:
        """The store's log."""
        return self.ours.rows("select user_id, position, event_id, verdict, event from activity order by user_id, position")

    async def on_kafka(self) -> dict[str, list[tuple[int, str]]]:
        """`activity.log`."""
        return await read_log(self._kafka_url, set(self.users))


def done(result: Result) -> tuple[int, int, int]:
    """Rows restored, jobs published, jobs held."""
    return result.restored, result.published, result.held


@pytest.mark.timeout(600)
async def test_history_is_run_again_and_nobody_gets_a_mail_twice(
    private_kafka: Node[Kafka], rabbit_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Inbox() as inbox:
        shop = Shop(tmp_path, private_kafka.url, rabbit_url, inbox)
        for name, value in shop.settings.items():
            monkeypatch.setenv(f"CHOPAR_{name.upper()}", value)
        ours = shop.ours
        with pytest.raises(Mismatch, match=r"topic activity\.events is missing; `chopar topics` creates it"):
            await shop.lag()
        async with ours.running(*ours.all):
            await shop.send(1, "user.signed_up", "user.password_reset_requested", "page.viewed")
            await shop.sent(USERS)
            await nothing_is_missing(shop)
            await a_job_waits_on_rabbitmq(shop)
            await a_rule_is_new(shop)
            await a_group_that_works_is_not_moved(shop)
            assert ours.notifier.stop() == 0
            assert ours.worker.stop() == 0
            await groups_read_again(shop)
            await the_store_has_lost_something(shop)


async def nothing_is_missing(shop: Shop) -> None:
    readers = await shop.lag()
    assert [(reader.agent, reader.members, reader.all.lag) for reader in readers] == [
        ("sequencer", 1, 0), ("archiver", 1, 0), ("desk", 1, 0), ("notifier", 1, 0),
    ]  # fmt: skip
    for reader in readers:
        owners = {standing.owner for standing in reader.partitions}
        assert (len(reader.partitions), len(owners)) == (8, 1)
        assert str(owners.pop()).startswith(f"{reader.group}-"), "the process can be found by its client id"
    await watched(shop)
    result = await shop.replay()
    assert (done(result), result.survey.records, result.survey.missing) == ((0, 0, 0), 3 * USERS, 0)
    assert result.survey.rules() == {"welcome": {"known": USERS}}
    await shop.sent(USERS)


async def watched(shop: Shop) -> None:
    """`chopar lag --watch` looks again and again, until it is stopped."""
    command = (sys.executable, "-m", "chopar", "lag", "--watch", "--json", "--interval", "0.5")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment(**shop.settings), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        for _ in range(2):
            document = msgspec.json.decode(await process.stdout.readline())
            assert [reader["agent"] for reader in document["readers"]] == ["sequencer", "archiver", "desk", "notifier"]
    finally:
        process.kill()
        await process.communicate()


async def a_job_waits_on_rabbitmq(shop: Shop) -> None:
    """The ledger has not heard of it: it is published again, and recognised when it is taken."""
    assert shop.ours.mailer.stop() == 0
    await shop.send(4, "user.signed_up")
    result = await shop.replay(store=False)
    assert done(result) == (0, USERS, 0)
    assert result.survey.rules() == {"welcome": {"known": USERS, "publish": USERS}}
    shop.ours.mailer.start()
    await shop.sent(2 * USERS)
    await asyncio.sleep(1.0)  # for the second messages
    await shop.sent(2 * USERS)
    assert done(await shop.replay()) == (0, 0, 0)


async def a_rule_is_new(shop: Shop) -> None:
    """Its mails are sent for the past as well; the dry run says so and does nothing."""
    shop.rules.write_text(WELCOME + AGAIN)
    result = await shop.replay(dry=True)
    assert done(result) == (0, 0, 0)
    assert result.survey.rules()["again"] == {"publish": USERS}
    listed = [(change.what, change.user, change.rule, change.position) for change in result.survey.changes()]
    assert sorted(listed) == [("publish", user, "again", 2) for user in shop.users]
    one = (await shop.replay(dry=True, user=shop.users[0])).survey
    assert (one.records, one.fates()["publish"]) == (4, 1)
    assert (await shop.replay(dry=True, until=Offset(0))).survey.records == 0
    assert (await shop.replay(dry=True, until=Moment(1000.0))).survey.records == 0
    assert done(await shop.replay(mail=False)) == (0, 0, 0)
    code, shown, _ = await shop.call("replay", "--from", "2h", "--dry-run")
    assert code == 0
    assert f"jobs: {USERS} would be published" in shown
    await shop.sent(2 * USERS)
    assert done(await shop.replay()) == (0, USERS, 0)
    await shop.sent(3 * USERS)
    assert done(await shop.replay()) == (0, 0, 0)


async def a_group_that_works_is_not_moved(shop: Shop) -> None:
    before = await positions(shop)
    code, shown, told = await shop.call("replay", "--reset-group", APP, "--from", "0")
    assert (code, shown, told.count("\n")) == (1, "", 1)
    assert told.startswith(f"chopar: --reset-group: {APP} has 1 member ({APP}-")
    with pytest.raises(InUse, match=f"--reset-group: {NOTIFY_APP} has 1 member"):
        await reset(NOTIFY_APP, Offset(0), skip_unread=False, dry=False)
    async with open_groups(Settings(kafka_url=shop.settings["kafka_url"])) as groups:
        with pytest.raises(InUse, match="got a member just now; nothing was moved"):  # Kafka looks, too
            await groups.move(NOTIFY_APP, LOG, dict.fromkeys(range(8), 0))
    assert await positions(shop) == before


async def groups_read_again(shop: Shop) -> None:
    """All of `activity.events` through the sequencer, all of `activity.log` through the notifier: nothing changes."""
    stored, on_kafka, before = shop.log(), await shop.on_kafka(), await positions(shop)
    dry = await reset(APP, Offset(0), skip_unread=False, dry=True)
    assert sum(move.again for move in dry) >= 4 * USERS
    assert await positions(shop) == before
    for group in (APP, NOTIFY_APP):
        moves = await reset(group, Offset(0), skip_unread=False, dry=False)
        assert sum(move.again for move in moves) >= 4 * USERS
    sequencer, archiver, _, notifier = await shop.lag()
    assert (sequencer.all.lag >= 4 * USERS, archiver.all.lag, notifier.all.lag) == (True, 0, 4 * USERS)
    assert (sequencer.members, notifier.members) == (0, 0)
    code, _, told = await shop.call("replay", "--reset-group", NOTIFY_APP, "--from", "0s")
    assert code == 1
    assert "would never be read; nothing was moved. Choose an earlier point, or --skip-unread" in told
    assert (await shop.lag())[-1].all.lag == 4 * USERS
    skipped = await reset(NOTIFY_APP, Moment(time.time()), skip_unread=True, dry=False)
    assert sum(move.skipped for move in skipped) == 4 * USERS
    assert (await shop.lag())[-1].all.lag == 0
    await reset(NOTIFY_APP, Offset(0), skip_unread=False, dry=False)
    shop.ours.worker.start()
    shop.ours.notifier.start()
    await shop.caught_up()
    assert shop.log() == stored
    assert await shop.on_kafka() == on_kafka, "not one record more"
    await shop.sent(3 * USERS)


async def positions(shop: Shop) -> list[list[int | None]]:
    return [[standing.look.position for standing in reader.partitions] for reader in await shop.lag()]


async def the_store_has_lost_something(shop: Shop) -> None:
    """It is restored from an old backup: rows come back, and whatever the ledger has forgotten is not sent again."""
    stored = shop.log()
    with sqlite3.connect(shop.ours.store, timeout=30) as database:
        database.executescript("delete from attempt; delete from job; delete from activity where position > 1")
    database.close()
    survey = (await shop.replay(dry=True)).survey
    assert (survey.missing, survey.rules()) == (3 * USERS, {"again": {"hold": USERS}, "welcome": {"hold": 2 * USERS}})
    assert shop.states() == {}
    assert done(await shop.replay()) == (3 * USERS, 0, 3 * USERS)
    assert shop.log() == stored
    assert shop.states() == {"unknown": 3 * USERS}
    assert done(await shop.replay()) == (0, 0, 0), "the rows are back, and it is still known"
    await asyncio.sleep(1.0)
    assert shop.mails() == 3 * USERS
    assert done(await shop.replay(user=shop.users[0], send_unknown=True)) == (0, 3, 0)
    await shop.ours.until(lambda: shop.states() == {"unknown": 3 * USERS - 3, "sent": 3}, "a person wanted these")
    assert shop.mails() == 3 * USERS + 3
