"""Creating contacts, and updating those that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from attrs import evolve

from contacts_core import operations
from contacts_core.models import Contact, Identifier, Outcome, Shape
from contacts_core.models.losses import differences, flattened
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.base import (
    Attempt,
    ChangeOperation,
    ReadBack,
    Standing,
    has_new_values,
    is_unchanged,
)
from contacts_core.plans.identity import as_update_of
from contacts_core.plans.payload import packed, unpacked
from contacts_core.plans.planning import lookup
from contacts_core.provider import FindsContacts, Flow, GetsContacts, Provider, UpsertsContacts

__all__ = ["UpsertContacts"]

BATCH_SIZE = 50  # contacts at least, so that the account's lists and fields are not read for each of them
NOT_THERE = "it is not there"


class UpsertContacts(ChangeOperation):
    """Create contacts, or update them by their ids.

    A change writes `Preview.written`, and it is made if a read shows what `Preview.shown` promises of it.
    """

    name = "upsert_contacts"
    capability = UpsertsContacts
    unmade = "not as it was to be written"
    leaves = False
    creates = "contact"
    read_back_path = "values"

    def batch_size(self, provider: Provider) -> int:
        """Return how many contacts are looked up and written together."""
        able = operations.require(provider, UpsertsContacts)
        found_together = provider.find_batch_size if isinstance(provider, FindsContacts) else 1
        return max(able.upsert_batch_size, found_together, BATCH_SIZE)

    def check(self, change: Change) -> str:
        """Return what contradicts itself: the contact has the identifiers and the id of the change."""
        contact = self.written(change)
        if not contact.identifiers:
            return "a contact without identifiers is to be written, and could not be recognised"
        if contact.id != change.contact or (contact.provider and not change.contact):
            return "a contact is to be written under another id than its own"
        if not change.contact and set(contact.identifiers) != set(change.identifiers):
            return "a contact is to be created with other identifiers than the plan lists"
        if bool(change.before) != bool(change.contact):
            return "a contact is to be updated without its values, or created with some"
        if change.contact and contact.provider != change.before.get("provider", ""):
            return "a contact is to be written as another vendor's"
        return self._check_before(change)

    def sought(self, change: Change) -> Sequence[Identifier]:
        """Return the identifiers that the contact does not have yet."""
        known = {*change.identifiers} if change.contact else set[Identifier]()
        return [each for each in self.written(change).identifiers if each not in known]

    def written(self, change: Change) -> Contact:
        """Return the contact that is written."""
        return unpacked(change.write, Contact)

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Write them all."""
        return attempt(self._name, lambda same: operations.upsert_contacts(provider, map(self.written, same), ()))

    def requests(self, batch: Sequence[Change], provider: Provider) -> int:
        """Return how many batches of the vendor's these are."""
        return ceil(len(batch) / operations.require(provider, UpsertsContacts).upsert_batch_size)

    def is_idempotent(self, changes: Sequence[Change], provider: Provider) -> bool:
        """Return whether they can be repeated: updates can, for they name the contact by its id."""
        return super().is_idempotent(changes, provider) or all(change.contact for change in changes)

    def items(self, change: Change) -> list[str]:
        """Return the name that the contact has in an outcome."""
        return [self._name(change)]

    def _name(self, change: Change) -> str:
        return self.written(change).display_id

    def standing(self, change: Change, contacts: Mapping[str, Contact]) -> Standing:
        """Return whether the contact can be written; see `ChangeOperation.standing`.

        An attempt that was cut off may have written it, or some of it, and a statement of consent may have created it:
        then it has nothing that was not there before and is not written, and writing it again changes nothing more.
        Lists do not count, for those that are written may have names and those that are read have ids.
        """
        wanted = self.written(change)
        if change.contact:
            contact = contacts.get(change.contact)
            if contact is None:
                return Standing.GONE
            overwritten = _unlike(wanted, contact)
            if not overwritten:
                return Standing.MADE
            taken = {i for each in contacts.values() if each.id != contact.id for i in each.identifiers}
            if has_new_values(change, contact, overwritten) or not taken.isdisjoint(self.sought(change)):
                return Standing.CHANGED
            ready = is_unchanged(change, contact) or _is_written_in_part(change, wanted, contact)
            return Standing.READY if ready else Standing.CHANGED
        identifiers = set(wanted.identifiers)
        having = [contact for contact in contacts.values() if not identifiers.isdisjoint(contact.identifiers)]
        if not having:
            return Standing.READY
        if len(having) > 1:
            return Standing.CHANGED
        if not _unlike(wanted, having[0]):
            return Standing.MADE
        return Standing.READY if _is_part_of(having[0], wanted) else Standing.CHANGED

    def located(self, change: Change, contacts: Mapping[str, Contact]) -> Change:
        """Return the change as it is written to the contact that was read; see `as_update_of`.

        One that is to be created may be there in part: the vendor might look for another of its identifiers, and create
        a second contact, or refuse to.
        """
        wanted = self.written(change)
        known = contacts.get(change.contact) if change.contact else None
        having = [each for each in contacts.values() if not {*wanted.identifiers}.isdisjoint(each.identifiers)]
        there = known or next(iter(having), None)
        if there is None:
            return change
        located = as_update_of(there, wanted)
        return change if located == wanted else evolve(change, write=packed(located))

    def reads_back_all(self, provider: Provider) -> bool:
        """Return whether every contact has to be read, because there is no look-up."""
        return not isinstance(provider, FindsContacts)

    def read_back(self, changes: Mapping[int, Change], provider: Provider) -> Flow[ReadBack]:
        """Compare each contact with what the provider said that it would show."""
        shape = yield from operations.read_shape(provider)
        found, unread = yield from self._find(changes, provider)
        unmade = {
            n: reason
            for n, change in changes.items()
            if n not in unread and (reason := _shortcoming(provider, self.written(change), found[n], shape))
        }
        return ReadBack(unmade, unread, _ids(found, unread))

    def new_ids(self, changes: Mapping[int, Change], provider: Provider) -> Flow[Mapping[int, str]]:
        """Look up those that were created, unless that means to read every contact."""
        created = {n: change for n, change in changes.items() if not change.contact}
        if not created or self.reads_back_all(provider):
            return {}
        return _ids(*(yield from self._find(created, provider)))

    def _find(
        self, changes: Mapping[int, Change], provider: Provider
    ) -> Flow[tuple[Mapping[int, Sequence[Contact]], Mapping[int, str]]]:
        """Return the contacts that each change is about, and why answers tell nothing of some."""
        known = {n: change for n, change in changes.items() if change.contact and isinstance(provider, GetsContacts)}
        read = yield from lookup.by_id(provider, [change.contact for change in known.values()])
        found: dict[int, list[Contact]] = {
            n: [read.contacts[change.contact]] if change.contact in read.contacts else [] for n, change in known.items()
        }
        others = {
            n: lookup.handles(provider, self.written(c).identifiers) for n, c in changes.items() if n not in known
        }
        look_up = yield from lookup.by_identifier(provider, (i for several in others.values() for i in several))
        unread: dict[int, str] = {}
        for n, identifiers in others.items():
            found[n] = list({each.id: each for i in identifiers for each in look_up.of(i)}.values())
            if doubt := next(filter(None, (_doubt(look_up, i) for i in identifiers)), ""):
                unread[n] = doubt
        return found, unread


def _ids(found: Mapping[int, Sequence[Contact]], unread: Mapping[int, str]) -> dict[int, str]:
    return {n: several[0].id for n, several in found.items() if len(several) == 1 and n not in unread}


def _doubt(look_up: lookup.LookUp, identifier: Identifier) -> str:
    if identifier in look_up.found.mismatched:
        return "the vendor answered with a contact that does not have it"
    return look_up.found.unasked.get(identifier, "")


def _shortcoming(provider: Provider, wanted: Contact, found: Sequence[Contact], shape: Shape) -> str:
    """Return what shows that a contact was not written as planned; empty if nothing does."""
    if not found:
        return NOT_THERE
    if len(found) > 1:
        return f"{len(found)} contacts have its identifiers"
    preview = operations.preview(provider, wanted, shape)
    promised = preview.shown_of_existing if wanted.id else preview.shown
    if promised is None:
        return "the account has no room for it any more"
    names = sorted(_unlike(evolve(promised, custom={**_cleared(wanted), **promised.custom}), found[0]))
    return f"it differs in {', '.join(names)}" if names else ""


def _cleared(contact: Contact) -> dict[str, None]:
    """Return the custom fields that are written without a value."""
    return {name: None for name, value in contact.custom.items() if value is None}


def _unlike(wanted: Contact, contact: Contact) -> frozenset[str]:
    """Return the names of what a contact has not as it is wanted, those included that are to be without a value."""
    emptied = {f"custom.{name}" for name in _cleared(wanted)}
    return differences(wanted, contact) | (emptied and emptied & flattened(contact).keys())


def _is_part_of(contact: Contact, wanted: Contact) -> bool:
    """Return whether a contact has nothing but what is to be written, and custom fields that are not written."""
    if not set(contact.identifiers) <= set(wanted.identifiers):
        return False
    custom = {name: value for name, value in contact.custom.items() if name in wanted.custom}  # vendors add their own
    own = evolve(contact, full_name=None, lists=None, created_at=None, updated_at=None, extra={}, custom=custom)
    return not differences(own, wanted)


def _is_written_in_part(change: Change, wanted: Contact, contact: Contact) -> bool:
    """Return whether a contact has become in nothing other than it is to be, but for lists that it was put on."""
    before, current = unpacked(change.before, Contact), set(contact.identifiers)
    if not set(change.identifiers) <= current <= {*change.identifiers, *wanted.identifiers}:
        return False
    known = evolve(before, full_name=None, lists=None, created_at=None, updated_at=None, extra={})
    written = flattened(wanted).keys() - differences(wanted, contact)
    return differences(known, contact) <= written and set(before.lists or ()) <= set(contact.lists or ())
