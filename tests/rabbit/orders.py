"""Jobs to test with."""

from activity.jobs import Job, JobClass, job_id


def make_job(number: int = 1, *, job_class: JobClass = "transactional", task: str = "email", to: str | None = None) -> Job:
    """The welcome mail of user number `number`."""
    user = f"u-{number}"
    event = {
        "id": f"e-{number}",
        "source": "/shop",
        "type": "user.signed_up",
        "subject": user,
        "time": None,
        "data": {"name": f"User {number}"},
    }
    return Job(
        id=job_id(user, "/shop", f"e-{number}", "welcome"),
        task=task,
        rule="welcome",
        job_class=job_class,
        user=user,
        to=to or f"{user}@example.com",
        template="welcome",
        event=event,
    )


def make_jobs(count: int) -> list[Job]:
    """`count` different jobs."""
    return [make_job(number) for number in range(1, count + 1)]
