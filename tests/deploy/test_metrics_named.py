"""Alerts and dashboard ask for metrics, labels and values that there are, and the dashboard is one that Grafana can read."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final, cast, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from activity.jobs import JobState
from rabbit.web import Counting, Figures
from streams.metrics import PASSED_OVER, Metrics
from tables.users import Users
from tests.console.pages.showing import MAILER
from tests.processes import ROOT

DEPLOY: Final = ROOT / "deploy"
SCRAPED: Final = {"job", "instance"}
"""Labels that Prometheus gives itself."""


class NoUsers:
    """A table with a partition in which nobody waits."""

    def __init__(self) -> None:
        self.partitions_here: dict[int, object] = {0: self}
        self.waiting: list[bytes] = []

    def get(self, user: bytes) -> bytes | None:
        raise AssertionError(user)


def scraped() -> dict[str, dict[str, set[str]]]:
    """What a worker and a mailer tell to who scrapes them: the names, their labels, and the values of each."""
    metrics, counting = Metrics(cast(Users, NoUsers()), "python"), Counting(cast(Counting, None))
    metrics.count(0, dict.fromkeys(("logged", "late", "duplicate", "dead", "waiting", *PASSED_OVER), 1))
    counting.states = Counter(dict.fromkeys(get_args(JobState), 1))
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    for text in (metrics.text(), Figures(lambda: MAILER, counting).text()):
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for name, value in sample.labels.items():
                    labels.setdefault(name, set()).add(value)
    return found


def asked(name: str) -> list[str]:
    """The expressions of a file."""
    text = (DEPLOY / name).read_text()
    return re.findall(r"^\s+expr: (.+)$", text, re.MULTILINE) if name.endswith(".yml") else [one["expr"] for one in targets()]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    return found


def targets() -> Iterator[dict[str, Any]]:
    for panel in panels():
        yield from panel["targets"]


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json"])
def test_each_metric_label_and_value_is_told_by_a_process(name: str) -> None:
    told, expressions = scraped(), asked(name)
    assert len(expressions) > 5
    for expression in expressions:
        named = set(re.findall(r"\b(?:(?:chopar|process)_[a-z_]+|up\b)", expression))
        assert named, expression
        assert named <= told.keys(), expression
        labels = {label for metric in named for label in told[metric]} | SCRAPED
        for by in re.findall(r"\bby \(([^)]*)\)", expression):
            assert set(re.split(r",\s*", by)) <= labels, expression
        for metric, selector in re.findall(r"(\w+)\{([^}]*)\}", expression):
            for label, operator, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', selector):
                assert label in SCRAPED or value in told[metric][label], expression
                assert label not in SCRAPED or operator == "=~" or value in ("chopar-worker", "chopar-mailer"), expression


def test_a_legend_names_a_label_of_its_expression() -> None:
    told = scraped()
    for target in targets():
        (metric,) = re.findall(r"\b(?:(?:chopar|process)_[a-z_]+|up\b)", target["expr"])
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert label in told[metric] or label in SCRAPED, target
            assert f"by ({label})" in target["expr"] or "sum" not in target["expr"], target


def test_the_dashboard_is_whole_as_grafana_reads_it() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text())
    assert board["schemaVersion"] >= 36, "the first in which a data source is an object"
    assert board["uid"]
    assert board["title"]
    variables = {one["name"] for one in board["templating"]["list"]}
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(board))) <= variables
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["type"] in ("stat", "timeseries")
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels()], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], "one on another"
