"""What people refuse at the source while a copy runs: nobody who did counts as copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from attrs import field, frozen

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts
from contacts_core.errors import Rejected
from contacts_core.models import Outcome, Page
from contacts_core.plans import Receipt
from contacts_core.provider import Flow
from contacts_core.testing import MemoryProvider
from contacts_core.testing.memory import Store
from tests.plans.test_copy import QUICK, reasons
from tests.plans.test_held_refusals import account, names, person, planned, refused


@frozen(kw_only=True)
class Watched(MemoryProvider):
    """A source that tells how often its consent is read, and can break off."""

    name = "watched"
    store: Store = field(factory=Store, repr=False)
    cursors: list[str | None] = field(factory=list[str | None], repr=False)
    broken: list[bool] = field(factory=list[bool], repr=False)
    consent_page_size: ClassVar[int] = 2

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        self.cursors.append(cursor)
        if self.broken:
            raise Rejected("not now", provider=self.name)
        return (yield from super().consent_page(cursor))


@frozen(kw_only=True)
class Busy(MemoryProvider):
    """A target at which something happens elsewhere while contacts are written."""

    name = "busy"
    store: Store = field(factory=Store, repr=False)
    meanwhile: Callable[[], object] = field(default=lambda: None, repr=False)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        self.meanwhile()
        return (yield from super().upsert_contacts(contacts, lists))


def said(*numbers: int) -> dict[Consent, None]:
    return dict.fromkeys(refused(person(n).identifiers[0], Channel.EMAIL) for n in numbers)


def run(old: Watched, new: Busy) -> tuple[Receipt, Contacts[Any], Contacts[Any]]:
    source, target = account(old, "old", *map(person, range(6))), account(new, "new")
    receipt = planned(source, target).apply([source, target], **QUICK)
    return receipt, source, target


def test_who_refuses_while_contacts_are_written_does_not_count_as_copied() -> None:
    old = Watched()
    receipt, source, target = run(old, Busy(meanwhile=lambda: old.store.consent.update(said(1))))
    assert (receipt.state, receipt.present) == ("incomplete", 5)
    assert "the source has a refusal of this person that is not in force here: copy again" in reasons(receipt)
    again = planned(source, target)
    assert [each.operation for each in again.accounts[0].changes] == ["write_consent"]
    assert again.apply([source, target], **QUICK).complete
    assert {each.identifier for each in target.consent() if each.state is ConsentState.REVOKED} == {
        person(1).identifiers[0]
    }


def test_whose_refusal_was_copied_counts() -> None:
    old = Watched()
    old.store.consent.update(said(0, 1, 2))
    receipt, _, target = run(old, Busy())
    assert receipt.complete
    assert len(names(target)) == 6


def test_a_source_that_cannot_be_read_at_the_end_leaves_it_unknown() -> None:
    old = Watched()
    receipt, _, target = run(old, Busy(meanwhile=lambda: old.broken.append(True)))
    assert (receipt.state, receipt.present, receipt.unknown) == ("incomplete", 0, 6)
    assert "could not be read again at the end" in reasons(receipt)
    assert len(names(target)) == 6


def test_the_consent_of_the_source_is_read_once_for_each_purpose() -> None:
    old = Watched()
    old.store.consent.update(said(0, 1, 2))
    new = Busy()
    source, target = account(old, "old", *map(person, range(6))), account(new, "new")
    plan = planned(source, target)
    assert old.cursors == [None, "2"]
    old.cursors.clear()
    assert plan.apply([source, target], **QUICK).complete
    # Can it be read at all; who may be written; who refused since.
    assert old.cursors == [None, None, "2", None, "2"]
