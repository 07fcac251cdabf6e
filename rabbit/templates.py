"""Mail templates: a folder of Jinja2 files, all compiled at start, so that a mistake is found before a mail is due.

`welcome.subject.txt` and `welcome.txt` make the template `welcome`; `welcome.html` is optional. Files whose name begins
with `_` are parts that others include or extend.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activity.errors import TemplateError
from activity.jobs import Job
from activity.outcomes import Dead

SETTING = "CHOPAR_TEMPLATES"
SUBJECT, TEXT, HTML = ".subject.txt", ".txt", ".html"


class Rendered(msgspec.Struct, frozen=True):
    """What a mail says. The subject is one line."""

    subject: str
    text: str
    html: str | None = None


class _Environment(ImmutableSandboxedEnvironment):
    """Sandboxed, since what a rule or template names may come from an event; `data.items` is the event's, not the dict's."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Parts(msgspec.Struct, frozen=True):
    subject: jinja2.Template
    text: jinja2.Template
    html: jinja2.Template | None


class Templates:
    """All templates of a folder, compiled. Raises TemplateError that names the file and the line."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise TemplateError(SETTING, f"there is no folder {folder}")
        self._folder = folder
        self._environment = _Environment(
            loader=jinja2.FileSystemLoader(folder),
            undefined=jinja2.StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(HTML),
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        files = sorted(path.name for path in folder.iterdir() if path.name.endswith((TEXT, HTML)))
        compiled = {name: self._compile(name) for name in files}
        names = {name.removesuffix(SUBJECT) for name in files if name.endswith(SUBJECT) and not name.startswith("_")}
        self._parts = {name: self._together(name, compiled) for name in names}

    @property
    def names(self) -> Collection[str]:
        """The templates there are, for whoever checks the rules."""
        return self._parts.keys()

    def check(self, names: Iterable[str]) -> None:
        """Raises TemplateError that names the missing file if one of these is not there."""
        for name in names:
            if name not in self._parts:
                raise TemplateError(SETTING, f"{self._folder / (name + SUBJECT)} is missing, a rule names the template {name!r}")

    def render(self, job: Job) -> Rendered | Dead:
        """The mail of `job`; `Dead("template")` if its template can't be filled in from its event.

        A template sees the event and, where the job has one, the link `unsubscribe`.
        """
        parts = self._parts.get(job.template)
        if parts is None:
            return Dead("template", f"there is no template {job.template[:100]!r}")
        seen = job.event if job.unsubscribe is None else {**job.event, "unsubscribe": job.unsubscribe}
        try:
            subject = " ".join(parts.subject.render(seen).split())
            html = None if parts.html is None else parts.html.render(seen)
            return Rendered(subject, parts.text.render(seen), html)
        except Exception as error:  # noqa: BLE001 - a template may call any filter on any value
            return Dead("template", f"{job.template}: {type(error).__name__}: {error}")

    def _compile(self, name: str) -> jinja2.Template:
        try:
            template = self._environment.get_template(name)
            template.globals = dict(template.globals)  # a ChainMap, which each rendering would walk through in Python
            return template
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(SETTING, f"{self._folder / (error.name or name)}, line {error.lineno}: {error.message}") from None
        except (OSError, UnicodeDecodeError, jinja2.TemplateNotFound) as error:
            raise TemplateError(SETTING, f"{self._folder / name}, line 1: can't be read ({error})") from None

    def _together(self, name: str, compiled: Mapping[str, jinja2.Template]) -> _Parts:
        if name + TEXT not in compiled:
            raise TemplateError(SETTING, f"{self._folder / (name + TEXT)} is missing beside {name + SUBJECT}")
        return _Parts(compiled[name + SUBJECT], compiled[name + TEXT], compiled.get(name + HTML))


def expression(text: str) -> Callable[[Mapping[str, Any]], str]:
    """A rule's `to`, as a function of the event (id, source, type, subject, time, data).

    Raises ValueError if `text` is no template. The function raises ValueError if the event lacks what `text` names.
    """
    try:
        template = _EXPRESSIONS.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{text[:100]!r}: {error.message}") from None

    def evaluate(event: Mapping[str, Any]) -> str:
        try:
            return template.render(event)
        except Exception as error:  # noqa: BLE001 - an expression may call any filter on any value
            raise ValueError(f"{text[:100]!r}: {error}") from None

    return evaluate


_EXPRESSIONS = _Environment(undefined=jinja2.StrictUndefined, autoescape=False)
