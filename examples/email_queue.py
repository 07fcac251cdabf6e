"""An email queue: jobs on RabbitMQ, four workers, retry and dead letters: make email-queue [ARGS=--outage]."""

import asyncio
import sys
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

from activity.jobs import Job
from activity.names import DEAD_QUEUE, JOB_HEADER, REASON_HEADER, REPLY_HEADER
from brokers import ports
from chopar.inbox.folder import Folder
from chopar.inbox.server import serve
from chopar.lab.rabbit import peek
from chopar.processes import HOME
from examples.running import running, say, start
from rabbit.consequences import Terms
from rabbit.lifecycle import Change
from rabbit.mail import email_task
from rabbit.smtp import Mailer
from rabbit.tasks import Tasks
from rabbit.templates import Templates

# The inbox refuses a mail to `retry.…` once (451), each one to `refused.…` (550).
PEOPLE = {"dan": "dan@nowhere@", "ben": "retry.ben@shop.example", "cleo": "refused.cleo@shop.example"}
PEOPLE |= {name: f"{name}@shop.example" for name in ("ann", "eve", "fay", "gus")}
TERMS = Terms(max_attempts=4, base=0.5, cap=2.0)
AWAY = 2.0  # seconds, with --outage, after the pool has noticed


class Log:
    """A `Listener` that tells each change, and knows when all jobs have ended."""

    def __init__(self, jobs: list[Job]) -> None:
        self.left, self.all_ended = {job.id for job in jobs}, asyncio.Event()

    def tell(self, change: Change) -> None:
        """See `rabbit.lifecycle.Listener.tell`."""
        say(f"{change.user:4}  attempt {change.attempt}  {change.state:8} {change.reason.partition(':')[0]}".rstrip())
        self.left -= {change.job} if change.state in ("sent", "dead") else set()
        if not self.left:
            self.all_ended.set()


def welcome(user: str) -> Job:
    """A welcome mail; another one each time."""
    event = {"id": "1", "source": "/shop", "type": "user.signed_up", "subject": user, "time": None, "data": {"name": user}}
    id = str(uuid.uuid4())
    return Job(id=id, rule="welcome", job_class="transactional", user=user, to=PEOPLE[user], template="welcome", event=event)


async def main(outage: bool) -> None:
    """Publishes a mail to each of PEOPLE and shows what becomes of it."""
    jobs, tasks, port = [welcome(user) for user in PEOPLE], Tasks(), ports.choose(1)[0]
    log, mailer = Log(jobs), Mailer(f"smtp://{ports.HOST}:{port}", timeout=10.0)
    tasks.task("email")(email_task(mailer, Templates(HOME / "templates"), "Shop <mail@shop.example>"))
    with tempfile.TemporaryDirectory() as folder:
        inbox = Folder(Path(folder))
        async with running(tasks, TERMS, log, mailer.answers) as parts, AsyncExitStack() as stack:
            if not outage:
                await stack.enter_async_context(await serve(inbox, ports.HOST, port))
            await parts.publisher.publish(jobs)
            if outage:
                while parts.pool.status().away_since is None:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.1)
                await asyncio.sleep(AWAY)
                await stack.enter_async_context(await serve(inbox, ports.HOST, port))
            await log.all_ended.wait()
            await parts.pool.settled()
            await mailer.close()
            for letter in await peek(parts.url, DEAD_QUEUE):
                if letter.headers[JOB_HEADER] in {job.id for job in jobs}:
                    say("{}: {}, {}".format(DEAD_QUEUE, *(letter.headers[name] for name in (REASON_HEADER, REPLY_HEADER))))
        say(f"inbox: {', '.join(sorted(mail.to for mail in inbox.mails()))}")


if __name__ == "__main__":
    start(main("--outage" in sys.argv[1:]))
