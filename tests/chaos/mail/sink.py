"""A mail server that answers as it is told to, and notes down every mail that it saw the end of."""

import re
import time
from collections import Counter
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.chaos.mail.evidence import Handed
from tests.rabbit.inbox import Inbox

Answer = Callable[[str, int], str]
"""What is said to a recipient's n-th mail (from 1): "" takes it; "drop" cuts the connection in place of an answer,
"drop-after" does so with a mail that is kept, "drop-before" before the mail; anything else is the reply."""

_MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)


class Sink(Inbox):
    """See above. `handed` has the mails in the order in which they came. With `hold` the answer waits, not the note."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.handed: list[Handed] = []
        self._answer = answer
        self._seen: Counter[str] = Counter()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        self._seen[address] += 1
        if self._answer(address, self._seen[address]) == "drop-before":
            self.cut(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        (recipient,) = envelope.rcpt_tos
        answer = self._answer(recipient, self._seen[recipient])
        found = _MESSAGE_ID.search(envelope.original_content or b"")
        assert found is not None
        self.handed.append(Handed(found[1].decode(), time.time(), answer in ("", "drop-after"), answer))
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if answer.startswith("drop"):
            self.cut(server)
        return answer or "250 2.0.0 OK queued"
