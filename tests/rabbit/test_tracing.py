"""Tracing on the mail side: when it is on, and what is recorded of letters, attempts and mails."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from activity.claims import Busy
from activity.errors import SettingError
from activity.jobs import Job, encode_job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit.attempt import Attempt, as_it_is
from rabbit.conversation import Envelope
from rabbit.letters import Letter, dead_letter, delayed_letter, first_letter
from rabbit.source import Delivery
from rabbit.spans import Seldom
from rabbit.tasks import Permission
from rabbit.traced import reply_code
from rabbit.tracing import Tracing, asks_for_tracing, start_tracing, unsaid
from tests.processes import ROOT
from tests.rabbit.orders import make_job
from tests.rabbit.works import working
from tests.spans import PLACE, Recorder, not_recording, parent, place, tells

JOB = msgspec.structs.replace(make_job(), traceparent=str(PLACE))
WORDS = "no such <user@shop.example>"

# -- whether it is on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "asking"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "shop"}, None),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, None),
        ({"OTEL_TRACES_EXPORTER": " "}, None),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, None),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ],
)
def test_the_variables_that_ask_for_it(environ: dict[str, str], asking: str | None) -> None:
    assert asks_for_tracing(environ) == asking


def test_what_the_specification_says_where_the_variables_say_nothing() -> None:
    http, soon = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "3"}
    name, otlp = {"OTEL_SERVICE_NAME": "chopar-worker"}, {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert unsaid({}, "chopar-worker") == {"OTEL_TRACES_EXPORTER": "otlp"} | http | soon | name
    assert unsaid({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"} | otlp, "chopar-worker") == name
    assert unsaid({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"} | otlp, "chopar-worker") == name
    assert unsaid({"OTEL_SERVICE_NAME": "shop"} | otlp, "chopar-worker") == http
    assert unsaid({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=shop"} | otlp, "chopar-worker") == http


def run(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Python, with no `OTEL_` variables but these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "CHOPAR_"))}
    argv = (sys.executable, "-c", code)
    return subprocess.run(argv, cwd=ROOT, env=kept | variables, capture_output=True, text=True, timeout=120, check=False)


def test_off_by_default_and_then_nothing_of_it_is_imported() -> None:
    modules = "chopar.desk, chopar.send, rabbit.__main__, streams.app, streams.redelivery, streams.tracing"
    look = f"import sys, {modules}; from rabbit.tracing import start_tracing; start_tracing('x')"
    done = run(f"{look}; print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_without_the_extra_the_process_ends_with_what_to_do() -> None:
    main = "import sys; sys.modules['opentelemetry'] = None; from rabbit.__main__ import main; sys.exit(main())"
    done = run(main, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert done.returncode == 1
    assert done.stderr.startswith("chopar: OTEL_EXPORTER_OTLP_ENDPOINT: asks for tracing, which is not installed")
    assert "pip install 'chopar[tracing]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"}, "OTEL_TRACES_EXPORTER"),
    ],
)
def test_what_the_sdk_does_not_know_ends_the_process_too(variables: dict[str, str], name: str) -> None:
    done = run("import sys; from rabbit.__main__ import main; sys.exit(main())", **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"chopar: {name}: ")
    assert done.stderr.count("\n") == 1


def test_the_extra_is_named_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setitem(sys.modules, "rabbit.spans", None)
    with pytest.raises(SettingError, match=r"chopar\[tracing\]"):
        start_tracing("x")


def test_off_everything_is_given_back_as_it_is() -> None:
    off, outbox, mailer = Tracing(), Letters(), Answers(Sent("250 ok"))
    assert off.spans is None
    assert off.outbox(outbox) is outbox
    assert off.mailer(mailer, "mail.example:25") is mailer
    assert off.attempts(begin) is begin
    assert as_it_is(begin) is begin


def test_a_collector_that_is_away_is_told_of_seldom() -> None:
    told = [logging.LogRecord("x", logging.ERROR, "", 0, "away", (), None) for _ in range(5)]
    for record, created in zip(told, (1000.0, 1001.0, 1299.9, 1300.0, 1300.1), strict=True):
        record.created = created
    seldom = Seldom(300.0)
    assert [seldom.filter(record) for record in told] == [True, False, False, True, False]


# -- letters -------------------------------------------------------------------------------------------------------------


class Letters:
    """An outbox that keeps them, or fails."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.letters: list[Letter] = []
        self._error = error

    async def deliver(self, letters: Sequence[Letter]) -> None:
        self.letters += letters
        if self._error is not None:
            raise self._error


def test_a_job_is_published_in_its_events_trace_even_when_tracing_is_off() -> None:
    assert first_letter(JOB).headers["traceparent"] == str(PLACE)
    for text in (None, "not one", "x" * 100_000):
        letter = first_letter(msgspec.structs.replace(JOB, traceparent=text))
        assert "traceparent" not in letter.headers, "what is none does not become a header"


async def test_each_letter_in_a_trace_has_a_span_and_carries_its_place() -> None:
    on, kept = Recorder(), Letters()
    other = first_letter(make_job(2))
    await on.outbox(kept).deliver([first_letter(JOB), other])
    (span,) = on.ended
    assert span.name == f"send chopar.jobs:{JOB.key}"
    assert parent(span) == PLACE.span_id
    assert place(span).trace_id == PLACE.trace_id
    assert [letter.headers.get("traceparent") for letter in kept.letters] == [str(place(span)), None]
    assert kept.letters[1] is other
    assert (tells(span, "chopar.job.id"), tells(span, "chopar.attempt")) == (JOB.id, 1)


async def test_a_dead_letters_span_has_its_reason_and_not_the_words_for_it() -> None:
    on, kept = Recorder(), Letters()
    letter = dead_letter(encode_job(JOB), JOB.key, "refused", WORDS, 3, JOB.id)
    letter.headers["traceparent"] = str(PLACE)
    await on.outbox(kept).deliver([letter])
    (span,) = on.ended
    assert (span.name, tells(span, "chopar.reason")) == ("send chopar.dead:email.dead", "refused")
    assert "shop.example" not in span.to_json()


async def test_a_letter_that_is_not_safe_has_a_failed_span() -> None:
    on = Recorder()
    with pytest.raises(asyncio.CancelledError):
        await on.outbox(Letters(asyncio.CancelledError())).deliver([first_letter(JOB)])
    assert failure(on.ended[0]) == (False, "CancelledError")


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_what_is_not_recorded_is_passed_on_as_it_came(flags: str) -> None:
    traceparent = f"00-{PLACE.trace_id}-{PLACE.span_id}-{flags}"
    on = Recorder() if flags == "00" else not_recording()
    kept, letter = Letters(), first_letter(msgspec.structs.replace(JOB, traceparent=traceparent))
    await on.outbox(kept).deliver([letter])
    assert kept.letters == [letter]
    assert on.ended == ()


# -- attempts ------------------------------------------------------------------------------------------------------------


class AnAttempt:
    """What there is to know of one."""

    def __init__(self, number: int = 1, refusal: object = None) -> None:
        self.number, self.refusal = number, refusal


async def begin(delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
    return Sent(f"250 {WORDS}")


def delivery(traceparent: str | None = None) -> Delivery:
    return Delivery(b"{}", JOB.key, 1, traceparent=traceparent)


async def attempted(on: Recorder, given: Delivery, outcome: Outcome, attempt: AnAttempt, job: Job = JOB) -> None:
    async def do(delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
        return outcome

    assert await on.attempts(do)(given, job, cast(Attempt, attempt)) == outcome


@pytest.mark.parametrize(
    ("outcome", "told", "ended"),
    [
        (Sent(f"250 {WORDS}"), "sent", (True, None)),
        (Dead("refused", f"550 {WORDS}"), "dead", (False, "refused")),
        (Retry(f"451 {WORDS}"), "retry", (False, "refused")),
        (Retry("mail server away: x", burn=False, kind="connection"), "retry", (False, "connection")),
        (Unknown(WORDS), "unknown", (False, "unknown")),
    ],
)
async def test_an_attempts_span_tells_its_outcome(outcome: Outcome, told: str, ended: tuple[bool, str | None]) -> None:
    on, given = Recorder(), delivery(str(PLACE))
    await attempted(on, given, outcome, AnAttempt(3))
    (span,) = on.ended
    assert span.name == f"process chopar.jobs:{JOB.key}:email.transactional"
    assert (parent(span), given.traceparent) == (PLACE.span_id, str(place(span)))
    assert (tells(span, "chopar.outcome"), tells(span, "chopar.attempt"), failure(span)) == (told, 3, ended)
    assert "shop.example" not in span.to_json()


async def test_a_job_without_a_header_is_in_its_events_trace() -> None:
    on, given = Recorder(), delivery()
    await attempted(on, given, Sent("250 ok"), AnAttempt())
    assert parent(on.ended[0]) == PLACE.span_id


async def test_an_attempt_that_was_not_begun_is_no_failure() -> None:
    on = Recorder()
    await attempted(on, delivery(str(PLACE)), Retry("not permitted"), AnAttempt(refusal=Busy(1.0)))
    (span,) = on.ended
    assert (tells(span, "chopar.outcome"), failure(span)) == ("not begun: busy", (True, None))


async def test_a_job_without_a_trace_has_no_span() -> None:
    for on, job, header in ((Recorder(), make_job(), None), (not_recording(), JOB, str(PLACE))):
        given = delivery(header)
        await attempted(on, given, Sent("250 ok"), AnAttempt(), job)
        assert (on.ended, given.traceparent) == ((), header)


async def test_an_attempt_that_is_broken_off_has_failed() -> None:
    on = Recorder()

    async def do(delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await on.attempts(do)(delivery(str(PLACE)), JOB, cast(Attempt, AnAttempt()))
    assert failure(on.ended[0]) == (False, "CancelledError")


# -- mails ---------------------------------------------------------------------------------------------------------------


class Answers:
    """A mailer that always does the same."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def deliver(self, envelope: Envelope, permission: Permission) -> Outcome:
        return self._outcome


async def permission() -> bool:
    return True


@pytest.mark.parametrize(
    ("outcome", "code", "ended"),
    [
        (Sent(f"250 {WORDS}"), 250, (True, None)),
        (Dead("refused", f"550 {WORDS}"), 550, (False, "550")),
        (Retry(f"451 {WORDS}"), 451, (False, "451")),
        (Retry("mail server away: 421 x", burn=False, kind="connection"), None, (False, "connection")),
        (Unknown("no answer after the message's end"), None, (False, "unknown")),
    ],
)
async def test_a_mails_span_has_the_server_and_the_code_of_its_reply(
    outcome: Outcome, code: int | None, ended: tuple[bool, str | None]
) -> None:
    on, envelope = Recorder(), Envelope("mail@shop.example", "user@shop.example", b"Dear user\r\n")
    mailer = on.mailer(Answers(outcome), "::1:25")

    async def do(delivery: Delivery, job: Job, attempt: Attempt) -> Outcome:
        return await mailer.deliver(envelope, permission)

    assert await on.attempts(do)(delivery(str(PLACE)), JOB, cast(Attempt, AnAttempt())) == outcome
    mail, attempt = on.ended
    assert (mail.name, parent(mail)) == ("smtp send", place(attempt).span_id)
    assert (tells(mail, "server.address"), tells(mail, "server.port")) == ("::1", 25)
    assert (tells(mail, "chopar.smtp.reply_code"), failure(mail), reply_code(outcome)) == (code, ended, code)
    assert "shop.example" not in mail.to_json()


async def test_a_mail_outside_of_a_trace_has_no_span() -> None:
    on = Recorder()
    outcome = await on.mailer(Answers(Sent("250 ok")), "mail.example:25").deliver(Envelope("a@b", "c@d", b""), permission)
    assert (outcome, on.ended) == (Sent("250 ok"), ())


# -- the pool ------------------------------------------------------------------------------------------------------------


async def test_a_place_goes_along_through_delays_and_to_the_dead_letters() -> None:
    """Also with tracing off: whoever reads the queues finds it."""
    async with working(None, max_attempts=2) as works:
        works.inbox.replies[JOB.to] = ["451 later", "451 later"]
        await works.publish(JOB)
        (headers,) = await works.dead(1)
    assert (headers["traceparent"], headers["chopar-attempt"]) == (str(PLACE), 2)


def test_the_place_is_no_part_of_the_job_itself() -> None:
    letter = delayed_letter(JOB, encode_job(JOB), 2, 1)
    assert "traceparent" not in letter.headers
    assert letter.body == encode_job(JOB)


def failure(span: ReadableSpan) -> tuple[bool, object]:
    """Whether it went well, and its `error.type`."""
    return span.status.is_ok or span.status.is_unset, tells(span, "error.type")
