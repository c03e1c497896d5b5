"""Whose contact it is, if several people share an address or a number."""

from __future__ import annotations

import pytest

from contacts_core import Contact, Identifier
from contacts_core.access.matching import withheld

JANE, WORK, JOHN = map(Identifier.email, ("jane@example.com", "jane.doe@example.org", "john@example.com"))
PHONE, OTHER = Identifier.phone("+12025550123"), Identifier.phone("+12025550145")
ID = Identifier.external_id("42")


@pytest.mark.parametrize(
    ("known", "found", "left_out"),
    [
        # An e-mail address of the person decides, whatever else differs.
        ([JANE], {("a", "1"): [JANE, PHONE], ("b", "1"): [JANE, OTHER, WORK]}, set()),
        # A colleague with the same number has another address.
        ([JANE, PHONE], {("a", "1"): [JANE, PHONE], ("a", "2"): [JOHN, PHONE]}, {("a", "2")}),
        ([JANE, PHONE], {("a", "2"): [JOHN, PHONE]}, {("a", "2")}),
        ([JANE, ID], {("a", "1"): [JANE], ("b", "7"): [JOHN, ID]}, {("b", "7")}),
        # Without an address, a shared number tells nothing of anybody.
        ([PHONE], {("a", "1"): [JANE, PHONE], ("b", "2"): [JOHN, PHONE]}, {("a", "1"), ("b", "2")}),
        ([PHONE], {("a", "1"): [JANE, PHONE], ("b", "2"): [JANE, WORK, PHONE]}, set()),
        ([PHONE], {("a", "1"): [JANE, PHONE]}, set()),
        # A contact that has nothing but the number is nobody else's.
        ([JANE, PHONE], {("a", "1"): [JANE], ("a", "2"): [PHONE]}, set()),
        # A family's address, and two people in one account.
        ([JANE], {("a", "1"): [JANE, PHONE], ("a", "2"): [JANE, OTHER]}, {("a", "1"), ("a", "2")}),
        ([JANE, PHONE], {("a", "1"): [JANE, PHONE], ("a", "2"): [JANE, OTHER]}, {("a", "2")}),
        ([JANE, PHONE, OTHER], {("a", "1"): [JANE, PHONE], ("a", "2"): [JANE, OTHER]}, set()),
        # An identifier of one's own brings the contact in.
        ([JANE, WORK, PHONE], {("a", "1"): [JANE, PHONE], ("b", "2"): [WORK, PHONE]}, set()),
    ],
)
def test_a_contact_that_may_be_of_somebody_else_is_left_out(
    known: list[Identifier],
    found: dict[tuple[str, str], list[Identifier]],
    left_out: set[tuple[str, str]],
) -> None:
    contacts = {key: Contact(id=key[1], identifiers=tuple(identifiers)) for key, identifiers in found.items()}
    assert withheld(known, contacts) == left_out
