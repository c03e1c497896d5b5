"""The parts of an outcome that a provider does not fill in: operation, provider, number of items."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve

from contacts_core.errors import Interrupted
from contacts_core.models import Job, Outcome
from contacts_core.provider import Flow, Provider, flows
from contacts_core.provider.outcomes import about, counted


def completed(
    provider: Provider,
    capability: type[Provider],
    operation: str,
    flow: Flow[Outcome],
    items: Collection[str] | int | None,
) -> Flow[Outcome]:
    """Run a method of a provider that changes something, and complete its outcome.

    Args:
        provider: The provider.
        capability: The capability whose method it is.
        operation: Name of the operation.
        flow: The method's flow.
        items: Names of the items that it was given; what the provider says of any other item is dropped. Their number
            where the vendor names them anew, as for contacts that it creates. None where only the vendor knows the
            items, as for the deletion of all contacts.

    Raises:
        Interrupted: The method was interrupted; the outcome that the error carries is completed as well.
    """
    emulated = capability in provider.read_modify_write
    try:
        outcome = yield from flow
    except Interrupted as error:
        cause = error.__cause__ or error
        reached = evolve(error.outcome, operation=operation, provider=provider.name, emulated=emulated)
        raise Interrupted(reached, error.uncertain, error.unsent, flows.reason(cause)) from cause
    if isinstance(items, int):
        outcome = counted(outcome, items)
    elif items is not None:
        outcome = counted(about(outcome, items), len(items))
    jobs = tuple(evolve(job, provider=provider.name, operation=operation) for job in outcome.jobs)
    return evolve(outcome, operation=operation, provider=provider.name, jobs=jobs, emulated=emulated)


def completed_job(provider: Provider, job: Job, known: Job) -> Job:
    """Return a job as read now, with what only the caller knows: provider, operation and number of items."""
    return evolve(
        job,
        provider=provider.name,
        operation=known.operation or job.operation,
        requested=known.requested or job.requested,
    )
