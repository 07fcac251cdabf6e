"""Delivery by SMTP: connections to one mail server, kept for the next message, and what becomes of each message."""

import asyncio
from typing import Final

import aiosmtplib

from activity.outcomes import Dead, Outcome, Retry
from activity.replies import CLOSING, is_crowded, judge, shown, wants_login
from activity.smtp_url import MailServer, parse_smtp_url
from rabbit.conversation import FAILED, Beyond, Envelope, Refused, begin, hand_over
from rabbit.tasks import Permission

SETTING: Final = "CHOPAR_SMTP_URL"
_CLEAR: Final = "it offers no STARTTLS, and no password is sent in clear; smtps://…, or ?starttls=never if it has to be"


class Away(Exception):
    """The mail server can't be reached or does not let us in; nothing was said about any message."""

    def __init__(self, problem: str, *, credentials: bool = False, crowded: bool = False) -> None:
        super().__init__(problem)
        self.credentials = credentials
        self.crowded = crowded


class Mailer:
    """Hands messages to one mail server over as many connections as are in use at once; each is kept for the next message.

    `url` is a CHOPAR_SMTP_URL; the settings have looked at it.
    """

    def __init__(self, url: str, timeout: float, hello: str = "localhost") -> None:
        self._server: MailServer = parse_smtp_url(url)
        self._timeout = timeout
        self._hello = hello
        self._kept: list[aiosmtplib.SMTP] = []

    @property
    def where(self) -> str:
        """The server, without credentials."""
        return f"{self._server.host}:{self._server.port}"

    async def deliver(self, envelope: Envelope, permission: Permission) -> Outcome:
        """One attempt. `Unknown` only if the connection failed after the end of the message was sent, which is after
        `permission` was granted. If it is not granted the message is not sent, and what is returned means nothing."""
        try:
            connection = await self._opened(envelope)
        except Away as error:
            return Retry(f"mail server away: {error}", burn=False, slow=error.crowded, kind="connection")
        except Beyond:
            return Dead("bad-address", "the mail server takes no addresses beyond ASCII (it offers no SMTPUTF8)")
        except Refused as refused:
            return judge(*refused.reply)
        except FAILED as error:
            return Retry(f"connection failed: {type(error).__name__}", kind="connection")
        try:
            outcome = await hand_over(connection, envelope, permission)
        except Refused as refused:
            await self._keep(connection, reset=True)
            return judge(*refused.reply)
        except FAILED as error:
            connection.close()
            return Retry(f"connection failed: {type(error).__name__}", kind="connection")
        except BaseException:
            connection.close()
            raise
        await self._keep(connection, reset=False)
        return outcome

    async def check(self, sender: str | None = None) -> None:
        """Connects, says hello, logs in, asks whether `sender` may send without a login, and hangs up. Raises Away if that
        does not work."""
        connection = await self._connect()
        try:
            if sender is not None:
                await begin(connection, Envelope(sender, sender, b""))
        except Refused as refused:
            if wants_login(refused.reply.code):
                raise Away(shown(*refused.reply), credentials=True) from None
        except (Beyond, *FAILED):
            pass  # about this sender or this moment; each mail will be told
        finally:
            await _hang_up(connection)

    async def answers(self) -> bool:
        """Whether a kept connection still holds, or else `check` works: where the server limits connections, those that
        are kept may be all there can be."""
        while self._kept:
            connection = self._kept.pop()
            await self._keep(connection, reset=True)
            if connection.is_connected:
                return True
        try:
            await self.check()
        except Away:
            return False
        return True

    async def close(self) -> None:
        """Hangs up on all kept connections."""
        kept, self._kept = self._kept, []
        await asyncio.gather(*(_hang_up(connection) for connection in kept))

    async def _opened(self, envelope: Envelope) -> aiosmtplib.SMTP:
        """A connection on which MAIL was accepted: a kept one, or a new one if the server has hung up on those."""
        while self._kept:
            connection = self._kept.pop()
            try:
                await self._begun(connection, envelope)
            except FAILED:
                continue
            except Refused as refused:
                if refused.reply.code != CLOSING:
                    raise
            else:
                return connection
        connection = await self._connect()
        await self._begun(connection, envelope)
        return connection

    async def _begun(self, connection: aiosmtplib.SMTP, envelope: Envelope) -> None:
        """MAIL was accepted. Where it raises, the connection is closed, or kept if it holds."""
        try:
            await begin(connection, envelope)
        except (Refused, Beyond):
            await self._keep(connection, reset=True)
            raise
        except BaseException:
            connection.close()
            raise

    async def _connect(self) -> aiosmtplib.SMTP:
        """Connected, encrypted as the URL says, logged in if it says as whom."""
        connection = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            use_tls=self._server.tls,
            start_tls=False,  # below, where it can be told why not
            timeout=self._timeout,
            local_hostname=self._hello,
        )
        try:
            await self._welcomed(connection)
        except FAILED as error:
            connection.close()
            raise _away(error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    async def _welcomed(self, connection: aiosmtplib.SMTP) -> None:
        await connection.connect()
        await connection.ehlo()
        if not self._server.tls and self._server.starttls != "never":
            if connection.supports_extension("starttls"):
                await connection.starttls()
                await connection.ehlo()
            elif self._server.starttls == "required":
                raise Away(_CLEAR)
        if self._server.user is not None:
            await connection.login(self._server.user, self._server.password)

    async def _keep(self, connection: aiosmtplib.SMTP, *, reset: bool) -> None:
        """For the next message. A conversation that was broken off is taken back first."""
        try:
            if reset:
                await connection.rset()
        except FAILED:
            connection.close()
        if connection.is_connected:
            self._kept.append(connection)


def _away(error: Exception) -> Away:
    """Why there is no connection, in one line without credentials."""
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Away(f"user name or password refused, {error.code}", credentials=error.code >= 500)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Away(shown(error.code, error.message), crowded=is_crowded(error.code, error.message))
    return Away(" ".join(str(error).split())[:200])


async def _hang_up(connection: aiosmtplib.SMTP) -> None:
    try:
        await asyncio.wait_for(connection.quit(), 2.0)
    except FAILED:
        pass
    finally:
        connection.close()
