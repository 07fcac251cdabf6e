"""The mailer: `python -m rabbit` (or `chopar mailer`) sends until SIGTERM or Ctrl-C. This is its composition root."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable

from activity.errors import ChoparError, SettingError, Unreachable
from activity.rules import parse_rules
from activity.settings import Settings
from brokers.discovery import read_settings
from rabbit import smtp, topology
from rabbit.address import Address, address
from rabbit.consequences import Terms
from rabbit.consumer import RabbitSource
from rabbit.control import Control
from rabbit.intake import DeadIntake
from rabbit.lifecycle import Lifecycle
from rabbit.link import SETTING as RABBIT_SETTING
from rabbit.loop import run_fast
from rabbit.mail import TASK, email_task
from rabbit.outage import Outage, quiet_libraries
from rabbit.pool import Limits, Pool
from rabbit.publisher import Publisher
from rabbit.scheduler import Scheduler
from rabbit.smtp import Away, Mailer
from rabbit.tasks import Tasks
from rabbit.templates import Templates, expression
from rabbit.tracing import Tracing, start_tracing
from rabbit.web import Check, Counting, Figures, serving
from store.opening import open_store

logger = logging.getLogger("rabbit")


def main() -> int:
    """0 after a stop by signal, 1 with one line on stderr if something that a person can mend keeps it from starting."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    quiet_libraries()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        run_fast(run(read_settings(), start_tracing("chopar-mailer")))
    except ChoparError as error:
        sys.stderr.write(f"chopar: {error}\n")
        return 1
    return 0


async def run(settings: Settings, tracing: Tracing) -> None:
    """Sends until a signal. Raises ChoparError if a setting, a template or a far end is not right at the start."""
    rabbit_url = needed(RABBIT_SETTING, settings.rabbit_url)
    mailer = Mailer(needed(smtp.SETTING, settings.smtp_url), settings.smtp_timeout)
    templates = checked_templates(settings)
    tasks = Tasks()
    tasks.task(TASK)(email_task(tracing.mailer(mailer, mailer.where), templates, settings.mail_from))
    await topology.declare(rabbit_url)
    await reachable(mailer, settings.mail_from)
    async with open_store(settings.store_url) as store:
        rabbit, away = Outage("RabbitMQ"), Outage("the store")
        source = RabbitSource(rabbit_url, settings.mail_workers, rabbit)
        publisher = Publisher(rabbit_url, rabbit)
        outbox = tracing.outbox(publisher)
        lifecycle = Lifecycle(rabbit_url, rabbit)
        counting = Counting(lifecycle)
        pool = Pool(
            source=source,
            outbox=outbox,
            ledger=store.ledger(settings.unknown_outcome),
            outcomes=store.jobs,
            tasks=tasks,
            listener=counting,
            probe=mailer.answers,
            terms=terms(settings),
            limits=Limits(settings.mail_workers, settings.smtp_timeout, settings.domain_limits.by_domain),
            store=away,
            traced=tracing.attempts,
        )
        scheduler = Scheduler(store.schedule, outbox, counting, away)
        control = Control(rabbit_url, pool, store.switches, rabbit)
        intake = DeadIntake(rabbit_url, store.letters, rabbit, away)
        await control.recall()
        try:
            gone: dict[str, Check] = {
                "rabbitmq": lambda: rabbit.lasting,
                "store": lambda: away.lasting,
                "smtp": lambda: pool.status().away_since is not None,
            }
            async with serving(settings.web_host, settings.mailer_port, Figures(pool.status, counting), gone):
                await until_signal(pool, source.run(), lifecycle.run(), control.run(), scheduler.run(), intake.run())
        finally:
            await asyncio.gather(*(part.close() for part in (source, publisher, lifecycle, control, intake, mailer)))


async def until_signal(pool: Pool, *parts: Awaitable[None]) -> None:
    """Runs the pool and its parts until SIGTERM or Ctrl-C, then stops it in order. Raises what it crashed of, if it did."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with pool:
        for part in parts:
            pool.add_future(part)
        logger.info("sending")
        stopped, ended = asyncio.create_task(stop.wait()), asyncio.create_task(pool.wait_until_stopped())
        await asyncio.wait((stopped, ended), return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, ended):
            task.cancel()
        logger.info("stopping: what is being sent is finished, the rest stays on its queue")
    if pool.crash_reason is not None:
        raise pool.crash_reason
    logger.info("stopped")


def terms(settings: Settings) -> Terms:
    """How often and when an attempt is repeated."""
    base, cap, kinds = settings.retry_base, settings.retry_cap, settings.retry_kinds.spans
    return Terms(settings.max_attempts, base, cap, settings.unknown_outcome, kinds)


def needed(name: str, url: str | None) -> str:
    """The URL. Raises SettingError if there is none."""
    if url is None:
        raise SettingError(name, "is not set, and no `chopar up` runs here; set it or start `chopar up`")
    return url


def checked_templates(settings: Settings) -> Templates:
    """All templates, and the rules looked through, so that one whose template is missing is found now."""
    templates = Templates(settings.templates)
    if settings.rules.is_file():
        text = settings.rules.read_text()
        parse_rules(text, str(settings.rules), expression, templates.names, settings.unsubscribe_url)
    return templates


async def reachable(mailer: Mailer, mail_from: str) -> None:
    """Raises Unreachable if the mail server does not answer or does not let us in."""
    sender = address(mail_from)
    try:
        await mailer.check(sender.mailbox if isinstance(sender, Address) else None)
    except Away as error:
        remedy = f"correct them in {smtp.SETTING}" if error.credentials else "start the mail server or correct the URL"
        raise Unreachable(smtp.SETTING, mailer.where, str(error), remedy) from None


if __name__ == "__main__":
    sys.exit(main())
