"""One job that fails: by Chopar's own rules it waits in delay queues, comes again, and is dead in the end."""

from typing import Any, Final, cast

from aio_pika import Message
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, HeadersType

from activity.jobs import Job
from activity.names import ATTEMPT_HEADER, DEAD_EXCHANGE, DELAY_HEADER, REASON_HEADER, RETRY_EXCHANGE, delay_queue
from activity.outcomes import Outcome, Retry, Sent
from activity.retry import TIERS
from chopar.lab.rabbit import Lab, deliveries, in_hand
from chopar.lab.teller import Teller
from rabbit.consequences import Terms, letter_after, settled
from rabbit.letters import Letter, first_letter

FASTER: Final = 10
"""The delay queues let go of a message after a tenth of what they are named for."""
NO_JITTER: Final = 1.0
JOB: Final = Job(
    id="lab", rule="welcome", job_class="transactional", user="u-1", to="ann@shop.example", template="welcome", event={}
)


async def retry(lab: Lab, teller: Teller, *, fails: int, attempts: int) -> None:
    """Does the job until it succeeds, which it does after `fails` failures, or is dead after so many `attempts`."""
    post = Post(lab)
    terms = Terms(max_attempts=attempts, base=1.0, cap=8.0)
    await post.open()
    await teller.step(f"A job is published. Failures to come: {fails}. If it fails at attempt {attempts} it is dead.")
    await post.send(first_letter(JOB))
    async with lab.consumer(prefetch=1) as channel:
        inbox = await deliveries(await channel.get_queue(post.work.name))
        letter: Letter | None = first_letter(JOB)
        while letter is not None and letter.exchange != DEAD_EXCHANGE:
            (message,) = await in_hand(inbox, 1)
            attempt = cast(int, message.headers[ATTEMPT_HEADER])
            outcome: Outcome = Retry("451 try again later") if attempt <= fails else Sent("250 OK")
            outcome = settled(outcome, attempt, terms)
            letter = letter_after(outcome, JOB, message.body, attempt, terms, NO_JITTER)
            if letter is not None:
                await post.send(letter)  # and its confirm, and only then
            await message.ack()
            await teller.step(f"attempt {attempt}{post.came_from(message)}: {told(outcome, letter)}")
    if letter is None:
        teller.showed("a failure that passes costs only time. Nobody had to look, and no queue holds anything now.")
        return
    (dead,) = await lab.take(post.dead, 1)
    teller.tell("\nThe dead letter's headers")
    teller.rows(["header", "value"], [[name, dead.headers[name]] for name in (ATTEMPT_HEADER, REASON_HEADER)])
    teller.showed(f"waits in delay queues: {attempts - 1}. It never blocked the queue, and in the end it waits for a person.")


class Post:
    """The job's queues: where it is done, where it waits, where it ends."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.work: AbstractQueue
        self.dead: AbstractQueue
        self._delays: dict[int, AbstractQueue] = {}

    async def open(self) -> None:
        """Declares them. What has waited long enough is dead-lettered back to the work."""
        self.work, self.dead = await self._lab.queue("work"), await self._lab.queue("dead")
        back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.work.name}
        for seconds in TIERS[:4]:
            ttl: dict[str, str | int] = {**back, "x-message-ttl": seconds * 1000 // FASTER}
            self._delays[seconds] = await self._lab.queue("delay", ttl)

    async def send(self, letter: Letter) -> None:
        """To the queue here that stands for the letter's exchange; confirmed when it returns."""
        queue = {DEAD_EXCHANGE: self.dead}.get(letter.exchange, self.work)
        if letter.exchange == RETRY_EXCHANGE:
            queue = self._delays[int(letter.headers[DELAY_HEADER])]
        message = Message(letter.body, headers=cast(HeadersType, letter.headers))
        await self._lab.channel.default_exchange.publish(message, routing_key=queue.name)

    def came_from(self, message: AbstractIncomingMessage) -> str:
        """RabbitMQ's own note about the queue that it left (header `x-death`), by the name that this has in Chopar."""
        names = {queue.name: delay_queue(seconds) for seconds, queue in self._delays.items()}
        notes = cast(list[dict[str, Any]], message.headers.get("x-death", []))
        return "".join(f" ({note['reason']} in {names[note['queue']]})" for note in notes)


def told(outcome: Outcome, letter: Letter | None) -> str:
    """What came of an attempt, in words."""
    if letter is None:
        return "sent, 250 OK"
    if letter.exchange == DEAD_EXCHANGE:
        return f"failed, 451 try again later; dead, {letter.headers[REASON_HEADER]}"
    return f"failed, {cast(Retry, outcome).reason}; waits in {delay_queue(int(letter.headers[DELAY_HEADER]))}"
