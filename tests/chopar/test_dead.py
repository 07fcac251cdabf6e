"""The dead-letter desk on a real installation: what was refused or could not be sent is repaired, and sent once."""

import asyncio
import json
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from brokers.kafka import Kafka
from brokers.node import Node
from tests.chopar.running import chopar, environment
from tests.installation import Installation, read_log, send
from tests.processes import ROOT
from tests.rabbit import broker
from tests.rabbit.inbox import Inbox


class Shop:
    """An installation, and the desk's commands over it."""

    def __init__(self, folder: Path, kafka_url: str, rabbit_url: str, inbox: Inbox) -> None:
        self.run = f"d{uuid.uuid4().hex[:8]}"
        self.ours = Installation(folder, kafka_url, rabbit_url, inbox.url)
        self.kafka_url, self.inbox = kafka_url, inbox
        self.settings = {
            "kafka_url": kafka_url,
            "rabbit_url": rabbit_url,
            "store_url": f"sqlite:///{self.ours.store}",
            "rules": str(ROOT / "rules.toml"),
            "templates": str(ROOT / "templates"),
            "data_dir": str(folder),
        }

    async def send(self, user: str, **changes: Any) -> None:
        """An event of a user who signs up, as a careless sender writes it."""
        event = {
            "specversion": "1.0",
            "id": f"{user}-1",
            "source": "/web",
            "type": "user.signed_up",
            "subject": f"{self.run}-{user}",
            "data": {"email": f"{self.run}-{user}@shop.example", "name": "Ann"},
        }
        await send(self.kafka_url, [{name: value for name, value in (event | changes).items() if value is not None}], 1000)

    async def letter(self, user: str, reason: str) -> str:
        """The id of the user's letter with this reason, once there is one."""
        query = "select id from dead_letter where user_id = ? and reason = ?"
        return await self._newest(1, query, f"{self.run}-{user}", reason)

    async def letter_of(self, job: str, number: int) -> str:
        """The id of the job's newest letter, once there are so many."""
        return await self._newest(number, "select id from dead_letter where job = ? order by attempt desc", job)

    async def _newest(self, number: int, query: str, *values: str) -> str:
        await self.ours.until(lambda: len(self.ours.rows(query, *values)) == number, f"{number} letters of {values}")
        return str(self.ours.rows(query, *values)[0][0])

    async def call(self, *arguments: str, payload: dict[str, Any] | None = None, failpoint: str = "") -> tuple[int, str]:
        """A command of `chopar dead`: how it ended, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chopar", "dead", *arguments),
            cwd=ROOT,
            env={**environment(**self.settings), "FAILPOINT": failpoint},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate(b"" if payload is None else json.dumps(payload).encode())
        return process.returncode or 0, told.decode()

    async def dead(self, *arguments: str, payload: dict[str, Any] | None = None, code: int = 0) -> str:
        """What it printed; it has to end with `code`."""
        found, told = await self.call(*arguments, payload=payload)
        assert found == code, (arguments, told)
        return told

    async def over_http(self, method: str, path: str, **body: str) -> dict[str, Any]:
        """What the worker answers."""
        url = f"http://127.0.0.1:{self.ours.worker.env['CHOPAR_WEB_PORT']}/api/dead-letters/{path}"
        async with ClientSession() as session, session.request(method, url, json=body if method == "post" else None) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def original(self, id: str) -> dict[str, Any]:
        """What stands in a letter."""
        return dict(json.loads((await self.over_http("get", id))["payload"]["text"]))

    def mails(self, address: str) -> int:
        """How many mails to this address came."""
        return sum(address in str(mail["To"]) for mail in self.inbox.mails)

    async def mail(self, address: str) -> None:
        """Waits for the first one."""
        await self.ours.until(lambda: self.mails(address) > 0, f"a mail to {address}")


@pytest.mark.timeout(600)
async def test_what_is_dead_is_repaired_and_sent_once(private_kafka: Node[Kafka], rabbit_url: str, tmp_path: Path) -> None:
    await broker.empty(rabbit_url)
    async with Inbox() as inbox:
        shop = Shop(tmp_path, private_kafka.url, rabbit_url, inbox)
        async with shop.ours.running(*shop.ours.all):
            await a_refused_event_is_edited_and_logged_once_though_the_replay_is_killed(shop)
            await a_bad_address_is_corrected(shop)
            await a_rule_gets_what_it_lacked(shop)
            await what_is_discarded_is_not_replayed(shop)
            listed = json.loads(await shop.dead("list", "--json"))
            counts = {group["reason"]: (group["open"], group["replayed"], group["discarded"]) for group in listed["groups"]}
            assert counts == {"missing-attribute": (1, 1, 0), "bad-address": (0, 1, 0), "refused": (0, 1, 0), "rule": (0, 1, 0)}
            audit = await asyncio.to_thread(chopar, "audit", "--json", settings=shop.settings)
            assert audit.returncode == 0, audit.stdout


async def a_refused_event_is_edited_and_logged_once_though_the_replay_is_killed(shop: Shop) -> None:
    await shop.send("ann", type=None)
    id = await shop.letter("ann", "missing-attribute")
    assert "was not replayed: missing-attribute" in await shop.dead("replay", id, code=1)
    mended = await shop.original(id) | {"type": "user.signed_up"}
    told = await shop.dead("edit", id, "--payload", "-", "--by", "bob", payload=mended)
    assert '+  "type": "user.signed_up"' in told.replace(",", "")
    assert "would be accepted" in told
    assert await shop.call("replay", id, failpoint="replay.sent:1") == (-signal.SIGKILL, "")
    assert (await shop.over_http("get", id))["state"] == "open", "sent, and not marked"
    assert (await shop.over_http("post", f"{id}/replay", by="cy", note="mended"))["problem"] is None
    user = f"{shop.run}-ann"
    await shop.mail(f"{user}@shop.example")
    assert await read_log(shop.kafka_url, {user}) == {user: [(1, "ann-1")]}
    shown = await shop.over_http("get", id)
    assert [(one["what"], one["by"], one["note"]) for one in shown["actions"]] == [
        ("edited", "bob", ""),
        ("replayed", "cy", "mended"),
    ]
    assert "type" not in json.loads(shown["payload"]["text"])
    assert "mended" in await shop.dead("show", id)
    assert shop.mails(user) == 1


async def a_bad_address_is_corrected(shop: Shop) -> None:
    await shop.send("bob", data={"email": "bob@@shop", "name": "Bob"})
    id = await shop.letter("bob", "bad-address")
    job = await shop.original(id)
    shop.inbox.replies[f"{shop.run}-bob@shop.example"] = ["550 no such user"]
    mended = json.dumps(job | {"to": f"{shop.run}-bob@shop.example"})
    await shop.over_http("post", f"{id}/edit", payload=mended)
    came = await asyncio.gather(shop.call("replay", id), shop.call("replay", id))
    assert sorted(code for code, _ in came) == [0, 1], came
    again = await shop.letter_of(job["id"], 2)
    assert again != id, "the server refused it: another attempt, so a letter of its own"
    (told,) = (await shop.over_http("post", f"{again}/replay"))["notes"]
    assert told.endswith("goes to email.transactional.welcome")
    await shop.mail(f"{shop.run}-bob@shop.example")
    row = "select state, attempt, recipient from job where id = ?"
    wanted = [("sent", 3, f"{shop.run}-bob@shop.example")]
    await shop.ours.until(lambda: shop.ours.rows(row, job["id"]) == wanted, "sent at the third attempt")
    assert shop.mails(f"{shop.run}-bob") == 1


async def a_rule_gets_what_it_lacked(shop: Shop) -> None:
    await shop.send("cy", data={"name": "Cy"})
    id = await shop.letter("cy", "rule")
    assert "rule welcome" in await shop.dead("replay", id, "--dry-run", code=1)
    event = await shop.original(id)
    event["data"]["email"] = f"{shop.run}-cy@shop.example"
    await shop.over_http("post", f"{id}/edit", payload=json.dumps(event))
    assert (await shop.over_http("post", f"{id}/replay"))["problem"] is None
    await shop.mail(f"{shop.run}-cy@shop.example")
    assert shop.ours.stored(f"{shop.run}-cy") == 1, "the event itself stood in the log all the time"
    assert shop.mails(f"{shop.run}-cy") == 1


async def what_is_discarded_is_not_replayed(shop: Shop) -> None:
    await shop.send("di", type=None)
    id = await shop.letter("di", "missing-attribute")
    assert (await shop.over_http("post", f"{id}/discard", by="ann", note="a test"))["state"] == "discarded"
    assert "replayed 0" in await shop.dead("replay", "--all")
    assert "open again" in await shop.dead("undo", id, "--by", "ann")
    assert id in await shop.dead("list", "--user", f"{shop.run}-di", "--since", "1h", "--text", f"{shop.run}-di@shop.example")
