"""The kit is fair to a vendor that knows people by several e-mail addresses and one name, and by nothing else."""

from __future__ import annotations

import pytest
from attrs import frozen

from contacts_core.models import Contact, Identifier, IdentifierKind, LossCode, Outcome, Preview, Shape
from contacts_core.provider import Fitting, Flow, absent
from contacts_core.testing import MemoryProvider, ProviderContract
from contacts_core.testing.cases.shared import crowd, many


@frozen(kw_only=True)
class KeepsAddresses(MemoryProvider):
    """A vendor that drops phone numbers, and puts first and last name into one."""

    name = "addresses-only"
    page_size = 5

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        fitting = Fitting(contact)
        for each in contact.identifiers:
            if each.kind is not IdentifierKind.EMAIL:
                fitting.drop_identifier(each, LossCode.NO_PLACE)
        for name in ("first_name", "last_name"):
            fitting.drop(name, LossCode.NO_PLACE)
        if name := self.one_name(contact):
            fitting.set("full_name", name)
        return fitting.preview()

    def one_name(self, contact: Contact) -> str:
        return contact.name


class TestKeepsAddresses(ProviderContract):
    provider = KeepsAddresses
    fewest_of_a_crowd = 11


class NamesEverybodyAda(KeepsAddresses):
    name = "everybody-is-ada"

    def one_name(self, contact: Contact) -> str:
        return "Ada"


@pytest.mark.parametrize(
    "case", ["test_writing_twice_makes_one_contact", "test_writing_again_keeps_lists_and_identifiers"]
)
def test_one_name_that_is_another_one_is_noticed(case: str) -> None:
    class Contract(ProviderContract):
        provider = NamesEverybodyAda

    with (
        Contract().open_harness(case.removeprefix("test_"), backend="direct", mode="sync") as harness,
        pytest.raises(AssertionError, match="the name is 'Ada'"),
    ):
        getattr(Contract(), case)(harness)


class RemovesNothing(KeepsAddresses):
    name = "removes-nothing"

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        return absent(identifier.value)


@pytest.mark.parametrize(
    "case",
    ["test_a_removed_identifier_is_gone_and_the_contact_stays", "test_removing_an_identifier_keeps_the_other_fields"],
)
def test_a_second_address_that_is_not_removed_is_noticed(case: str) -> None:
    class Contract(ProviderContract):
        provider = RemovesNothing

    with (
        Contract().open_harness(case.removeprefix("test_"), backend="direct", mode="sync") as harness,
        pytest.raises(AssertionError, match="second-"),
    ):
        getattr(Contract(), case)(harness)


def test_a_crowd_is_two_whole_pages_and_one_however_few_are_wanted() -> None:
    class Default(ProviderContract):
        provider = KeepsAddresses

    class LargerPages(ProviderContract):
        provider = MemoryProvider
        fewest_of_a_crowd = 3

    assert (crowd(Default), many(Default)) == (201, 120)
    assert (crowd(TestKeepsAddresses), many(TestKeepsAddresses)) == (11, 11)
    assert crowd(LargerPages) == 2 * MemoryProvider.page_size + 1
