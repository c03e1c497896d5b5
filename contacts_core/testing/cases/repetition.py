"""Cases: a change that is asked for a second time while the first request for it is still under way.

This is what a crash leads to: nobody knows whether the request that was under way has arrived, or is still to arrive,
when the change is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from contacts_core.errors import ContactsError
from contacts_core.models import FieldType, Outcome
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    DeletesContacts,
    GetsContacts,
    Provider,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
)
from contacts_core.testing.cases.changes import ChangeCases, Maker
from contacts_core.testing.cases.shared import case
from contacts_core.testing.harness import Harness
from contacts_core.testing.records import Change, Records, judge

__all__ = ["RepetitionCases"]

PEOPLE = 24
MOST_PLACES = 8  # requests of a change that are tried
SETTLE_S = 120.0  # virtual seconds for a vendor to do what it accepted
NAME = "contract_kit_repeated"


class RepetitionCases(ChangeCases):
    """What repetitions promise: nothing more is changed, unless the provider says that this cannot be promised."""

    @case(UpsertsContacts, stored=True, one_client=True, contacts=0)
    def test_a_contact_is_created_once_however_often_it_is_written(self, harness: Harness) -> None:
        found: list[int] = []
        for place in range(MOST_PLACES):
            before = self.records(harness)
            change = self.writing(harness, before, place)
            reached = self._overlap(harness, change.act, place)
            (identifier,) = change.new
            fresh = [each for id, each in self.records(harness).items() if id not in before]
            found.append(sum(identifier in each.identifiers for each in fresh))
            if not reached:
                break
        self._judge(UpsertsContacts, "contacts with one address", found)

    @case(CreatesLists, ReadsLists, one_client=True, contacts=0)
    def test_a_list_is_created_once_however_often_it_is_asked_for(self, harness: Harness) -> None:
        self._create(
            harness,
            CreatesLists,
            "lists of one name",
            lambda client, name: client.ensure_list(name),
            lambda client: [each.name for each in client.lists()],
        )

    @case(CreatesCustomFields, ReadsCustomFields, one_client=True, contacts=0)
    def test_a_field_is_created_once_however_often_it_is_asked_for(self, harness: Harness) -> None:
        assert issubclass(self.provider, CreatesCustomFields)
        type_: FieldType = next(iter(self.provider.field_types))
        self._create(
            harness,
            CreatesCustomFields,
            "custom fields of one name",
            lambda client, name: client.create_custom_field(name, type_),
            lambda client: [each.name for each in client.custom_fields()],
        )

    @case(CreatesConsentScopes, one_client=True, contacts=0)
    def test_a_scope_is_created_once_however_often_it_is_asked_for(self, harness: Harness) -> None:
        self._create(
            harness,
            CreatesConsentScopes,
            "scopes of one name",
            lambda client, name: client.ensure_consent_scopes([name]),
            lambda client: client.run(client.provider.consent_scopes()),
        )

    @case(DeletesContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_a_repeated_deletion_changes_nothing_more(self, harness: Harness) -> None:
        self._repeat(harness, self.deletion)

    @case(RemovesIdentifiers, stored=True, one_client=True, contacts=PEOPLE)
    def test_a_repeated_removal_of_an_identifier_changes_nothing_more(self, harness: Harness) -> None:
        self._repeat(harness, self.removal, _anybody_with_several_identifiers)

    @case(RemovesFromLists, stored=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_a_repeated_removal_from_a_list_changes_nothing_more(self, harness: Harness) -> None:
        self._repeat(harness, self.leaving)

    @case(AddsToLists, stored=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_a_repeated_addition_to_a_list_changes_nothing_more(self, harness: Harness) -> None:
        self._repeat(harness, self.joining)

    @case(ChangesContacts, GetsContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_a_repeated_change_of_fields_changes_nothing_more(self, harness: Harness) -> None:
        self._repeat(harness, self.field_change)

    # -- how they are repeated

    def _overlap(self, harness: Harness, act: Callable[[Any], Any], place: int) -> bool:
        """Make a change, and make it a second time just before the request at this place is sent.

        Returns:
            Whether the change sends so many requests.
        """
        sent = 0
        second = harness.open_client()

        def repeat() -> float:
            nonlocal sent
            sent += 1
            if sent == place + 1:
                self._settle(second, act)
            return inf

        remove = harness.client.add_before_send(repeat)
        try:
            self._settle(harness.client, act, remove)
        finally:
            remove()
        harness.time.sleep(SETTLE_S)
        return sent > place

    @staticmethod
    def _settle(client: Any, act: Callable[[Any], Any], sent: Callable[[], object] = lambda: None) -> None:
        """Make a change, say that it is sent, and wait for its jobs; a vendor may refuse what is there already."""
        with suppress(ContactsError):
            outcome = act(client)
            sent()
            if isinstance(outcome, Outcome):
                client.wait(outcome, timeout=600)

    def _create(
        self,
        harness: Harness,
        capability: type[Provider],
        what: str,
        create: Callable[[Any, str], object],
        names: Callable[[Any], list[str]],
    ) -> None:
        found: list[int] = []
        for place in range(MOST_PLACES):
            name = f"{NAME}_{place}"
            reached = self._overlap(harness, lambda client, name=name: create(client, name), place)  # type: ignore[misc]
            found.append(list(names(harness.open_client())).count(name))
            if not reached:
                break
        self._judge(capability, what, found)

    def _judge(self, capability: type[Provider], what: str, found: list[int]) -> None:
        """Fail unless the provider says of a creation what it is."""
        name, most = capability.__name__, max(found)
        assert min(found) > 0, f"what was created twice at once is not there at all: there are {found} {what}"
        if capability in self.provider.non_idempotent:
            assert most > 1, f"{name} is in `non_idempotent`, and yet there is never more than one of {what}: {found}"
            return
        assert most == 1, (
            f"a creation that was repeated while the first request was under way makes {most} {what}: "
            f"add {name} to `non_idempotent` of {self.provider.__name__}, so that plans say so"
        )

    def _repeat(self, harness: Harness, make: Maker, anybody: Callable[[Records], bool] = bool) -> None:
        """Repeat a change at each of its requests, as long as there is anybody left who can be changed so."""
        for place in range(MOST_PLACES):
            before = self.seen(harness, make)
            if place and not anybody(before):
                return
            change: Change = make(harness, before, 0)
            reached = self._overlap(harness, change.act, place)
            judged = judge(change, before, self.seen(harness, make))
            assert judged.wrong == [], f"repeated while request {place + 1} was under way: {judged.wrong}"
            assert judged.missing == [], f"repeated while request {place + 1} was under way: {judged.missing}"
            if not reached:
                return


def _anybody_with_several_identifiers(records: Records) -> bool:
    return any(len(each.identifiers) > 1 for each in records.values())
