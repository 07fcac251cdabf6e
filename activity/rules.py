"""The rules that turn events into jobs: a TOML file, checked whole when it is read."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from fnmatch import translate
from typing import Any, Final, cast, get_args

import msgspec

from activity import unsubscribe
from activity.errors import RuleError, SettingError
from activity.events import LogRecord, Refused
from activity.jobs import Job, JobClass, job_id
from activity.timing import AT_ONCE, KEYS, Timing, read_timing

UNSUBSCRIBE_SETTING: Final = "CHOPAR_UNSUBSCRIBE_URL"

Expression = Callable[[Mapping[str, Any]], str]
"""A compiled `{{ … }}` text. Raises ValueError, whose text names what is missing, when an event lacks something it needs."""


class Rule(msgspec.Struct, frozen=True):
    """Events whose type matches the glob `on` make a job for the address that `to` gives, due when `timing` says.

    `unsubscribe` gives the URL at which a bulk mail's recipient leaves the list; None: there is no list to leave.
    """

    name: str
    on: str
    to: Expression
    job_class: JobClass
    template: str
    unsubscribe: Expression | None = None
    timing: Timing = AT_ONCE


class Explained(msgspec.Struct, frozen=True):
    """What a rule makes of an event: a job, or none, and why not. `matches`: whether it is meant for events of this type."""

    rule: str
    matches: bool
    why: str
    job: Job | None = None


class Rules:
    """All rules, in the order of the file."""

    def __init__(self, rules: Collection[Rule]) -> None:
        self._rules = [(re.compile(translate(rule.on)), rule) for rule in rules]

    @property
    def names(self) -> list[str]:
        """The rules' names, in the order of the file."""
        return [rule.name for _, rule in self._rules]

    def jobs(self, record: LogRecord) -> tuple[list[Job], list[Refused]]:
        """The jobs that `record` leads to, and why a rule that matches could not make one."""
        matching = [rule for pattern, rule in self._rules if pattern.match(record.type)]
        if not matching:
            return [], []
        try:
            seen = event_view(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return [], [Refused("rule", f"data can't be read: {error}")]
        jobs, refused = [], []
        for rule in matching:
            try:
                jobs.append(_job(rule, record, seen))
            except ValueError as error:
                refused.append(Refused("rule", f"rule {rule.name}: {error}"))
        return jobs, refused

    def explain(self, record: LogRecord) -> list[Explained]:
        """What each rule makes of `record`, in the order of the file: the jobs of `jobs`, and why there are no others."""
        try:
            seen, problem = event_view(record), ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            seen, problem = {}, f"data can't be read: {error}"
        return [_explained(rule, pattern.match(record.type) is not None, record, seen, problem) for pattern, rule in self._rules]


def _explained(rule: Rule, matches: bool, record: LogRecord, seen: dict[str, Any], problem: str) -> Explained:
    if not matches:
        return Explained(rule.name, False, f"it is for events of type {rule.on}, this one is {record.type}")
    if problem:
        return Explained(rule.name, True, problem)
    try:
        return Explained(rule.name, True, f"it is for events of type {rule.on}", _job(rule, record, seen))
    except ValueError as error:
        return Explained(rule.name, True, str(error))


def event_view(record: LogRecord) -> dict[str, Any]:
    """What rules and templates see of an event: id, source, type, subject, time, data."""
    return {
        "id": record.id,
        "source": record.source,
        "type": record.type,
        "subject": record.subject,
        "time": record.time,
        "data": msgspec.json.decode(record.data),
    }


def _job(rule: Rule, record: LogRecord, seen: dict[str, Any]) -> Job:
    return Job(
        id=job_id(record.subject, record.source, record.id, rule.name),
        rule=rule.name,
        job_class=rule.job_class,
        user=record.subject,
        to=rule.to(seen),
        template=rule.template,
        event=seen,
        unsubscribe=_unsubscribe(rule, seen),
        send_at=rule.timing.due(record.received, seen),
        traceparent=record.traceparent,
    )


def _unsubscribe(rule: Rule, seen: dict[str, Any]) -> str | None:
    if rule.unsubscribe is None:
        return None
    url = rule.unsubscribe(seen)
    if not unsubscribe.is_one_click(url):
        raise ValueError(f"unsubscribe: {_NO_URL}")
    return url


# -- reading the file --------------------------------------------------------------------------------------------------

_KEYS: Final = ("name", "on", "to", "class", "template")
_OPTIONAL: Final = ("unsubscribe", *KEYS)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_NO_URL: Final = f"an https:// URL of printable ASCII was expected, {unsubscribe.LONGEST} characters at most; `urlencode` helps"


class _Words(msgspec.Struct, frozen=True):
    """What rules may name, and where bulk mails can be unsubscribed from if their rule does not say it."""

    compile: Callable[[str], Expression]
    templates: Collection[str]
    everywhere: Expression | None


def parse_rules(
    text: str,
    file: str,
    compile_expression: Callable[[str], Expression],
    templates: Collection[str],
    unsubscribe_url: str | None = None,
) -> Rules:
    """The rules in `text`; `unsubscribe_url` is for the bulk rules that have none of their own.

    Raises RuleError that names `file`, the line where the rule begins, and the key; SettingError if `unsubscribe_url` is wrong.
    """
    words = _Words(compile_expression, templates, _everywhere(unsubscribe_url, compile_expression))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(file, f"is no TOML: {error}") from None
    tables = document.pop("rule", [])
    if document:
        raise RuleError(file, f"there is no key {next(iter(document))!r}; a rules file has only [[rule]] tables")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RuleError(file, "a rule is written as a table [[rule]]")
    lines = [number for number, line in enumerate(text.split("\n"), 1) if re.match(r"\s*\[\[\s*rule\s*\]\]", line)]
    rules: list[Rule] = []
    for index, table in enumerate(tables):
        where = f"{file}, line {lines[index]}" if len(lines) == len(tables) else f"{file}, rule {index + 1}"
        rule = _rule(table, where, words)
        if any(rule.name == other.name for other in rules):
            raise RuleError(where, f"name: there is a rule {rule.name!r} already")
        rules.append(rule)
    return Rules(rules)


def _rule(table: dict[str, Any], where: str, words: _Words) -> Rule:
    for key in table:
        if key not in _KEYS + _OPTIONAL:
            raise RuleError(where, f"{key}: there is no such key; a rule has {', '.join(_KEYS + _OPTIONAL)}")
    for key in (*_KEYS, *(key for key in _OPTIONAL if key in table)):
        if not isinstance(table.get(key), str) or not table[key]:
            raise RuleError(where, f"{key}: a text was expected")
    if _NAME.fullmatch(table["name"]) is None:
        raise RuleError(where, "name: small letters, digits, - and _ were expected, 64 at most; it is part of a routing key")
    if table["class"] not in get_args(JobClass):
        raise RuleError(where, f"class: one of {', '.join(get_args(JobClass))} was expected, not {table['class']!r}")
    if table["template"] not in words.templates:
        there = ", ".join(sorted(words.templates))
        raise RuleError(where, f"template: there is no template {table['template']!r}; there are: {there}")
    try:
        to = words.compile(table["to"])
    except ValueError as error:
        raise RuleError(where, f"to: {error}") from None
    leave = _leave(table, where, words)
    try:
        timing = read_timing(table, words.compile)
    except ValueError as error:
        raise RuleError(where, str(error)) from None
    return Rule(table["name"], table["on"], to, cast(JobClass, table["class"]), table["template"], leave, timing)


def _leave(table: dict[str, Any], where: str, words: _Words) -> Expression | None:
    """Where the rule's mails can be unsubscribed from. Every bulk rule says it: without it the large receivers refuse them."""
    text = table.get("unsubscribe")
    if table["class"] != "bulk":
        if text is not None:
            raise RuleError(where, "unsubscribe: only a rule of class bulk has it; others answer what a user did")
        return None
    if text == unsubscribe.NONE:
        return None
    if text is None:
        if words.everywhere is None:
            remedy = f'{_EXAMPLE}, or "{unsubscribe.NONE}" for a mailing without a list, or set {UNSUBSCRIBE_SETTING}'
            raise RuleError(where, f"unsubscribe: a rule of class bulk needs it (RFC 8058): {remedy}")
        return words.everywhere
    try:
        return _link(text, words.compile)
    except ValueError as error:
        raise RuleError(where, f"unsubscribe: {error}") from None


_EXAMPLE: Final = "https://shop.example/u?user={{ subject | urlencode }}"


def _everywhere(text: str | None, compile_expression: Callable[[str], Expression]) -> Expression | None:
    try:
        return None if text is None else _link(text, compile_expression)
    except ValueError as error:
        raise SettingError(UNSUBSCRIBE_SETTING, str(error)) from None


def _link(text: str, compile_expression: Callable[[str], Expression]) -> Expression:
    if not unsubscribe.promises_one_click(text):
        raise ValueError(f"a text that begins with https:// was expected, like {_EXAMPLE}")
    return compile_expression(text)
