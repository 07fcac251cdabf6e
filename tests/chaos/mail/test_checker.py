"""The checker of the mail side finds what is planted; the traffic is a seed's alone."""

from itertools import islice
from typing import Any

import pytest

from tests.chaos.independence import imported
from tests.chaos.mail import checker, evidence
from tests.chaos.mail.checker import check
from tests.chaos.mail.evidence import DEAD, AttemptRow, Evidence, Given, Handed, JobRow, Letter
from tests.chaos.mail.traffic import PUT_OFF, Traffic, answer

GIVEN = {
    "fine": Given(b"fine"),
    "doubtful": Given(b"doubtful", due=5.0),
    "retried": Given(b"retried"),
    "refused": Given(b"refused", hopeless=True),
    "nowhere": Given(b"nowhere", hopeless=True),
}
JOBS = [
    JobRow("fine", "sent", "", 0),
    JobRow("doubtful", "sent", "", 2),
    JobRow("retried", "sent", "", 0),
    JobRow("refused", "dead", "refused", 0),
    JobRow("nowhere", "dead", "bad-address", 0),
]
ATTEMPTS = [
    AttemptRow("fine", 1, "sent", {}),
    AttemptRow("doubtful", 1, "unknown", {}),
    AttemptRow("doubtful", 2, "sent", {}),
    AttemptRow("retried", 1, "retry", {}),
    AttemptRow("retried", 2, "sent", {}),
    AttemptRow("refused", 1, "dead", {"reply": "550 no"}),
    AttemptRow("nowhere", 1, "dead", {}),
]
HANDED = [
    Handed("fine", 1.0, True, ""),
    Handed("doubtful", 6.0, True, "drop-after"),
    Handed("doubtful", 7.0, True, ""),
    Handed("retried", 1.0, False, "450 later"),
    Handed("retried", 2.0, True, ""),
    Handed("refused", 1.0, False, "550 no"),
]


def letter(job: str, reason: str, body: bytes | None = None, queue: str = DEAD) -> Letter:
    headers = {"chopar-reason": reason, **({"chopar-job": job} if job else {})}
    return Letter(queue, job.encode() if body is None else body, headers)


LETTERS = [letter("refused", "refused"), letter("nowhere", "bad-address"), letter("", "not-json", b"junk")]
RIGHT = Evidence(GIVEN, [b"junk"], HANDED, JOBS, ATTEMPTS, [], LETTERS)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    findings = check(RIGHT, max_attempts=3)
    assert findings.broken == {}
    assert findings.counts["mails repeated"] == 1
    assert findings.counts["attempts unknown"] == 1


def changed(**changes: Any) -> Evidence:
    return RIGHT._replace(**changes)


def spent(tries: int) -> Evidence:
    """The refused job, dead as spent after so many tries."""
    jobs = [*JOBS[:3], JobRow("refused", "dead", "spent", 0), JOBS[4]]
    tried = [AttemptRow("refused", number, "retry", {}) for number in range(2, tries + 1)]
    return changed(jobs=jobs, attempts=ATTEMPTS + tried, letters=[letter("refused", "spent"), *LETTERS[1:]])


@pytest.mark.parametrize(
    ("planted", "promise", "says"),
    [
        (changed(handed=HANDED[1:]), "lost", "fine is sent, and no mail came"),
        (changed(jobs=JOBS[1:]), "lost", "fine is None"),
        (changed(jobs=[JobRow("fine", "waiting", "", 0), *JOBS[1:]]), "lost", "fine is waiting"),
        (changed(shelf=["fine"]), "lost", "fine still waits in the store"),
        (changed(handed=[*HANDED, HANDED[0]]), "once", "fine: 2 mails"),
        (changed(handed=[*HANDED, HANDED[2]]), "once", "doubtful: 3 mails"),
        (changed(handed=[*HANDED, Handed("stranger", 1.0, True, "")]), "once", "stranger was never given"),
        (changed(jobs=[*JOBS, JobRow("stranger", "sent", "", 0)]), "once", "stranger was never given"),
        (
            changed(handed=[*HANDED[:1], Handed("doubtful", 4.5, True, "drop-after"), *HANDED[2:]]),
            "once",
            "0.500 s before its time",
        ),
        (changed(attempts=[*ATTEMPTS, AttemptRow("fine", 2, "sent", {})]), "recorded", "sent by 2 attempts"),
        (changed(attempts=[*ATTEMPTS, AttemptRow("fine", 2, None, {})]), "recorded", "never settled"),
        (changed(attempts=[*ATTEMPTS[:3], *ATTEMPTS[4:]]), "recorded", "retried: 2 mails handed over by 1"),
        (changed(handed=[*HANDED, HANDED[3]]), "recorded", "retried: 2 refused"),
        (changed(jobs=[*JOBS[:3], JobRow("refused", "sent", "", 0), JOBS[4]]), "recorded", "though it never could be"),
        (changed(letters=LETTERS[1:]), "dead", "refused is dead (refused), and not in email.dead"),
        (changed(letters=[letter("refused", "spent"), *LETTERS[1:]]), "dead", "for spent, refused is true"),
        (changed(letters=[letter("refused", "refused", b"altered"), *LETTERS[1:]]), "dead", "in email.dead for"),
        (changed(letters=[*LETTERS, letter("fine", "refused")]), "dead", "fine is in email.dead, and not dead"),
        (changed(letters=LETTERS[:2]), "dead", "b'junk' is not in email.dead"),
        (changed(letters=[*LETTERS, letter("", "not-json", b"other")]), "dead", "and no junk"),
        (changed(letters=[*LETTERS[:2], letter("", "spent", b"junk")]), "dead", "for spent"),
        (changed(letters=[*LETTERS, letter("fine", "", queue="email.bulk")]), "progress", "fine still lies in email.bulk"),
        (spent(2), "recorded", "dead as spent after"),
    ],
)
def test_what_is_planted_is_found(planted: Evidence, promise: str, says: str) -> None:
    broken = check(planted, max_attempts=3).broken
    assert any(says in line for line in broken.get(promise, [])), broken


def test_a_job_may_be_dead_of_too_many_tries() -> None:
    assert check(spent(3), max_attempts=3).broken == {}


def test_the_checker_has_rules_of_its_own() -> None:
    assert imported(checker, evidence) == set()


def test_a_seed_makes_the_same_jobs_and_answers_again() -> None:
    def recipients(seed: int) -> list[Any]:
        traffic = Traffic(seed)
        letters = list(islice(iter(traffic), 3000))
        return [(letter.key, letter.headers) for letter in letters] + traffic.junk

    assert recipients(1) == recipients(1) != recipients(2)
    answers = [answer(1, f"some-{number}@shop.example", 1) for number in range(5000)]
    assert answers == [answer(1, f"some-{number}@shop.example", 1) for number in range(5000)]
    assert answers != [answer(1, f"some-{number}@shop.example", 2) for number in range(5000)]
    assert abs(sum(one.startswith("450") for one in answers) / 5000 - PUT_OFF) < 0.02
    assert {"drop", "drop-after", "drop-before"} < set(answers)
