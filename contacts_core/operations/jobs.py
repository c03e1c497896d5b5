"""Read the vendor's jobs, and wait for them."""

from __future__ import annotations

from collections.abc import Sequence

from contacts_core.errors import InvalidInput, JobTimeout
from contacts_core.models import Job, Outcome
from contacts_core.operations.checks import check_id, require
from contacts_core.operations.outcomes import completed_job
from contacts_core.provider import Flow, Provider, QueuesJobs, Sleep, flows


def poll_interval(provider: Provider) -> float:
    """Return the seconds between two reads of what the vendor does later, at most."""
    return provider.poll_interval if isinstance(provider, QueuesJobs) else QueuesJobs.poll_interval


def get_job(provider: Provider, job: Job | str) -> Flow[Job]:
    """Read a job as the vendor sees it now."""
    known = Job(provider=provider.name, id=job) if isinstance(job, str) else job
    if known.provider != provider.name:
        raise InvalidInput(f"job {known.id} belongs to {known.provider}, not to {provider.name}")
    able = require(provider, QueuesJobs)
    check_id(able, known.id)
    seen = yield from able.get_job(known)
    return completed_job(able, seen, known)


def wait(provider: Provider, jobs: Sequence[Job], timeout: float) -> Flow[list[Job]]:
    """Read the jobs, with pauses, until the vendor has finished all of them.

    Raises:
        JobTimeout: Jobs are pending after ``timeout`` seconds of pauses; it has the first one.
    """
    known = list(jobs)
    waited, pauses = 0.0, flows.pauses(poll_interval(provider))
    while open_jobs := [n for n, job in enumerate(known) if not job.finished]:
        if waited >= timeout:
            job = known[open_jobs[0]]
            raise JobTimeout(
                f"{len(open_jobs)} job(s) of {provider.name} still pending after {waited:.0f} s",
                job,
                hint=f"nothing is lost: read job {job.id} again later",
            )
        pause = min(next(pauses), timeout - waited)
        yield from Sleep(pause)
        waited += pause
        for n in open_jobs:
            known[n] = yield from get_job(provider, known[n])
    return known


def wait_for(provider: Provider, work: Outcome | Job, timeout: float) -> Flow[Outcome | Job]:
    """Wait for a job, or for all jobs of an outcome."""
    if isinstance(work, Job):
        return (yield from wait(provider, [work], timeout))[0]
    return work.with_jobs((yield from wait(provider, work.jobs, timeout)))
