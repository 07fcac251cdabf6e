"""The task `email`: a job becomes a message, and the message is handed to the mail server."""

import time
from collections.abc import Callable
from typing import Protocol

from activity.errors import SettingError
from activity.jobs import Job
from activity.outcomes import Dead, Outcome
from rabbit.address import address
from rabbit.conversation import Envelope
from rabbit.message import Skeleton
from rabbit.tasks import Permission, Task
from rabbit.templates import Templates

TASK = "email"


class Delivers(Protocol):
    """Who hands a mail over: `rabbit.smtp.Mailer`."""

    async def deliver(self, envelope: Envelope, permission: Permission) -> Outcome:
        """One attempt; see there."""


class Writer:
    """Writes the mails from one sender."""

    def __init__(self, templates: Templates, mail_from: str) -> None:
        """Raises SettingError if `mail_from` is no address that mail can come from."""
        sender = address(mail_from)
        if isinstance(sender, Dead):
            raise SettingError("CHOPAR_MAIL_FROM", sender.reply)
        self._templates, self._sender, self._skeleton = templates, sender, Skeleton(sender)

    def write(self, job: Job, now: float) -> Envelope | Dead:
        """The mail of `job` as it is handed over, or why there can't be one."""
        recipient = address(job.to)
        if isinstance(recipient, Dead):
            return recipient
        mail = self._templates.render(job)
        if isinstance(mail, Dead):
            return mail
        content = self._skeleton.fill(job.id, recipient, mail, now, job.unsubscribe)
        if isinstance(content, Dead):
            return content
        return Envelope(self._sender.mailbox, recipient.mailbox, content)


def email_task(mailer: Delivers, templates: Templates, mail_from: str, now: Callable[[], float] = time.time) -> Task:
    """The task, with what it needs. Raises SettingError if `mail_from` is no address that mail can come from."""
    writer = Writer(templates, mail_from)

    async def email(job: Job, permission: Permission) -> Outcome:
        envelope = writer.write(job, now())
        return envelope if isinstance(envelope, Dead) else await mailer.deliver(envelope, permission)

    return email
