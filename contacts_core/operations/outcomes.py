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

    def ours(said: Outcome) -> Outcome:
        if items is not None and not isinstance(items, int):
            said = about(said, items)
        jobs = tuple(evolve(job, provider=provider.name, operation=operation) for job in said.jobs)
        return evolve(said, operation=operation, provider=provider.name, jobs=jobs, emulated=emulated)

    try:
        outcome = ours((yield from flow))
    except Interrupted as error:
        cause = error.__cause__ or error
        reached = ours(error.outcome)
        raise Interrupted(reached, error.uncertain, error.unsent, flows.reason(cause)) from cause
    if items is None:
        return outcome
    return counted(outcome, items if isinstance(items, int) else len(items))


def completed_job(provider: Provider, job: Job, known: Job) -> Job:
    """Return a job as read now, with what only the caller knows: provider, operation and number of items."""
    return evolve(
        job,
        provider=provider.name,
        operation=known.operation or job.operation,
        requested=known.requested or job.requested,
    )
