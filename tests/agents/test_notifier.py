"""The notifier as a step."""

from collections.abc import Mapping
from typing import Any

from activity.events import log_value
from activity.jobs import encode_job
from activity.rules import Rules, parse_rules
from agents.notifier import notifier
from tests.activity.examples import Record, chunk, value
from tests.agents.fakes import Diary, FakeJobs, FakeOutputs, WatchedChunk

RULES = """
[[rule]]
name = "welcome"
on = "user.*"
to = "email"
class = "transactional"
template = "welcome"
"""


def field(name: str) -> Any:
    def read(event: Mapping[str, Any]) -> str:
        try:
            return str(event["data"][name])
        except (KeyError, TypeError):
            raise ValueError(f"data.{name} is missing") from None

    return read


def rules() -> Rules:
    return parse_rules(RULES, "rules.toml", field, ["welcome"])


def signed_up(id: str, **changes: Any) -> Record:
    event = value(id=id, type="user.signed_up", **changes)
    return Record(b"u-1", log_value(event, 1, "logged", 0.0))


async def run(*records: Record) -> tuple[Diary, FakeJobs, FakeOutputs]:
    diary = Diary()
    jobs, outputs = FakeJobs(diary), FakeOutputs(diary)
    ours = WatchedChunk(chunk(*records, topic="activity.log"), diary)
    await notifier(ours, rules=rules(), jobs=jobs, outputs=outputs)
    return diary, jobs, outputs


async def test_jobs_are_confirmed_before_the_offsets_go() -> None:
    diary, jobs, _ = await run(signed_up("1", data={"email": "a@b.example"}), signed_up("2", data={"email": "c@d.example"}))
    assert diary == ["published", "done"]
    assert [job.to for job in jobs.jobs] == ["a@b.example", "c@d.example"]
    assert jobs.jobs[0].key == "email.transactional.welcome"


async def test_a_repeat_makes_the_same_job_to_the_byte() -> None:
    record = signed_up("1", data={"email": "a@b.example", "z": 1, "a": 2})
    once, again = (await run(record))[1], (await run(record))[1]
    assert [encode_job(job) for job in once.jobs] == [encode_job(job) for job in again.jobs]


async def test_what_no_rule_names_makes_no_job() -> None:
    diary, _, _ = await run(Record(b"u-1", log_value(value(), 1, "logged", 0.0)))
    assert diary == ["done"]


async def test_an_event_that_lacks_what_a_rule_needs_goes_to_the_dead_with_the_rules_name() -> None:
    diary, jobs, outputs = await run(signed_up("1"), signed_up("2", data={"email": "c@d.example"}), Record(b"k", b"junk"))
    assert diary == ["delivered", "published", "done"]
    assert len(jobs.jobs) == 1
    headers = [dict(headers) for _, _, headers in outputs.steps[0].dead]
    assert [found["chopar-reason"] for found in headers] == [b"rule", b"bad-log-record"]
    assert b"welcome" in (headers[0]["__streams.errors.message"] or b"")
    assert headers[0]["__streams.errors.topic"] == b"activity.log"
