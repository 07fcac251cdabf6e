"""The three mini-projects on real brokers: what each prints is what its page promises."""

import asyncio
import re
import subprocess
from itertools import pairwise

from activity.names import TRANSACTIONAL_QUEUE
from activity.retry import TIERS
from chopar.lab.rabbit import deliveries
from tests.learn.conftest import Runner
from tests.processes import ROOT
from tests.rabbit.broker import opened


def of(lines: list[str], user: str) -> list[str]:
    """What the email queue says of one user."""
    return [" ".join(line.split()[1:]) for line in lines if line.split()[0] == user]


def test_the_email_queue_sends_retries_and_buries(runner: Runner) -> None:
    lines = runner("make email-queue").stdout.splitlines()
    assert of(lines, "ann") == ["attempt 1 sending", "attempt 1 sent"]
    later = "attempt 1 waiting 451 4.3.2 Not now, try again"
    assert of(lines, "ben") == ["attempt 1 sending", later, "attempt 2 sending", "attempt 2 sent"]
    assert of(lines, "cleo") == ["attempt 1 dead refused"]
    assert of(lines, "dan") == ["attempt 1 dead bad-address"]
    assert sorted(line.split()[1] for line in lines if line.startswith("email.dead:")) == ["bad-address,", "refused,"]
    assert lines[-1].startswith("inbox: ann@shop.example, eve@")
    assert lines[-1].count("@") == 5


def test_the_email_queue_does_not_compete_with_a_mailer(runner: Runner, rabbit_url: str) -> None:
    async def beside_a_mailer() -> "subprocess.CompletedProcess[str]":
        async with opened(rabbit_url) as channel:
            await deliveries(await channel.get_queue(TRANSACTIONAL_QUEUE))
            return await asyncio.to_thread(runner, "make email-queue ARGS=")

    result = asyncio.run(beside_a_mailer())
    assert result.returncode != 0
    assert "a mailer takes from email.transactional; stop it" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_outage_of_the_mail_server_spends_no_attempt(runner: Runner) -> None:
    lines = runner("make email-queue ARGS=--outage").stdout.splitlines()
    assert sum("mail server is away" in line or "mail server is back" in line for line in lines) == 2
    for user in ("ann", "eve", "fay", "gus"):
        assert of(lines, user)[-2:] == ["attempt 1 sending", "attempt 1 sent"]
    assert sum(line.endswith("attempt 1  waiting  mail server away") for line in lines) >= 3


def test_the_activity_log_is_in_order_and_has_no_duplicate(runner: Runner) -> None:
    lines = runner("make activity-log").stdout.splitlines()
    assert len([line for line in lines if line.startswith("sent ")]) == 6
    stored = [line.split()[1:4] for line in lines if line.startswith("stored ")]
    for user, types in (("ann", "user.signed_up page.viewed order.placed"), ("ben", "user.signed_up user.left")):
        of_user = [(number, type.rstrip(",")) for name, number, type in stored if name.startswith(user)]
        assert of_user == [(f"#{at}", type) for at, type in enumerate(types.split(), 1)]
        assert any(line.startswith(f"the log of {user}-") and line.endswith(types.replace(" ", ", ")) for line in lines)


def test_the_worker_pool_retries_with_backoff_and_does_the_others_meanwhile(runner: Runner) -> None:
    lines = runner("make worker-pool").stdout.splitlines()
    done = [line for line in lines if re.match(r"\d of 8: ", line)]
    assert [line.split(":")[0] for line in done] == [f"{n} of 8" for n in range(1, 9)]
    assert done[-1] == "8 of 8: bridge (broken file): dead, spent; attempts: 3"
    assert sum(line.endswith("kB; attempts: 1") for line in done) == 6
    assert sum(line.endswith("kB; attempts: 2") for line in done) == 1
    times = [float(line.split()[-2]) for line in lines if line.startswith("bridge (broken file): attempt")]
    assert len(times) == 3
    assert all(later - earlier >= TIERS[0] for earlier, later in pairwise(times))
    assert re.fullmatch("at most [2-4] at once", lines[-1])


def test_each_is_short() -> None:
    for name in ("email_queue", "activity_log", "worker_pool"):
        assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < 80
