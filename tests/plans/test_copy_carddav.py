"""Copies from and to a real CardDAV server, which keeps no consent and takes no custom fields before they are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_carddav import CardDav
from contacts_core import Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.models import Address, LossCode, differences
from contacts_core.plans import Plan, check
from contacts_core.plans.planning.transfer import LossesNotAccepted
from contacts_core.storage.tombstones import guard
from tests.plans.environment import Environment, open_environment
from tests.plans.test_copy import account, copy, matching, named, planned, reasons, refusing
from tests.providers.dav_servers import DavServer, Radicale

OTHERS = ("sendgrid", "bird", "user-api", "local")
FIELD, TAG = "field:consent", "tag:unsubscribed"


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    with server.running():
        yield server


@contextmanager
def opened(provider: str, name: str, environment: Environment, radicale: DavServer, folder: Path) -> Iterator[Any]:
    """A client of an account that is empty, or as the vendor's emulator has it."""
    if provider != CardDav.name:
        with account(environment, provider, name, folder) as client:
            yield client
        return
    made = radicale.account()
    with Contacts(CardDav(**made.settings), name=name, guard=guard(None)) as client, closing(made.http):
        yield client


@contextmanager
def three_accounts(first: str, second: str, radicale: DavServer, folder: Path) -> Iterator[tuple[Contacts[Any], ...]]:
    """An account with contacts, an empty one of another vendor, and an empty one of the first vendor."""
    with ExitStack() as stack:
        old, new = (stack.enter_context(open_environment(count)) for count in (8, 0))
        filled = old.clients["bird"] if first in {CardDav.name, "local"} else None
        names = ((first, "old", old), (second, "middle", new), (first, "home", new))
        clients = [stack.enter_context(opened(*each, radicale, folder)) for each in names]
        if filled:
            copied, receipt = copy(filled, clients[0], consent_in=FIELD if first == CardDav.name else "")
            assert copied.contacts
            assert receipt.complete, reasons(receipt)
        yield tuple(clients)


PAIRS = [pair for each in OTHERS for pair in ((CardDav.name, each), (each, CardDav.name))]


@pytest.mark.parametrize(("there", "back"), PAIRS)
def test_there_and_back_loses_what_was_said_and_nothing_else(
    there: str, back: str, radicale: DavServer, tmp_path: Path
) -> None:
    with three_accounts(there, back, radicale, tmp_path) as (source, middle, home):
        plans: list[Plan] = []
        for one, other in ((source, middle), (middle, home)):
            plan, receipt = copy(one, other, consent_in=FIELD)
            assert (receipt.state, reasons(receipt) if not receipt.complete else "") == ("done", "")
            again = planned(one, other, consent_in=FIELD)
            assert [(each.operation, each.reason) for each in again.accounts[0].changes] == []
            accepted = [(each.code, each.field) for each in plan.accounts[0].losses]
            compared = check(one, other, create_fields=True, consent_in=FIELD)
            assert compared.is_complete([*accepted, (LossCode.REFUSED, "contact")]) or plan.accounts[0].held
            plans.append(plan)
        lost = {each.field for plan in plans for each in plan.accounts[0].losses}
        held = sum(len(plan.accounts[0].held) for plan in plans)
        arrived, missing = named(home), 0
        for contact in named(source):
            found = matching(contact, arrived)
            missing += not found
            for each in found:
                assert differences(contact, each) <= lost
        assert missing <= held
        assert arrived


@pytest.mark.parametrize("other", OTHERS)
def test_who_refused_stays_so_through_a_server_that_keeps_no_consent(
    other: str, radicale: DavServer, tmp_path: Path
) -> None:
    with three_accounts(other, CardDav.name, radicale, tmp_path) as (source, middle, home):
        for one, two in ((source, middle), (middle, home)):
            assert copy(one, two, consent_in=FIELD)[1].complete
        there = {i for contact in home.export() for i in contact.identifiers}
        if other == "user-api":
            marks = {contact.email: contact.custom.get("consent") for contact in source.export()}
            assert {contact.email: contact.custom.get("consent") for contact in home.export()} == marks
        else:
            assert refusing(source) & there
            assert refusing(source) & there <= refusing(home)


@pytest.mark.parametrize("place", [FIELD, TAG])
def test_a_refusal_has_a_place_on_the_card(place: str, radicale: DavServer, tmp_path: Path) -> None:
    with three_accounts("sendgrid", CardDav.name, radicale, tmp_path) as (source, middle, _):
        _, receipt = copy(source, middle, consent_in=place)
        assert receipt.complete
        cards = {contact.email: contact for contact in middle.export()}
        refused = [each for each in refusing(source) if each.value in cards]
        assert refused
        for each in refused:
            card = cards[each.value]
            marked = "revoked" in str(card.custom.get("consent")) if place == FIELD else "unsubscribed" in card.tags
            assert marked


def test_without_a_place_for_consent_nobody_is_copied(radicale: DavServer, tmp_path: Path) -> None:
    with three_accounts("sendgrid", CardDav.name, radicale, tmp_path) as (source, middle, _):
        with pytest.raises(PlanRefused) as caught:
            planned(source, middle, consent_in="")
        assert "keeps no consent, so these people would be written to there" in str(caught.value)
        assert "field:NAME or tag:NAME" in caught.value.hint
        assert not list(middle.export())


def test_a_loss_of_a_card_is_told_before_it_is_written(radicale: DavServer, tmp_path: Path) -> None:
    with three_accounts(CardDav.name, "sendgrid", radicale, tmp_path) as (source, middle, _):
        jane = Contact(
            identifiers=(Identifier.email("jane.doe@example.com"), Identifier.external_id("42")),
            first_name="Jane",
            title="CEO",
            address=Address(city="Utrecht"),
        )
        source.upsert_contacts([evolve(jane)])
        with pytest.raises(LossesNotAccepted) as caught:
            planned(source, middle, consent_in=FIELD, accept_losses=())
        told = {row.field: row for row in caught.value.losses}
        assert told["title"].code in {LossCode.NO_FIELD, LossCode.NO_PLACE}
        assert all("jane.doe" not in sample for row in told.values() for sample in row.samples)
        assert all(row.hint for row in told.values())
