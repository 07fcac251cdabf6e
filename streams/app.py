"""The composition root of the Faust side: what is connected to what."""

import logging
import os
import socket
from contextlib import AsyncExitStack
from functools import partial
from threading import Timer
from typing import Any, Final, cast

import faust
from faust.web.base import Web as FaustWeb

from activity import names
from activity.errors import ChoparError, SettingError
from activity.hand import core_of, hand_for
from activity.settings import PREFIX, Settings
from agents.archiver import archiver
from agents.desk import desk
from agents.notifier import notifier
from agents.sequencer import sequencer
from rabbit.tracing import Tracing
from streams.chunks import Chunks, each_chunk
from streams.collector import relax_collector
from streams.console import ConsolePart
from streams.consumer import LARGEST_CHUNK
from streams.exits import SOFTWARE, give_up, leave
from streams.history import check_history
from streams.membership import web_url
from streams.metrics import Metrics
from streams.outage import KafkaOutage
from streams.outputs import Outputs
from streams.parts import JobsPart, Opener, StatesPart, StorePart, read_rules
from streams.producer import Producer
from streams.seats import Seat, give_up_seats
from streams.ticks import Ticks
from streams.topics import LARGEST_RECORD, ensure_topics, kafka_address, partition_of
from streams.tracing import traced
from streams.watchdog import RecoveryWatch
from streams.web import Web
from tables.users import Users

log = logging.getLogger(__name__)

STOP_DEADLINE: Final = 15.0
"""Seconds that SIGTERM may take; what was in hand by then is read again by the next owner."""
SESSION_TIMEOUT: Final = 10.0
"""Seconds after which the group gives a silent worker's partitions to another."""


OFF: Final = Tracing()


class App(faust.App):
    """A Faust app that checks its surroundings before it starts. Nothing connects before that."""

    def __init__(self, *args: Any, settings: Settings, open_parts: Opener, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.boot_strategy.enable_web = False  # `faust worker` overrides the setting web_enabled
        self._console: ConsolePart | None = None
        self._settings, self._open_parts = settings, open_parts
        self._parts = AsyncExitStack()
        self.outage = KafkaOutage()

    def serve(self, console: ConsolePart) -> None:
        """Have the worker's web server show `console`. Without a call it has none."""
        self.boot_strategy.enable_web = True
        self._console = console

    def _new_web(self) -> FaustWeb:
        return super()._new_web() if self._console is None else Web(self, self._console.application)

    async def on_first_start(self) -> None:
        """Check and create what the worker stands on. What a person must mend ends the process with one clear line."""
        self.outage.listen()
        try:
            make_folder(self._settings)
            if self.boot_strategy.enable_web:
                check_port(self._settings)
            created = await ensure_topics(self._settings)
            await self._take_seat()
            await self._open_parts(self._parts)
        except ChoparError as error:
            give_up(error)
        self.outage.ended()
        if created:
            log.info("created topics: %s", ", ".join(created))
        await super().on_first_start()

    async def _take_seat(self) -> None:
        seat = Seat(self._settings.data_dir / self.conf.id / "seats")
        self._parts.callback(seat.leave)

        async def note(*_: Any, **__: Any) -> None:
            seat.note(cast(Any, self.consumer)._thread.member_id)

        self.on_partitions_assigned.connect(note, weak=False)
        if killed := seat.take_from_dead():
            await give_up_seats(kafka_address(self._settings), self.conf.id, killed)

    async def on_start(self) -> None:
        await super().on_start()
        self.add_future(self._watch_recovery())

    async def stop(self) -> None:
        """Stop in order, or, when Kafka is away and leaving the group would wait for it, at the deadline."""
        code = SOFTWARE if self.crashed else 0
        deadline = Timer(STOP_DEADLINE, leave, (code, f"stopping took longer than {STOP_DEADLINE:.0f} s; is Kafka away?"))
        deadline.daemon = True
        deadline.start()
        try:
            await super().stop()
        finally:
            deadline.cancel()

    async def on_stop(self) -> None:
        await super().on_stop()
        await self._parts.aclose()

    async def _watch_recovery(self) -> None:
        watch = RecoveryWatch(self)
        while not self.should_stop:
            await self.sleep(1.0)
            await watch.look()


def create_app(settings: Settings, tracing: Tracing = OFF) -> App:
    """The app `chopar`: sequencer, archiver and desk, over the table `users`. Raises SettingError when a package is missing."""
    store, states = StorePart(settings), StatesPart(settings)

    async def open_parts(stack: AsyncExitStack) -> None:
        for part in (store, states, console):
            await part.open(stack)

    app = _new_app(names.APP, settings, open_parts)
    users, metrics = _add_sequencer(app, settings, states, tracing)
    archive, take_in = traced(archiver, tracing, names.APP), traced(desk, tracing, names.APP)
    app.agent(_topic(app, names.LOG), name="archiver")(each_chunk(archive, store=store, outputs=Outputs(app)))
    app.agent(_topic(app, names.DEAD), name="desk")(each_chunk(take_in, letters=store))
    console = ConsolePart(app, settings, store, users, metrics, tracing)
    app.serve(console)
    return app


def create_sequencer_app(settings: Settings, tracing: Tracing = OFF) -> App:
    """The app `chopar` without its archiver and its pages, for measuring."""
    states = StatesPart(settings)
    app = _new_app(names.APP, settings, states.open)
    _add_sequencer(app, settings, states, tracing)
    return app


def _add_sequencer(app: App, settings: Settings, states: StatesPart, tracing: Tracing) -> tuple[Users, Metrics]:
    table = app.Table(names.USERS, partitions=settings.partitions, key_type=bytes, value_type=bytes, shelf=states.shelf)
    users = cast(Users, table)
    ticks = Ticks(users, settings)
    where = partial(partition_of, partitions=settings.partitions)
    hand = hand_for(settings.core)
    metrics = Metrics(users, core_of(hand))
    log.info("events are decided by the %s core", core_of(hand))
    work = traced(sequencer, tracing, names.APP)
    sequence = each_chunk(work, users=users, outputs=Outputs(app), partition_of=where, count=metrics.count, hand=hand)
    app.agent(_topic(app, names.EVENTS), name="sequencer")(sequence)

    async def send_ticks() -> None:
        await ticks.send(cast(Producer, app.producer))

    async def check_states(*_: Any, **__: Any) -> None:
        try:
            await check_history(app.consumer, users)
        except ChoparError as error:
            give_up(error)

    app.on_rebalance_complete.connect(check_states, weak=False)
    app.timer(interval=min(1.0, settings.gap_timeout / 2))(send_ticks)
    return users, metrics


def create_notify_app(settings: Settings, tracing: Tracing = OFF) -> App:
    """The app `chopar-notify`: the notifier. An app of its own, so that an outage of RabbitMQ does not hold the log.

    Raises SettingError when a rule or a template is wrong.
    """
    rules, jobs = read_rules(settings), JobsPart(settings)
    app = _new_app(names.NOTIFY_APP, settings, jobs.open)
    notify = traced(notifier, tracing, names.NOTIFY_APP)
    app.agent(_topic(app, names.LOG), name="notifier")(each_chunk(notify, rules=rules, jobs=jobs, outputs=Outputs(app)))
    return app


def _new_app(app_id: str, settings: Settings, open_parts: Opener) -> App:
    app = App(
        app_id,
        settings=settings,
        open_parts=open_parts,
        # Without a URL the worker does not start, but `faust agents` and the like need none.
        broker=f"chopar://{kafka_address(settings) if settings.kafka_url else 'unset'}",
        Table=Users,
        store="memory://",
        autodiscover=False,
        origin="streams",
        datadir=str(settings.data_dir / app_id),
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=settings.partitions,
        topic_disable_leader=True,
        table_standby_replicas=0,  # one would read every state of the others; a recovery takes little longer without
        broker_client_id=f"{app_id}-{socket.gethostname()}-{os.getpid()}",  # how `chopar lag` names a partition's owner
        broker_commit_interval=0.5,
        broker_session_timeout=SESSION_TIMEOUT,
        broker_heartbeat_interval=1.0,
        broker_max_poll_records=LARGEST_CHUNK,
        consumer_max_fetch_size=4 * 1024 * 1024,
        producer_max_batch_size=1024 * 1024,
        producer_max_request_size=LARGEST_RECORD,
        producer_request_timeout=20.0,
        stream_wait_empty=True,
        canonical_url=web_url(settings),
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_port=settings.web_port,
    )
    app.on_worker_init.connect(relax_collector, weak=False)
    return app


def _topic(app: faust.App, name: str) -> Any:
    return app.topic(name, schema=Chunks(), allow_empty=True)


def make_folder(settings: Settings) -> None:
    """Raises SettingError when the data folder can't be made."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"{PREFIX}DATA_DIR", f"can't make the folder {settings.data_dir} ({error.strerror})") from None


def check_port(settings: Settings) -> None:
    """Raises SettingError when the web server's port is taken."""
    family = socket.AF_INET6 if ":" in settings.web_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web_host, settings.web_port))
        except OSError as error:
            where = f"{settings.web_host}:{settings.web_port}"
            raise SettingError(f"{PREFIX}WEB_PORT", f"can't listen on {where} ({error.strerror}); set another one") from None
