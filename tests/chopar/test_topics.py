"""`chopar topics` on a real Kafka."""

from pathlib import Path

import msgspec

from activity.names import DEAD, EVENTS, LOG, USERS_CHANGELOG
from tests.chopar.running import chopar


def test_they_are_created_once_and_found_right(kafka_url: str, tmp_path: Path) -> None:
    first = chopar("topics", "--json", kafka_url=kafka_url, data_dir=str(tmp_path))
    assert first.returncode == 0, first.stderr
    found = msgspec.json.decode(first.stdout)
    expected = [{"name": name, "partitions": 8, "problem": None} for name in (EVENTS, LOG, DEAD, USERS_CHANGELOG)]
    assert found["topics"] == expected
    again = chopar("topics", "--json", kafka_url=kafka_url, data_dir=str(tmp_path))
    assert msgspec.json.decode(again.stdout) == {"created": [], "topics": expected}
    shown = chopar("topics", "--check", kafka_url=kafka_url, data_dir=str(tmp_path))
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in (EVENTS, LOG, DEAD, USERS_CHANGELOG))


def test_another_number_of_partitions_is_exit_code_1_and_told_topic_by_topic(kafka_url: str, tmp_path: Path) -> None:
    chopar("topics", kafka_url=kafka_url, data_dir=str(tmp_path))
    result = chopar("topics", "--json", kafka_url=kafka_url, data_dir=str(tmp_path), partitions="3")
    assert result.returncode == 1
    problems = [topic["problem"] for topic in msgspec.json.decode(result.stdout)["topics"]]
    assert len(problems) == 4
    assert all("has 8 partitions, CHOPAR_PARTITIONS says 3" in problem for problem in problems)
