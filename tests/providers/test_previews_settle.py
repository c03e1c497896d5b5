"""A preview of what is written shows what the first preview showed: a second pass finds nothing more to change."""

from __future__ import annotations

from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts_bird import Bird
from contacts_carddav import CardDav
from contacts_core import Contact
from contacts_core.models import ContactList, FieldDefinition, FieldType, Shape
from contacts_core.operations.previewing import fit
from contacts_core.provider import UpsertsContacts
from contacts_core.testing import MemoryProvider
from contacts_core.testing.strategies import contacts
from contacts_local import Local
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi

PROVIDERS: dict[str, UpsertsContacts] = {
    "sendgrid": SendGrid(api_key="SG.x"),
    "bird": Bird(access_key="x", workspace_id="00000000-0000-4000-8000-000000000001"),
    "user-api": UserApi(api_key="x", base_url="https://api.example.com"),
    "carddav": CardDav(base_url="https://dav.example.com/", username="x", password="x", address_book="/book/"),
    "local": Local(path=Path("people.db")),
    "memory": MemoryProvider(),
}
OPTIONS = ("small", "large", "x")


def shape_of(provider: UpsertsContacts) -> Shape:
    def field(n: int, kind: FieldType) -> FieldDefinition:
        options = OPTIONS if kind in {FieldType.CHOICE, FieldType.CHOICES} else ()
        return FieldDefinition(provider.name, f"f{n}", f"{kind.value}_Field", kind, options)

    return Shape(
        tuple(ContactList(provider.name, f"list-{n}", f"List {n}") for n in range(3)),
        (
            *starmap(field, enumerate(FieldType)),
            FieldDefinition(provider.name, "ro", "computed", FieldType.TEXT, read_only=True),
        ),
    )


@pytest.mark.parametrize("name", list(PROVIDERS))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_written_is_shown_as_it_was_shown_before(name: str, data: st.DataObject) -> None:
    provider = PROVIDERS[name]
    shape = shape_of(provider)
    contact: Contact = data.draw(contacts(1, shape))
    changes: dict[str, Any] = {}
    if data.draw(st.booleans()) and contact.custom:
        changes["custom"] = {**contact.custom, next(iter(contact.custom)): None}
    if data.draw(st.booleans()):
        changes |= {"provider": provider.name, "id": "7"}
    contact = evolve(contact, **changes)
    first = fit(provider, contact, shape)
    if first.shown is None:
        return
    assert first.written is not None
    again = fit(provider, first.written, shape)
    assert again.shown == first.shown
    assert again.losses == ()
    assert again.written == first.written
