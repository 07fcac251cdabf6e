"""The settings: `CHOPAR_…` variables, read once into one frozen object."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

import msgspec

from activity.domains import DomainLimits, parse_limits
from activity.errors import SettingError
from activity.outcomes import Kind
from activity.retry import Span
from activity.smtp_url import parse_smtp_url

PREFIX: Final = "CHOPAR_"


class RetryKinds(msgspec.Struct, frozen=True):
    """The backoff of attempts that failed in a certain way; the others have RETRY_BASE and RETRY_CAP."""

    text: str = ""
    spans: Mapping[Kind, Span] = {}

    def __str__(self) -> str:
        return self.text


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Durations are seconds. A URL that is None means: what `chopar up` started here."""

    kafka_url: str | None = None
    rabbit_url: str | None = None
    rabbit_management_url: str | None = None
    smtp_url: str | None = None
    store_url: str = ""
    mail_from: str = "Chopar <chopar@localhost>"
    rules: Path = Path("rules.toml")
    templates: Path = Path("templates")
    unsubscribe_url: str | None = None
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    web_url: str | None = None
    trace_url: str | None = None
    mailer_port: int | None = None
    api_token: str | None = None
    data_dir: Path = Path(".chopar")
    partitions: int = 8
    mail_workers: int = 4
    gap_timeout: float = 5.0
    quiet_after: float = 7 * 86400.0
    table_store: Literal["memory", "rocksdb"] = "memory"
    core: Literal["auto", "python"] = "auto"
    max_attempts: int = 8
    retry_base: float = 1.0
    retry_cap: float = 3600.0
    retry_kinds: RetryKinds = RetryKinds()
    domain_limits: DomainLimits = DomainLimits()
    unknown_outcome: Literal["resend", "hold"] = "resend"
    smtp_timeout: float = 30.0
    maven_url: str | None = None

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "api_token"}
        return f"Settings({', '.join(f'{name}={redact(str(value))}' for name, value in shown.items())})"


def parse_settings(*sources: Mapping[str, str | None]) -> Settings:
    """The settings in `sources`; an earlier source wins. Other variables than `CHOPAR_…` are passed over.

    Raises SettingError that names the variable and what was expected.
    """
    values: dict[str, Any] = {}
    for source in sources:
        for name, text in source.items():
            if not name.startswith(PREFIX) or text is None or text == "":
                continue
            field = name.removeprefix(PREFIX).lower()
            if field not in _READERS or name != name.upper():
                raise SettingError(name, f"there is no such setting; there are: {', '.join(variables())}")
            if field not in values:
                values[field] = _read(name, _READERS[field], text)
    settings = Settings(**values)
    if not settings.store_url:
        settings = msgspec.structs.replace(settings, store_url=f"sqlite:///{settings.data_dir / 'chopar.db'}")
    if settings.retry_base > settings.retry_cap:
        raise SettingError(f"{PREFIX}RETRY_BASE", f"must not be longer than {PREFIX}RETRY_CAP ({settings.retry_cap:g} s)")
    if settings.api_token is None and settings.web_host not in LOOPBACK:
        raise SettingError(f"{PREFIX}WEB_HOST", f"without {PREFIX}API_TOKEN only one of {', '.join(LOOPBACK)} is allowed")
    return settings


def variables() -> list[str]:
    """The names of all settings as environment variables."""
    return [f"{PREFIX}{field.upper()}" for field in Settings.__struct_fields__]


def redact(url: str) -> str:
    """`url` without its password, fit for a log line; the password ends at the last `@`, it may have one itself."""
    return re.sub(r"(//[^:/@]*):\S*@", r"\1:***@", url)


TRACE_ID: Final = "{trace_id}"
"""What stands for the trace's id in TRACE_URL."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """`"5 s"`, `"500ms"`, `"1h"` or a bare number of seconds, in seconds. Raises ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise ValueError("expected a duration like 500ms, 5s, 10m or 1h")
    return float(match[1]) * _UNITS[match[2]]


def _read(name: str, reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise SettingError(name, str(error)) from None


def _url(*schemes: str) -> Callable[[str], str]:
    expected = f"expected a URL like {schemes[0]}://host:port (schemes: {', '.join(schemes)})"

    def read(text: str) -> str:
        try:
            parts = urlsplit(text)
            port_is_valid = parts.port is None or 0 < parts.port < 65536
        except ValueError:
            raise ValueError(expected) from None
        if parts.scheme not in schemes or not port_is_valid or not (parts.hostname or parts.scheme == "sqlite"):
            raise ValueError(expected)
        return text

    return read


def _trace_url(text: str) -> str:
    if text.count(TRACE_ID) != 1 or re.search(r"[{}\s\x00-\x1f\x7f]", text.replace(TRACE_ID, "")):
        raise ValueError(f"expected a URL with {TRACE_ID} in it, like https://traces.example/trace/{TRACE_ID}")
    _url("https", "http")(text.replace(TRACE_ID, "0"))
    return text


def _smtp(text: str) -> str:
    parse_smtp_url(text)
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return read


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        seconds = duration(text)
        if not low <= seconds <= high:
            raise ValueError(f"expected a duration from {low:g} s to {high:g} s")
        return seconds

    return read


def _retry_kinds(text: str) -> RetryKinds:
    expected = f"expected like `connection=1s..1m; busy=30s..10m` (kinds: {', '.join(get_args(Kind))})"
    spans: dict[Kind, Span] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = re.fullmatch(r"([a-z]+)\s*=\s*([^.]+(?:\.\d[^.]*)?)\.\.(.+)", entry)
        if match is None or match[1] not in get_args(Kind) or match[1] in spans:
            raise ValueError(f"{expected}, not {entry[:60]!r}")
        span = Span(_seconds(0.1, 4096)(match[2]), _seconds(1, 86400)(match[3]))
        if span.base > span.cap:
            raise ValueError(f"expected the first duration not to be longer than the second in {entry[:60]!r}")
        spans[cast(Kind, match[1])] = span
    return RetryKinds(text, spans)


def _mailbox(text: str) -> str:
    if not re.fullmatch(r"(?:[^\r\n<>]*<[^\s<>@]+@[^\s<>@]+>)|[^\s<>@]+@[^\s<>@]+", text):
        raise ValueError("expected an address like `Shop <mail@shop.example>`")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {' or '.join(f'`{word}`' for word in words)}")
        return text

    return read


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "kafka_url": _url("kafka"),
    "rabbit_url": _url("amqp", "amqps"),
    "rabbit_management_url": _url("http", "https"),
    "smtp_url": _smtp,
    "store_url": _url("sqlite", "postgresql"),
    "mail_from": _mailbox,
    "rules": Path,
    "templates": Path,
    "unsubscribe_url": str,
    "web_host": str,
    "web_port": _whole(1, 65535),
    "web_url": _url("http", "https"),
    "trace_url": _trace_url,
    "mailer_port": _whole(1, 65535),
    "api_token": str,
    "data_dir": Path,
    "partitions": _whole(1, 1024),
    "mail_workers": _whole(1, 64),
    "gap_timeout": _seconds(0.1, 86400),
    "quiet_after": _seconds(1, 1000 * 86400),
    "table_store": _one_of("memory", "rocksdb"),
    "core": _one_of("auto", "python"),
    "max_attempts": _whole(1, 100),
    "retry_base": _seconds(0.1, 4096),
    "retry_cap": _seconds(1, 86400),
    "retry_kinds": _retry_kinds,
    "domain_limits": parse_limits,
    "unknown_outcome": _one_of("resend", "hold"),
    "smtp_timeout": _seconds(1, 600),
    "maven_url": _url("https", "http"),
}
