"""A desk in memory, and what replays from it: the shop's templates, two rules, and a Kafka that keeps what it is sent."""

from collections.abc import Awaitable, Callable

from activity.errors import Unreachable
from activity.redelivery import Again
from activity.rules import parse_rules
from rabbit.mail import Writer
from rabbit.redelivery import Parts, Redelivery
from rabbit.templates import Templates, expression
from tests.processes import ROOT
from tests.store.desk import MemoryLetters
from tests.store.fakes import MemoryLedger, MemoryLog

RULES = """
[[rule]]
name = "welcome"
on = "user.signed_up"
to = "{{ data.email }}"
class = "transactional"
template = "welcome"

[[rule]]
name = "also"
on = "user.*"
to = "all@shop.example"
class = "transactional"
template = "welcome"
"""


class MemoryDesk:
    """`away`: Kafka does not answer. `sent`: what it was sent."""

    def __init__(self) -> None:
        self.ledger, self.log = MemoryLedger("resend"), MemoryLog()
        self.letters = MemoryLetters(self.ledger)
        self.sent: list[Again] = []
        self.away = False
        templates = Templates(ROOT / "templates")
        self.rules = parse_rules(RULES, "rules.toml", expression, templates.names)
        self.writer = Writer(templates, "shop@shop.example")
        self.now = 100.0
        parts = Parts(self.letters, self.log, self.ledger, lambda: self.rules, lambda: self.writer, self._sender())
        self.redelivery = Redelivery(parts, now=lambda: self.now)

    def _sender(self) -> Callable[[Again], Awaitable[None]]:
        async def send(again: Again) -> None:
            if self.away:
                raise Unreachable("CHOPAR_KAFKA_URL", "kafka:1", "away", "start it")
            self.sent.append(again)

        return send
