"""Rules: what a rules file may say, and the jobs that an event makes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from activity.errors import RuleError, SettingError
from activity.events import LogRecord, decode_log, log_value
from activity.jobs import decode_job, encode_job, job_id
from activity.rules import Expression, Rules, event_view, parse_rules
from tests.activity.examples import value

TEMPLATES = ("welcome", "receipt")


def rule(**changes: str | None) -> str:
    """A right rule as TOML, with `changes`; None takes a key away."""
    keys = {"name": "welcome", "on": "user.signed_up", "to": "email", "class": "transactional", "template": "welcome", **changes}
    return "[[rule]]\n" + "".join(f'{key} = "{text}"\n' for key, text in keys.items() if text is not None)


def compiled(text: str) -> Expression:
    """A language of expressions for tests: the name of a key of `data`."""
    if "{" in text:
        raise ValueError("unexpected end of template")
    text = text.removeprefix("https://")

    def evaluate(seen: Mapping[str, Any]) -> str:
        data = seen["data"]
        if not isinstance(data, dict) or text not in data:
            raise ValueError(f"data has no {text}")
        return str(data[text])

    return evaluate


def parsed(*texts: str, unsubscribe_url: str | None = None) -> Rules:
    return parse_rules("\n".join(texts), "rules.toml", compiled, TEMPLATES, unsubscribe_url)


def bulk(unsubscribe: str | None = "none", **changes: str | None) -> str:
    return rule(**{"class": "bulk"}, unsubscribe=unsubscribe, **changes)


def logged(type: str = "user.signed_up", data: bytes = b'{"email":"a@b.example"}', **changes: Any) -> LogRecord:
    raw = value(type=type, **changes)[:-1] + b',"data":' + data + b"}"
    return decode_log(log_value(raw, 1, "logged", 0.0))


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_file_without_rules_makes_no_jobs() -> None:
    assert parsed("# nothing yet").jobs(logged()) == ([], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]", "rules.toml: is no TOML: .*line 1"),
        ("rules = 1", "rules.toml: there is no key 'rules'"),
        ("[other]\nx = 1", "rules.toml: there is no key 'other'"),
        ("rule = 1", r"rules.toml: a rule is written as a table \[\[rule\]\]"),
        ("rule = [1]", r"rules.toml: a rule is written as a table \[\[rule\]\]"),
        ("[rule]\nname = 'x'", r"rules.toml: a rule is written as a table \[\[rule\]\]"),
        (
            rule(dealy="1h"),
            "line 1: dealy: there is no such key; a rule has name, on, to, class, template, unsubscribe, delay, send_at",
        ),
        ("\n\n" + rule(delay="soon"), "line 3: delay: expected a duration"),
        (rule(send_at="tomorrow"), "line 1: send_at: 'tomorrow' is no time"),
        (rule(send_at="{{ x"), "line 1: send_at: unexpected end of template"),
        (rule(delay="1h", send_at="{{ x }}"), "line 1: delay: send_at is there too"),
        ("\n" + rule(name=None), "line 2: name: a text was expected"),
        (rule(on=""), "line 1: on: a text was expected"),
        (rule(to=None) + "to = 7", "line 1: to: a text was expected"),
        (rule(**{"class": None}), "line 1: class: a text was expected"),
        (rule(template=None), "line 1: template: a text was expected"),
        (rule(name="Welcome"), "line 1: name: small letters"),
        (rule(name="a.b"), "line 1: name: small letters"),
        (rule(name="x" * 65), "line 1: name: small letters"),
        (rule(name="-x"), "line 1: name: small letters"),
        (rule(name="x\\n"), "line 1: name: small letters"),
        (rule(**{"class": "urgent"}), "line 1: class: one of transactional, bulk was expected, not 'urgent'"),
        (rule(template="gone"), "line 1: template: there is no template 'gone'; there are: receipt, welcome"),
        (bulk(None), r"line 1: unsubscribe: a rule of class bulk needs it .*\{\{ subject .*none.*CHOPAR_UNSUBSCRIBE_URL"),
        (bulk(""), "line 1: unsubscribe: a text was expected"),
        (bulk("{{"), "line 1: unsubscribe: a text that begins with https:// was expected"),
        (bulk("http://link"), "line 1: unsubscribe: a text that begins with https:// was expected"),
        (bulk("https://{{"), "line 1: unsubscribe: unexpected end of template"),
        (rule(unsubscribe="https://link"), "line 1: unsubscribe: only a rule of class bulk has it"),
        (rule(to="{{"), "line 1: to: unexpected end of template"),
        (rule() + "\n\n" + rule(), "line 9: name: there is a rule 'welcome' already"),
        (rule() + "# \u2028 \x85\n  [[ rule ]]\nname = 'x'", "line 8: on: a text was expected"),
        ("rule = [{name = 'x'}]", "rules.toml, rule 1: on: a text was expected"),
        (rule(name="ok") + 'to2 = """\n[[rule]]\n"""', "rules.toml, rule 1: to2: there is no such key"),
    ],
)
def test_a_wrong_file_is_refused_by_file_line_and_key(text: str, problem: str) -> None:
    with pytest.raises(RuleError, match=problem) as caught:
        parsed(text)
    assert caught.value.name.startswith("rules.toml")
    assert "\n" not in str(caught.value)


# -- the jobs ----------------------------------------------------------------------------------------------------------


def test_a_job() -> None:
    record = logged(time="2026-01-31T09:30:00Z", traceparent="00-1-2-03")
    [job], refused = parsed(rule()).jobs(record)
    assert refused == []
    assert (job.id, job.rule, job.job_class, job.task) == (
        job_id("u-1", "/web", "e-1", "welcome"),
        "welcome",
        "transactional",
        "email",
    )
    assert (job.user, job.to, job.template, job.traceparent) == ("u-1", "a@b.example", "welcome", "00-1-2-03")
    assert job.event == event_view(record)
    assert job.event == {
        "id": "e-1",
        "source": "/web",
        "type": "user.signed_up",
        "subject": "u-1",
        "time": "2026-01-31T09:30:00Z",
        "data": {"email": "a@b.example"},
    }
    assert job.key == "email.transactional.welcome"


@pytest.mark.parametrize(
    ("on", "type", "matches"),
    [
        ("user.signed_up", "user.signed_up", True),
        ("user.signed_up", "user.signed_up.again", False),
        ("user.signed_up", "a.user.signed_up", False),
        ("user.signed_up", "userxsigned_up", False),
        ("user.*", "user.signed_up", True),
        ("user.*", "User.signed_up", False),
        ("*.placed", "order.placed", True),
        ("*", "anything at all", True),
        ("order.?", "order.1", True),
        ("order.[12]", "order.2", True),
        ("order.[!12]", "order.2", False),
        ("order.[", "order.[", True),
        ("(a|b)", "a", False),
    ],
)
def test_globs(on: str, type: str, matches: bool) -> None:
    jobs, refused = parsed(rule(on=on)).jobs(logged(type))
    assert len(jobs) == matches
    assert refused == []


def test_several_rules_make_several_jobs_in_the_order_of_the_file() -> None:
    rules = parsed(
        rule(name="b", on="user.*"),
        bulk(name="a", template="receipt"),
        rule(name="c", on="order.*"),
    )
    jobs, refused = rules.jobs(logged())
    assert [(job.rule, job.job_class, job.template) for job in jobs] == [
        ("b", "transactional", "welcome"),
        ("a", "bulk", "receipt"),
    ]
    assert len({job.id for job in jobs}) == 2
    assert refused == []


LINK = b'{"email":"a@b.example","link":"https://shop.example/u?user=%C3%BC&list=1"}'


def test_a_bulk_mail_can_be_unsubscribed_from() -> None:
    """Where its rule says; else where the setting says; nowhere if the rule says so."""
    rules = parsed(
        bulk("https://link", name="own"),
        bulk(None, name="setting"),
        bulk("none", name="never"),
        rule(name="other"),
        unsubscribe_url="https://all",
    )
    jobs, refused = rules.jobs(logged(data=LINK[:-1] + b',"all":"https://shop.example/all"}'))
    assert [(job.rule, job.unsubscribe) for job in jobs] == [
        ("own", "https://shop.example/u?user=%C3%BC&list=1"),
        ("setting", "https://shop.example/all"),
        ("never", None),
        ("other", None),
    ]
    assert refused == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/u",
        "mailto:u@shop.example",
        "https://",
        "https:///u",
        "//shop.example",
        "https://shop.example/ü",
        "https://shop.example/a b",
        "https://shop.example/>, <mailto:eve@evil.example",
        "https://shop.example/u\\r\\nBcc: eve@evil.example",
        "https://shop.example/" + "x" * 900,
    ],
)
def test_where_no_header_can_lead_makes_no_job(url: str) -> None:
    jobs, [refused] = parsed(bulk("https://link")).jobs(logged(data=f'{{"email":"a@b.example","link":"{url}"}}'.encode()))
    assert jobs == []
    assert refused.problem.startswith("rule welcome: unsubscribe: an https:// URL ")
    assert "evil" not in refused.problem


@pytest.mark.parametrize(("text", "problem"), [("http://x", "begins with https://"), ("https://{{", "unexpected end")])
def test_a_wrong_setting_is_named_even_if_no_rule_needs_it(text: str, problem: str) -> None:
    with pytest.raises(SettingError, match=f"^CHOPAR_UNSUBSCRIBE_URL: .*{problem}"):
        parsed(rule(), unsubscribe_url=text)


def test_a_rule_that_lacks_something_is_refused_and_the_others_go_on() -> None:
    rules = parsed(rule(name="first", to="phone"), rule(name="second"))
    jobs, refused = rules.jobs(logged())
    assert [job.rule for job in jobs] == ["second"]
    assert [(why.reason, why.problem) for why in refused] == [("rule", "rule first: data has no phone")]


@pytest.mark.parametrize("data", [b"1e999", b'"\xff"', b"[" * 995 + b"]" * 995])
def test_data_that_cannot_be_read_is_refused_but_only_where_a_rule_matches(data: bytes) -> None:
    """Events as the sequencer takes them in; but whoever may write to the log may write these."""
    record = msgspec.structs.replace(logged(), data=msgspec.Raw(data))
    jobs, [refused] = parsed(rule()).jobs(record)
    assert jobs == []
    assert refused.reason == "rule"
    assert refused.problem.startswith("data can't be read: ")
    assert parsed(rule(on="order.*")).jobs(record) == ([], [])


def test_a_job_may_be_due_later() -> None:
    timed = msgspec.structs.replace(logged(data=b'{"email":"a@b.example"}'), received="2026-01-31T09:30:00.125Z")
    [job], _ = parsed(rule(delay="2h")).jobs(timed)
    assert job.send_at == datetime(2026, 1, 31, 11, 30, 0, 125_000, UTC)
    assert encode_job(parsed(rule(delay="2h")).jobs(timed)[0][0]) == encode_job(parsed(rule(delay="2h")).jobs(timed)[0][0])


def test_an_event_that_names_no_time_is_refused_with_the_rule_and_the_key() -> None:
    def at(text: str) -> Expression:
        return lambda seen: str(seen["data"]["at"]) if "{{" in text else text

    rules = parse_rules(rule(send_at="{{ at }}"), "rules.toml", at, TEMPLATES)
    [job], _ = rules.jobs(logged(data=b'{"at":"2026-02-01T05:00:00Z"}'))
    assert job.due == datetime(2026, 2, 1, 5, tzinfo=UTC).timestamp()
    jobs, [refused] = rules.jobs(logged(data=b'{"at":"whenever"}'))
    assert (jobs, refused.reason) == ([], "rule")
    assert refused.problem.startswith("rule welcome: send_at: 'whenever' is no time; RFC 3339")


def test_an_event_without_data_has_none() -> None:
    record = decode_log(log_value(value(type="user.signed_up"), 1, "logged", 0.0))
    assert event_view(record)["data"] is None


def test_the_same_event_makes_the_same_bytes() -> None:
    """However it came: in another order, with other spaces, at another position."""
    rules = parsed(rule())
    first = decode_log(log_value(value(type="user.signed_up", data={"email": "x", "n": [1, 2.50]}), 1, "logged", 0.0))
    again = b'{"data": {"n":[1,2.5], "email": "\\u0078"}, ' + value(type="user.signed_up")[1:]
    second = decode_log(log_value(again, 9, "late", 99.0))
    [one], [other] = rules.jobs(first)[0], rules.jobs(second)[0]
    assert encode_job(one) == encode_job(other)
    assert decode_job(encode_job(one)) == one
