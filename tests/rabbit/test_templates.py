"""Templates: mistakes are found at start by file and line, or end one job; they never end a worker."""

from pathlib import Path

import msgspec
import pytest

from activity.errors import TemplateError
from activity.jobs import Job
from activity.outcomes import Dead
from activity.rules import parse_rules
from rabbit.templates import Rendered, Templates, expression
from tests.rabbit.orders import make_job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "welcome.subject.txt").write_text("Hello {{ data.name }}\n")
    (tmp_path / "welcome.txt").write_text("Hi {{ data.name }} & co\n")
    return tmp_path


def job(**data: object) -> Job:
    event = {**make_job().event, "data": data}
    return msgspec.structs.replace(make_job(), event=event)


def test_a_mail_of_text_alone(folder: Path) -> None:
    assert Templates(folder).render(job(name="Ann")) == Rendered("Hello Ann", "Hi Ann & co\n")


def test_html_is_escaped_and_text_is_not(folder: Path) -> None:
    (folder / "_layout.html").write_text("<body>{% block b %}{% endblock %}</body>")
    (folder / "welcome.html").write_text('{% extends "_layout.html" %}{% block b %}{{ data.name }}{% endblock %}')
    rendered = Templates(folder).render(job(name="<b>A&B</b>"))
    assert rendered == Rendered("Hello <b>A&B</b>", "Hi <b>A&B</b> & co\n", "<body>&lt;b&gt;A&amp;B&lt;/b&gt;</body>")


def test_a_template_may_show_where_its_mail_is_unsubscribed_from(folder: Path) -> None:
    (folder / "welcome.txt").write_text("{% if unsubscribe is defined %}{{ unsubscribe }}{% endif %}")
    templates = Templates(folder)
    with_link = msgspec.structs.replace(job(name="Ann"), unsubscribe="https://shop.example/u")
    assert [templates.render(one) for one in (with_link, job(name="Ann"))] == [
        Rendered("Hello Ann", "https://shop.example/u"),
        Rendered("Hello Ann", ""),
    ]


def test_a_line_break_in_the_subject_is_a_space(folder: Path) -> None:
    rendered = Templates(folder).render(job(name="Ann\r\nBcc: eve@evil.example"))
    assert isinstance(rendered, Rendered)
    assert rendered.subject == "Hello Ann Bcc: eve@evil.example"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ data.nickname }}", "nickname"),
        ("{{ data.name.first.second }}", "first"),
        ("{{ data.name / 2 }}", "TypeError"),
        ("{{ nothing }}", "nothing"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_what_can_not_be_filled_in_makes_the_job_dead(folder: Path, text: str, problem: str) -> None:
    (folder / "welcome.txt").write_text(text)
    outcome = Templates(folder).render(job(name="Ann"))
    assert isinstance(outcome, Dead)
    assert outcome.reason == "template"
    assert problem in outcome.reply


def test_a_key_of_the_event_goes_before_a_method_of_the_dict(folder: Path) -> None:
    (folder / "welcome.txt").write_text("{% for item in data.items %}{{ item }},{% endfor %}")
    rendered = Templates(folder).render(job(name="x", items=["a", "b"]))
    assert isinstance(rendered, Rendered)
    assert rendered.text == "a,b,"


def test_a_template_that_is_not_there_makes_the_job_dead(folder: Path) -> None:
    outcome = Templates(folder).render(msgspec.structs.replace(make_job(), template="../../etc/passwd"))
    assert isinstance(outcome, Dead)


@pytest.mark.parametrize("name", ["welcome.subject.txt", "welcome.txt", "welcome.html", "_part.html"])
def test_a_syntax_error_is_told_by_file_and_line(folder: Path, name: str) -> None:
    (folder / name).write_text("fine\n{% if %}\n")
    with pytest.raises(TemplateError, match=rf"^CHOPAR_TEMPLATES: .*{name}, line 2: "):
        Templates(folder)


def test_what_is_missing_is_told(folder: Path) -> None:
    with pytest.raises(TemplateError, match="CHOPAR_TEMPLATES: there is no folder"):
        Templates(folder / "nowhere")
    with pytest.raises(TemplateError, match=r"goodbye\.subject\.txt is missing, a rule names the template 'goodbye'"):
        Templates(folder).check(["welcome", "goodbye"])
    (folder / "welcome.txt").unlink()
    with pytest.raises(TemplateError, match=r"welcome\.txt is missing beside welcome\.subject\.txt"):
        Templates(folder)


def test_a_file_that_is_not_utf8_is_told(folder: Path) -> None:
    (folder / "welcome.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"welcome\.txt"):
        Templates(folder)


def test_expressions() -> None:
    assert expression("{{ data.email }}")({"data": {"email": "a@b"}}) == "a@b"
    assert expression("<{{ subject }}>")({"subject": "u&1"}) == "<u&1>"
    with pytest.raises(ValueError, match="email"):
        expression("{{ data.email }}")({"data": {}})
    with pytest.raises(ValueError, match="unexpected"):
        expression("{{ data.email }")
    with pytest.raises(ValueError, match="unsafe"):
        expression("{{ data.__class__.__mro__[1] }}")({"data": {}})


def test_the_shops_own_rules_and_templates_fit_together() -> None:
    templates = Templates(Path("templates"))
    parse_rules(Path("rules.toml").read_text(), "rules.toml", expression, templates.names)
    data = {
        "name": "Ann",
        "order": "A-1",
        "items": [{"quantity": 2, "name": "Rose", "price": 1.5}],
        "total": 3,
        "link": "https://x",
    }
    for name in templates.names:
        rendered = templates.render(msgspec.structs.replace(job(**data), template=name))
        assert isinstance(rendered, Rendered), rendered
        assert rendered.subject
        assert rendered.text.strip()
