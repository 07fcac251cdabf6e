"""Alerts and dashboard ask for metrics that there are."""

import re
from collections import Counter
from typing import cast

import pytest

from rabbit.web import Counting, Figures
from streams.metrics import Metrics
from tables.users import Users
from tests.console.pages.showing import MAILER
from tests.processes import ROOT


class NoUsers:
    """A table of which nothing is here."""

    def __init__(self) -> None:
        self.partitions_here: dict[int, object] = {}


def told() -> set[str]:
    """The names that a worker and a mailer tell."""
    counting = Counting(cast(Counting, None))
    counting.states = Counter(sent=1)
    texts = (Metrics(cast(Users, NoUsers()), "python").text(), Figures(lambda: MAILER, counting).text())
    return set(re.findall(r"^# TYPE (\S+)", b"".join(texts).decode(), re.MULTILINE))


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json"])
def test_each_metric_is_told_by_a_process(name: str) -> None:
    asked = set(re.findall(r"\b(?:chopar|process)_[a-z_]+", (ROOT / "deploy" / name).read_text()))
    assert len(asked) > 5
    assert asked <= told()
