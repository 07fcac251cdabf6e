"""The forms that the pages send."""

from urllib.parse import parse_qsl

from aiohttp import web

from console.problems import Problem, bad

URLENCODED = "application/x-www-form-urlencoded"


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields; of two of a name the last. Raises Problem for what is no form of ours: they are in UTF-8, without files."""
    if not request.can_read_body:
        return {}
    if request.content_type != URLENCODED:
        raise Problem(415, f"a form was expected, as {URLENCODED}", "Content-Type")
    try:
        return dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
    except UnicodeDecodeError:
        raise bad("body", "the form is not in UTF-8") from None
