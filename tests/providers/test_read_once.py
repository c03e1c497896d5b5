"""What parallel flows need is read once, in both clients; counted by the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from contacts_core import AsyncContacts, Contacts, Identifier
from contacts_core.emulator import Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_sendgrid import SendGrid

KINDS = ["sync", "async"]


@pytest.fixture
def counted() -> Iterator[tuple[dict[str, Any], list[str]]]:
    seen: list[str] = []
    sandbox = Sandbox(
        [emulators()["sendgrid"]], contacts=600, speed=1_000, observer=lambda each: seen.append(f"{each.path}")
    )
    with running(sandbox) as server:
        yield dict(server.settings("sendgrid")), seen


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_look_ups_read_the_definitions_of_fields_once(
    kind: str, counted: tuple[dict[str, Any], list[str]]
) -> None:
    settings, seen = counted
    with Contacts(SendGrid(**settings)) as contacts:
        wanted = [Identifier.email(each.email) for each in contacts.export() if each.email]
    seen.clear()
    if kind == "sync":
        with Contacts(SendGrid(**settings)) as contacts:
            found = contacts.find(wanted)
    else:
        found = asyncio.run(_found(settings, wanted))
    assert sum(path.endswith("/field_definitions") for path in seen) == 1
    assert len(seen) == 1 + -(-len(wanted) // 100)
    assert all(found.values())


async def _found(settings: dict[str, Any], wanted: list[Identifier]) -> Any:
    async with AsyncContacts(SendGrid(**settings)) as contacts:
        return await contacts.find(wanted)
