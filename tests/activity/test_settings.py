"""Settings: each variable by name, wrong ones named, secrets kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.domains import DomainLimits, Limit
from activity.errors import SettingError
from activity.retry import Span
from activity.settings import RetryKinds, Settings, duration, parse_settings, redact, variables

KINDS = "connection=1s..1m; busy=500ms..1.5h"
DOMAINS = "gmail.com=2,10/s; *=4"

TRACES = "https://traces.example/trace/{trace_id}?uiEmbed=v0"

EACH: dict[str, tuple[str, Any]] = {
    "CHOPAR_KAFKA_URL": ("kafka://k.example:9092", "kafka://k.example:9092"),
    "CHOPAR_RABBIT_URL": ("amqps://u:p@r.example/v", "amqps://u:p@r.example/v"),
    "CHOPAR_RABBIT_MANAGEMENT_URL": ("https://r.example:15671", "https://r.example:15671"),
    "CHOPAR_SMTP_URL": ("smtp://m.example:25", "smtp://m.example:25"),
    "CHOPAR_STORE_URL": ("postgresql://u:p@db.example/chopar", "postgresql://u:p@db.example/chopar"),
    "CHOPAR_MAIL_FROM": ("Shop <mail@shop.example>", "Shop <mail@shop.example>"),
    "CHOPAR_RULES": ("my.toml", Path("my.toml")),
    "CHOPAR_TEMPLATES": ("mine", Path("mine")),
    "CHOPAR_UNSUBSCRIBE_URL": ("https://shop.example/{{ subject }}", "https://shop.example/{{ subject }}"),
    "CHOPAR_WEB_HOST": ("::1", "::1"),
    "CHOPAR_WEB_PORT": ("80", 80),
    "CHOPAR_WEB_URL": ("https://chopar.example:6066", "https://chopar.example:6066"),
    "CHOPAR_TRACE_URL": (TRACES, TRACES),
    "CHOPAR_MAILER_PORT": ("6067", 6067),
    "CHOPAR_API_TOKEN": ("t", "t"),
    "CHOPAR_DATA_DIR": ("/var/lib/chopar", Path("/var/lib/chopar")),
    "CHOPAR_PARTITIONS": ("64", 64),
    "CHOPAR_MAIL_WORKERS": ("5", 5),
    "CHOPAR_GAP_TIMEOUT": ("500ms", 0.5),
    "CHOPAR_QUIET_AFTER": ("30d", 30 * 86400.0),
    "CHOPAR_TABLE_STORE": ("rocksdb", "rocksdb"),
    "CHOPAR_CORE": ("python", "python"),
    "CHOPAR_MAX_ATTEMPTS": ("1", 1),
    "CHOPAR_RETRY_BASE": ("2 s", 2.0),
    "CHOPAR_RETRY_CAP": ("10m", 600.0),
    "CHOPAR_RETRY_KINDS": (KINDS, RetryKinds(KINDS, {"connection": Span(1.0, 60.0), "busy": Span(0.5, 5400.0)})),
    "CHOPAR_DOMAIN_LIMITS": (DOMAINS, DomainLimits(DOMAINS, {"gmail.com": Limit(2, 0.1), "*": Limit(4, 0.0)})),
    "CHOPAR_UNKNOWN_OUTCOME": ("hold", "hold"),
    "CHOPAR_SMTP_TIMEOUT": ("1min", 60.0),
    "CHOPAR_MAVEN_URL": ("https://maven.example/", "https://maven.example/"),
}


def test_nothing_has_to_be_set() -> None:
    assert parse_settings() == Settings(store_url="sqlite:///.chopar/chopar.db")
    assert parse_settings({}, {"PATH": "/bin", "chopar_web_port": "x"}) == parse_settings()


def test_each_variable() -> None:
    assert sorted(EACH) == sorted(variables()), "a setting without a line here"
    for name, (text, expected) in EACH.items():
        settings = parse_settings({name: text})
        field = name.removeprefix("CHOPAR_").lower()
        assert getattr(settings, field) == expected
        assert getattr(settings, field) != getattr(parse_settings(), field), "set to something else than the default"
    assert parse_settings({name: text for name, (text, _) in EACH.items()}).web_port == 80


def test_the_store_stands_in_the_data_folder() -> None:
    assert parse_settings({"CHOPAR_DATA_DIR": "/data"}).store_url == "sqlite:////data/chopar.db"
    assert parse_settings({"CHOPAR_DATA_DIR": "/data", "CHOPAR_STORE_URL": "sqlite:///x.db"}).store_url == "sqlite:///x.db"


def test_an_earlier_source_wins_and_hides_what_is_wrong_in_a_later_one() -> None:
    assert parse_settings({"CHOPAR_WEB_PORT": "1"}, {"CHOPAR_WEB_PORT": "none", "CHOPAR_PARTITIONS": "2"}).web_port == 1
    assert parse_settings({"CHOPAR_WEB_PORT": ""}, {"CHOPAR_WEB_PORT": None}, {"CHOPAR_WEB_PORT": "3"}).web_port == 3


@pytest.mark.parametrize("name", ["CHOPAR_KAFKA", "CHOPAR_", "CHOPAR_kafka_url", "CHOPAR___REPR__"])
def test_an_unknown_variable_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name}: there is no such setting; .*CHOPAR_KAFKA_URL") as caught:
        parse_settings({name: "1"})
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "KAFKA_URL",
            ["k:9092", "http://k:9092", "kafka://", "kafka://k:0", "kafka://k:65536", "kafka://k:x", "kafka://[k", "//k"],
        ),
        ("RABBIT_URL", ["r", "kafka://r", "amqp:///", "amqp://u:p@:5672"]),
        ("RABBIT_MANAGEMENT_URL", ["r:15672", "amqp://r"]),
        ("SMTP_URL", ["mail.example:25", "smtp://"]),
        ("STORE_URL", ["x.db", "mysql://db", "postgresql:///chopar"]),
        ("MAIL_FROM", ["Shop", "a@b@c", "Shop <a@b", "Shop\r\nBcc: <a@b>", "<>", "a b@c", "a@b\n"]),
        ("WEB_PORT", ["0", "65536", "-1", "1.5", "x", " 1", "1" * 30]),
        (
            "TRACE_URL",
            [
                "https://t.example/",
                "javascript:{trace_id}",
                "https:///{trace_id}",
                "/{trace_id}",
                "https://t.example/{trace_id}/{x}",
                "https://t.example/{trace_id}{trace_id}",
                "https://t.example/ {trace_id}",
                "https://t.example/\n{trace_id}",
            ],
        ),
        ("PARTITIONS", ["0", "1025"]),
        ("MAIL_WORKERS", ["0", "65"]),
        ("MAX_ATTEMPTS", ["0", "101"]),
        ("GAP_TIMEOUT", ["0", "99ms", "2d", "5 parsecs", "-1s", "1e3", "nan", "inf", """ """]),
        ("QUIET_AFTER", ["0", "999ms", "1001d", "never"]),
        ("TABLE_STORE", ["RocksDB", "sqlite", "memory://"]),
        ("CORE", ["compiled", "Python"]),
        ("RETRY_BASE", ["0", "4097"]),
        ("RETRY_CAP", ["999ms", "25h"]),
        ("RETRY_KINDS", ["x=1s..1m", "busy", "busy=1s", "busy=1s..0", "busy=2m..1m", "busy=1s..1m;busy=1s..1m", "busy=..1m"]),
        (
            "DOMAIN_LIMITS",
            ["gmail.com", "gmail.com=", "=2", "a.b=0", "a.b=2,3", "a.b=1/s,2/s", "a.b=1/d", "a b=1", "a.b=1;A.B=2"],
        ),
        ("SMTP_TIMEOUT", ["0.5", "11m"]),
        ("UNKNOWN_OUTCOME", ["drop", "Hold"]),
        ("MAVEN_URL", ["ftp://maven.example", "maven"]),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(SettingError, match=f"^CHOPAR_{name}: expected ") as caught:
            parse_settings({f"CHOPAR_{name}": text})
        assert "\n" not in str(caught.value)


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(SettingError, match=r"CHOPAR_RETRY_BASE: must not be longer than CHOPAR_RETRY_CAP \(2 s\)"):
        parse_settings({"CHOPAR_RETRY_BASE": "3s", "CHOPAR_RETRY_CAP": "2s"})
    with pytest.raises(SettingError, match="CHOPAR_WEB_HOST: without CHOPAR_API_TOKEN"):
        parse_settings({"CHOPAR_WEB_HOST": "0.0.0.0"})  # noqa: S104  (that is the point)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert parse_settings({"CHOPAR_WEB_HOST": host}).web_host == host
    assert parse_settings({"CHOPAR_WEB_HOST": "10.0.0.1", "CHOPAR_API_TOKEN": "t"}).web_host == "10.0.0.1"


def test_secrets_are_not_shown() -> None:
    with_secrets = {
        "CHOPAR_API_TOKEN": "hunter2",
        "CHOPAR_RABBIT_URL": "amqp://me:hunter2@r.example",
        "CHOPAR_SMTP_URL": "smtp://me:hunter@2hunter2@m.example:25",
        "CHOPAR_STORE_URL": "postgresql://me:hunter2@db.example/chopar",
        "CHOPAR_KAFKA_URL": "kafka://:hunter2@k.example",
    }
    settings = parse_settings(with_secrets)
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "hunter" not in shown
        assert "amqp://me:***@r.example" in shown
        assert "web_port=6066" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://guest:guest@h:5672/v", "amqp://guest:***@h:5672/v"),
        ("amqp://:p@h", "amqp://:***@h"),
        ("smtp://me:p@ss:w@rd@h:25", "smtp://me:***@h:25"),
        ("kafka://h:9092", "kafka://h:9092"),
        ("smtp://me@h:25", "smtp://me@h:25"),
        ("no answer from amqp://a:b@h, then smtp://c:d@i", "no answer from amqp://a:***@h, then smtp://c:***@i"),
        ("Shop <mail@shop.example>", "Shop <mail@shop.example>"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(
    st.integers(0, 10**6), st.sampled_from([("ms", 0.001), ("", 1), ("s", 1), ("m", 60), ("min", 60), ("h", 3600), ("d", 86400)])
)
def test_durations(number: int, unit: tuple[str, float]) -> None:
    for text in (f"{number}{unit[0]}", f" {number} {unit[0]} ", f"{number}.0{unit[0]}"):
        assert duration(text) == number * unit[1]


@pytest.mark.parametrize("text", ["", "s", "5 x", "5s5", "-5s", "+5", ".5", "5.", "1,5", "1_0", "5S"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration like 500ms, 5s, 10m or 1h"):
        duration(text)
