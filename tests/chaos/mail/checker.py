"""Whether promises 1, 4 and 5 hold for jobs, told from what a run left behind and from the contract's words alone.

Nothing of Chopar is imported (`test_checker.py` holds that).

    lost        a job has not ended, or is said to be sent and no mail came
    once        more copies of a mail than can be accounted for: one that was answered, one for each attempt that the ledger
                calls `unknown`; or a mail before its time, or one that nobody asked for
    recorded    a failure that the ledger does not have as an attempt, or not for the reason that is true
    dead        a dead job is not in `email.dead` as it was published, with its reason; or something else is
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from tests.chaos.findings import Findings
from tests.chaos.mail.evidence import DEAD, AttemptRow, Evidence, Given, Handed, JobRow, Letter

ENDS: Final = ("sent", "dead", "unknown", "cancelled")
T = TypeVar("T", Handed, AttemptRow)


class _Case:
    """All that is known of one job."""

    def __init__(self, id: str, given: Given, handed: Sequence[Handed], row: JobRow | None, tried: Sequence[AttemptRow]) -> None:
        self.id, self.given, self.handed, self.row, self.tried = id, given, handed, row, tried
        self.kept = sum(mail.kept for mail in handed)
        self.outcomes = Counter(attempt.outcome for attempt in tried)


def check(evidence: Evidence, max_attempts: int) -> Findings:
    """Look at all of it."""
    findings = Findings()
    handed, tried = _by_job(evidence.handed), _by_job(evidence.attempts)
    rows = {row.id: row for row in evidence.jobs}
    letters: defaultdict[str, list[Letter]] = defaultdict(list)
    for letter in evidence.letters:
        if letter.queue != DEAD:
            findings.breaks("progress", f"{letter.headers.get('chopar-job')} still lies in {letter.queue}")
        else:
            letters[str(letter.headers.get("chopar-job", ""))].append(letter)
    for id, given in evidence.given.items():
        case = _Case(id, given, handed.get(id, ()), rows.get(id), tried.get(id, ()))
        _check_end(case, findings)
        _check_mails(case, findings)
        _check_attempts(case, findings)
        _check_dead(case, letters.pop(id, []), max_attempts, findings)
    _check_junk(evidence.junk, letters.pop("", []), findings)
    for id in (handed.keys() | rows.keys() | letters.keys()) - evidence.given.keys():
        findings.breaks("once", f"{id} was never given")
    for id in evidence.shelf:
        findings.breaks("lost", f"{id} still waits in the store")
    findings.count("jobs", len(evidence.given))
    findings.count("mails kept", sum(mail.kept for mail in evidence.handed))
    findings.count("repeats", sum(row.repeats for row in evidence.jobs))
    return findings


def _by_job(found: Sequence[T]) -> Mapping[str, Sequence[T]]:
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for one in found:
        groups[one.job].append(one)
    return groups


def _check_end(case: _Case, findings: Findings) -> None:
    """The job has ended, in one of the ways it may."""
    state = None if case.row is None else case.row.state
    findings.count(str(state))
    if state not in ENDS:
        findings.breaks("lost", f"{case.id} is {state}")
    elif state == "sent" and not case.kept:
        findings.breaks("lost", f"{case.id} is sent, and no mail came")
    elif state == "sent" and case.outcomes["sent"] != 1:
        findings.breaks("recorded", f"{case.id} is sent by {case.outcomes['sent']} attempts")
    if state == "sent" and case.given.hopeless:
        findings.breaks("recorded", f"{case.id} is sent, though it never could be")


def _check_mails(case: _Case, findings: Findings) -> None:
    """One mail, and one for each attempt of which nobody knows; none before its time."""
    spent = sum(str(one.detail.get("reply")).startswith("unknown:") for one in case.tried)
    accounted = case.outcomes["sent"] + case.outcomes["unknown"] + spent
    if case.kept > accounted:
        findings.breaks("once", f"{case.id}: {case.kept} mails, {dict(case.outcomes)} attempts")
    findings.count("mails repeated", max(0, case.kept - 1))
    for mail in case.handed:
        if mail.time < case.given.due:
            findings.breaks("once", f"{case.id}: a mail {case.given.due - mail.time:.3f} s before its time")


def _check_attempts(case: _Case, findings: Findings) -> None:
    """What the server saw the end of was claimed before, each by an attempt that is settled; no refusal is forgotten."""
    for outcome, number in case.outcomes.items():
        findings.count(f"attempts {outcome or 'unsettled'}", number)
    if case.outcomes[None]:
        findings.breaks("recorded", f"{case.id}: an attempt was never settled")
    if len(case.handed) > len(case.tried):
        findings.breaks("recorded", f"{case.id}: {len(case.handed)} mails handed over by {len(case.tried)} attempts")
    refusals = sum(mail.answer[:1] in ("4", "5") for mail in case.handed)
    dropped = sum(mail.answer.startswith("drop") for mail in case.handed)
    findings.count("refused by the server", refusals)
    findings.count("dropped by the server", dropped)
    known = case.outcomes["retry"] + case.outcomes["dead"] + case.outcomes["unknown"]
    if refusals + dropped > known:
        findings.breaks("recorded", f"{case.id}: {refusals} refused, {dropped} dropped, {dict(case.outcomes)} attempts")


def _check_dead(case: _Case, letters: Sequence[Letter], max_attempts: int, findings: Findings) -> None:
    """A dead job lies in `email.dead` as it was published, with the reason that the ledger has and that is true."""
    if case.row is None or case.row.state != "dead":
        if letters:
            findings.breaks("dead", f"{case.id} is in {DEAD}, and not dead")
        return
    findings.count(f"dead {case.row.reason}")
    findings.count("dead repeated", max(0, len(letters) - 1))
    if not letters:
        findings.breaks("dead", f"{case.id} is dead ({case.row.reason}), and not in {DEAD}")
    for letter in letters:
        if letter.body != case.given.body or letter.headers.get("chopar-reason") != case.row.reason:
            findings.breaks("dead", f"{case.id}: in {DEAD} for {letter.headers.get('chopar-reason')}, {case.row.reason} is true")
    if not _is_true(case, case.row.reason, max_attempts):
        findings.breaks("recorded", f"{case.id}: dead as {case.row.reason} after {dict(case.outcomes)}")


def _is_true(case: _Case, reason: str, max_attempts: int) -> bool:
    """Whether a job may be dead for this reason. No job of a run kills who does it."""
    if reason == "refused":
        return any(mail.answer.startswith("5") for mail in case.handed)
    if reason == "spent":
        return len(case.tried) >= max_attempts
    return reason == "bad-address" and case.given.hopeless and not case.handed


def _check_junk(junk: Sequence[bytes], letters: Sequence[Letter], findings: Findings) -> None:
    """What is no job lies in `email.dead` untouched."""
    found = Counter(letter.body for letter in letters)
    findings.count("junk", len(junk))
    for body in junk:
        if not found.pop(body, 0):
            findings.breaks("dead", f"{body!r} is not in {DEAD}")
    for body in found:
        findings.breaks("dead", f"{body!r} is in {DEAD}, and no junk")
    for letter in letters:
        if letter.headers.get("chopar-reason") not in ("not-json", "bad-job", "unknown-version"):
            findings.breaks("dead", f"{letter.body!r} is in {DEAD} for {letter.headers.get('chopar-reason')}")
