"""What all pages have around them: which page it is, and whether the browser has shown the token."""

from typing import Any

import msgspec

from console.pages.rendering import render
from console.problems import Problem
from console.routes import Call


class Frame(msgspec.Struct, frozen=True):
    """`has_token`: the settings have one, so that what is shown depends on who asks."""

    has_token: bool

    def show(self, template: str, call: Call[Any, Any], here: str, **values: Any) -> str:
        """The page, for who asks. `here`: the entry of the navigation that it belongs to."""
        session = ("open" if call.trusted else "closed") if self.has_token else "none"
        back = call.request.raw_path if call.request.method == "GET" else call.request.rel_url.raw_path
        return render(template, here=here, session=session, back=back, **values)


def problem_page(problem: Problem) -> str:
    """What a person is shown instead of problem+json."""
    return render("problem.html", here="", session="none", back="/", problem=problem.details())
