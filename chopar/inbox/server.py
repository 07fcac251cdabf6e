"""A mail server that keeps what it gets, and refuses what an address asks it to.

`retry.…@`: each message is refused with 451 the first time it comes. `refused.…@`: every message is refused with 550.
"""

import asyncio
from email.parser import BytesHeaderParser
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from chopar.inbox.folder import Folder, Refusal, message_id

RETRY: Final = "retry."
REFUSED: Final = "refused."


class Inbox:
    """An aiosmtpd handler over a folder; its memory of what it refused is the folder's."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._refused_once = {refusal.message_id for refusal in folder.refusals() if refusal.kind == "later"}

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """The answer to RCPT TO."""
        if address.startswith(REFUSED):
            self._folder.refuse(Refusal("never", address))
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """The answer to the message."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        identity = message_id(BytesHeaderParser().parsebytes(content)["Message-ID"])
        to = envelope.rcpt_tos[0]
        if to.startswith(RETRY) and identity not in self._refused_once:
            self._refused_once.add(identity)
            self._folder.refuse(Refusal("later", to, identity))
            return "451 4.3.2 Not now, try again"
        for address in envelope.rcpt_tos:
            self._folder.keep(address, content)
        return "250 2.0.0 Kept"


async def serve(folder: Folder, host: str, port: int) -> asyncio.Server:
    """A server that listens. Raises OSError if the port is taken."""
    inbox = Inbox(folder)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(inbox, hostname="inbox.localhost", ident="chopar inbox", loop=loop), host, port)
