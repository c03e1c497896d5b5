"""Whether a plan still holds in one account, before anything is changed. Pure flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from contacts_core.errors import PlanRefused
from contacts_core.models import Contact
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import is_unchanged
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.index_set import IndexSet
from contacts_core.plans.model import AccountPlan
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.plans.rows import IdentifierTable, elements, indexes_of_contacts
from contacts_core.provider import Flow, Provider, flows

__all__ = ["Recheck", "differences", "recheck", "same_account"]

CHUNK_SIZE = 1000  # contacts looked at together
GONE, UNCHANGED, CHANGED = 0, 1, 2


def same_account(part: AccountPlan, provider: Provider) -> Flow[None]:
    """Check that this is the account that the plan was made for.

    Raises:
        PlanRefused: It is another one.
    """
    if (yield from lookup.account_id(provider)) != part.account_id:
        raise PlanRefused(
            OurWords(f"{part.account} leads to another workspace than the one that the plan was made for"),
            hint="check the account's settings (base_url, workspace, key); for this workspace, make a new plan",
        )


class Recheck:
    """What has become of the contacts of one account since the plan was made. Only ids and identifiers count."""

    def __init__(self, view: AccountView) -> None:
        """Begin with nothing seen."""
        self._changes = view.changes
        self._states = bytearray(len(self._changes))
        self._same = bytearray(len(self._changes))
        self._new = set[str]()

    def see(self, contacts: Mapping[str, Contact]) -> None:
        """Take contacts that the plan would be about if it were made now."""
        known = indexes_of_contacts(self._changes, contacts)
        planned = elements(self._changes, known.values())
        for id, contact in contacts.items():
            if id not in known:
                self._new.add(id)
                continue
            change = planned[known[id]]
            self._states[known[id]] = UNCHANGED if is_unchanged(change, contact) else CHANGED
            self._same[known[id]] = set(contact.identifiers) == set(change.identifiers)

    @property
    def unchanged(self) -> IndexSet:
        """Indexes of changes whose contacts have the planned identifiers, but for those that are to be removed."""
        return IndexSet(len(self._states), (n for n, state in enumerate(self._states) if state == UNCHANGED))

    @property
    def differences(self) -> int:
        """How many contacts are gone, have other identifiers, or are affected now as well."""
        return self._same.count(0) + len(self._new)


def recheck(view: AccountView, provider: Provider, progress: Callable[[], object]) -> Flow[Recheck]:
    """Read the contacts that the plan would be about if it were made now.

    Args:
        view: The plan's part for the account.
        provider: The account's provider.
        progress: Called each time that some contacts were read.

    Raises:
        PlanRefused: The vendor answers a look-up with a contact that does not have the identifier.
    """
    seen = Recheck(view)

    def take(look_up: lookup.LookUp) -> None:
        if wrong := lookup.mismatch(look_up.found, view.part.title):
            raise PlanRefused(OurWords(f"{view.part.account}: {wrong}"))
        seen.see({contact.id: contact for several in look_up.found.matches.values() for contact in several})
        progress()

    wanted = IdentifierTable(identifier for person in view.plan.people for identifier in person.identifiers)
    yield from lookup.search(provider, wanted, take)
    given = (person.contact for person in view.plan.people if person.contact)
    for chunk in flows.chunks(given, CHUNK_SIZE):
        seen.see((yield from lookup.by_id(provider, chunk)).contacts)
        progress()
    return seen


def differences(old: Sequence[Change], new: Sequence[Change]) -> Iterator[str]:
    """Yield what two plans for one account differ in, in words. Only ids and identifiers count."""
    for chunk in flows.chunks(old, CHUNK_SIZE):
        found = _by_contact(new, [change.contact for change in chunk])
        yield from (f"contact {change.contact} is gone" for change in chunk if change.contact not in found)
        yield from (
            f"contact {change.contact} has other identifiers now"
            for change in chunk
            if change.contact in found and set(found[change.contact].identifiers) != set(change.identifiers)
        )
    for chunk in flows.chunks(new, CHUNK_SIZE):
        found = _by_contact(old, [change.contact for change in chunk])
        yield from (f"contact {c.contact} is affected now as well" for c in chunk if c.contact not in found)


def _by_contact(changes: Sequence[Change], ids: Sequence[str]) -> dict[str, Change]:
    known = indexes_of_contacts(changes, ids)
    rows = elements(changes, known.values())
    return {id: rows[n] for id, n in known.items()}
