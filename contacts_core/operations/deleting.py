"""Delete contacts, and remove identifiers from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contacts_core.errors import InvalidInput
from contacts_core.models import Identifier, Outcome
from contacts_core.operations.checks import check_id, require, sort_out
from contacts_core.operations.outcomes import completed
from contacts_core.provider import DeletesAllContacts, DeletesContacts, Flow, Provider, RemovesIdentifiers, flows


def delete_contacts(provider: Provider, ids: Iterable[str]) -> Flow[Outcome]:
    """Delete contacts by id. Ids that must not be sent become failures; nothing is sent for them."""
    able = require(provider, DeletesContacts)
    good, refused = sort_out(able, ids)
    operation = "delete_contacts"

    def delete(chunk: Sequence[str]) -> Flow[Outcome]:
        return completed(able, DeletesContacts, operation, able.delete_contacts(chunk), chunk)

    return (
        yield from flows.in_chunks(
            operation, able.name, good, able.delete_batch_size, able.concurrency, delete, str, refused
        )
    )


def delete_all_contacts(provider: Provider, confirm: str, name: str) -> Flow[Outcome]:
    """Delete every contact of the account.

    Args:
        provider: The account's provider.
        confirm: What the caller confirmed with.
        name: The account's name, which it must be.

    Raises:
        InvalidInput: It was not confirmed; nothing was sent.
    """
    able = require(provider, DeletesAllContacts)
    if confirm != name:
        raise InvalidInput(
            "delete_all_contacts was not confirmed, nothing was sent",
            hint=f"pass confirm={name!r} to delete all contacts",
        )
    flow = able.delete_all_contacts()
    return (yield from completed(able, DeletesAllContacts, "delete_all_contacts", flow, None))


def remove_identifier(provider: Provider, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
    """Remove one identifier from one contact."""
    able = require(provider, RemovesIdentifiers)
    check_id(able, contact_id)
    if not identifier.value.strip():
        raise InvalidInput("the identifier is blank")
    flow = able.remove_identifier(contact_id, identifier)
    return (yield from completed(able, RemovesIdentifiers, "remove_identifier", flow, [identifier.value]))
