"""`/api/jobs`: the emails and how far they are."""

from typing import Annotated, Any

import msgspec

from activity.events import rfc3339
from activity.jobs import JobClass, JobState
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.outcomes import Outcome
from console.masking import mask_address, mask_text
from console.problems import not_found
from console.routes import Call, Endpoint, Limit, NoQuery
from store.interfaces import JobList

JobId = Annotated[str, msgspec.Meta(max_length=64, description="The id of a job: the page after it.")]
User = Annotated[str, msgspec.Meta(max_length=512, description="Only jobs of this user.")]


class JobsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jobs in `state` `scheduled` come in the order of their time, the next one first; all others newest first."""

    limit: Limit = 50
    state: JobState | None = None
    user: User | None = None
    cursor: JobId | None = None


class EventName(msgspec.Struct, frozen=True):
    """Which event it was."""

    source: str
    id: str


class JobView(msgspec.Struct, frozen=True):
    """A job as it stands. `doubtful`: attempts of which nobody knows what came. `to` is masked without the token."""

    id: str
    state: JobState
    attempt: int
    reason: str
    user: str
    to: str
    rule: str
    job_class: JobClass = msgspec.field(name="class")
    task: str
    template: str
    event: EventName
    created: str
    updated: str
    due: str | None
    doubtful: int
    repeats: int


class AttemptView(msgspec.Struct, frozen=True):
    """An attempt; `outcome` is null while it is being made, else its `type` says which one it is."""

    number: int
    owner: str
    started: str
    finished: str | None
    outcome: Outcome | None


class JobPage(msgspec.Struct, frozen=True):
    """`next` is the `cursor` of the next page; null: there is none."""

    jobs: list[JobView]
    counts: dict[JobState, int]
    next: str | None
    masked: bool


class JobDetails(msgspec.Struct, frozen=True):
    """A job and each attempt at it, oldest first."""

    job: JobView
    attempts: list[AttemptView]
    masked: bool


def job_routes(jobs: JobList) -> list[Endpoint]:
    """The endpoints over a ledger."""

    async def list_jobs(call: Call[JobsQuery, None]) -> JobPage:
        return await list_page(jobs, call.query, shown=call.trusted)

    async def show_job(call: Call[NoQuery, None]) -> JobDetails:
        found = await jobs.job(call.path["id"])
        if found is None:
            raise not_found("there is no such job in the ledger; it may still wait on its queue", "id")
        return job_details(found, shown=call.trusted)

    return [
        Endpoint("/api/jobs", list_jobs, "The jobs, newest first.", JobPage, query=JobsQuery, problems=(404, 503)),
        Endpoint("/api/jobs/{id}", show_job, "A job and each attempt at it.", JobDetails, problems=(404, 503)),
    ]


async def list_page(jobs: JobList, query: JobsQuery, *, shown: bool) -> JobPage:
    """A page of them; `shown`: with addresses. Raises Problem if the cursor is no job's."""
    if query.cursor is not None and await jobs.job(query.cursor) is None:
        raise not_found("there is no such job; begin without a cursor", "cursor")
    if query.state == "scheduled":
        found = await jobs.scheduled(user=query.user, limit=query.limit, after=query.cursor)
    else:
        found = await jobs.jobs(state=query.state, user=query.user, limit=query.limit, after=query.cursor)
    views = [job_view(job, shown=shown) for job in found]
    return JobPage(views, await jobs.counts(), found[-1].id if len(found) == query.limit else None, not shown)


def job_details(history: JobHistory, *, shown: bool) -> JobDetails:
    """`shown`: with addresses."""
    attempts = [attempt_view(row, shown=shown) for row in history.attempts]
    return JobDetails(job_view(history.job, shown=shown), attempts, not shown)


def job_view(job: JobRow, *, shown: bool = True) -> JobView:
    """`shown`: with addresses."""
    return JobView(
        id=job.id,
        state=job.state,
        attempt=job.attempt,
        reason=job.reason if shown else mask_text(job.reason),
        user=job.user_id,
        to=job.recipient if shown or not job.recipient else mask_address(job.recipient),
        rule=job.rule,
        job_class=job.job_class,
        task=job.task,
        template=job.template,
        event=EventName(job.source, job.event_id),
        created=rfc3339(job.created),
        updated=rfc3339(job.updated),
        due=None if job.due is None else rfc3339(job.due),
        doubtful=job.doubtful,
        repeats=job.repeats,
    )


def attempt_view(row: AttemptRow, *, shown: bool = True) -> AttemptView:
    """`shown`: with what the far end said as it is, and what the task made."""
    finished = None if row.finished is None else rfc3339(row.finished)
    return AttemptView(row.number, row.owner, rfc3339(row.started), finished, row.outcome if shown else _masked(row.outcome))


def _masked(outcome: Outcome | None) -> Outcome | None:
    if outcome is None:
        return None
    changes: dict[str, Any] = {name: mask_text(getattr(outcome, name)) for name in ("reason", "reply") if hasattr(outcome, name)}
    if hasattr(outcome, "value"):
        changes["value"] = None
    return msgspec.structs.replace(outcome, **changes)
