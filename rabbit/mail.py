"""The task `email`: a job becomes a message, and the message is handed to the mail server."""

import time
from collections.abc import Callable

from activity.errors import SettingError
from activity.jobs import Job
from activity.outcomes import Dead, Outcome
from rabbit.address import address
from rabbit.conversation import Envelope
from rabbit.message import Skeleton
from rabbit.smtp import Mailer
from rabbit.tasks import Permission, Task
from rabbit.templates import Templates


def email_task(mailer: Mailer, templates: Templates, mail_from: str, now: Callable[[], float] = time.time) -> Task:
    """The task, with what it needs. Raises SettingError if `mail_from` is no address that mail can come from."""
    sender = address(mail_from)
    if isinstance(sender, Dead):
        raise SettingError("CHOPAR_MAIL_FROM", sender.reply)
    known, skeleton = sender, Skeleton(sender)

    async def email(job: Job, permission: Permission) -> Outcome:
        recipient = address(job.to)
        if isinstance(recipient, Dead):
            return recipient
        mail = templates.render(job)
        if isinstance(mail, Dead):
            return mail
        content = skeleton.fill(job.id, recipient, mail, now(), job.unsubscribe)
        if isinstance(content, Dead):
            return content
        return await mailer.deliver(Envelope(known.mailbox, recipient.mailbox, content), permission)

    return email
