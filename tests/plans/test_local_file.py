"""A file beside a vendor: an account without HTTP is planned on, erased from and verified as any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contacts_core import Contact, Contacts, F, Identifier, connect
from contacts_core.errors import PlanRefused
from contacts_core.plans import plan_erasure, plan_identifier_removal, plan_list_removal
from contacts_core.storage.tombstones import guard
from contacts_local import Local
from tests.plans.environment import Environment

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 10.0}


@pytest.fixture
def file(environment: Environment, tmp_path: Path) -> Iterator[Contacts[Local]]:
    """A file with the people of one of the vendors."""
    with Contacts(Local(path=tmp_path / "people.db"), guard=guard(None)) as contacts:
        contacts.create_list("News")
        contacts.upsert_contacts(environment.clients["bird"].export(), lists=["News"])
        yield contacts


def test_people_are_erased_from_the_file_and_the_vendor(
    environment: Environment, file: Contacts[Local], tmp_path: Path
) -> None:
    people = environment.emails(3)
    accounts = [file, environment.clients["bird"]]
    before = {contact.id for contact in file.export()}
    leaving = {contact.id for contact in file.search(F.email.in_(each.value for each in people))}
    plan = plan_erasure(people, accounts)
    (part,) = (part for part in plan.accounts if part.account == "local")
    assert {target.contact for target in part.changes} == leaving
    done = plan.apply(accounts, **QUICK)
    assert (done.state, done.complete, done.absent) == ("done", True, 6)
    assert {contact.id for contact in file.export()} == before - leaving
    assert not any(file.find(people).values())
    content = b"".join(path.read_bytes() for path in tmp_path.glob("people.db*"))
    assert not any(each.value.encode() in content for each in people)
    blocked = file.upsert_contacts([Contact(identifiers=tuple(people[:1]))])
    assert "erased" in blocked.failed[0].reason


def test_a_plan_for_one_file_is_not_applied_to_another(
    environment: Environment, file: Contacts[Local], tmp_path: Path
) -> None:
    plan = plan_erasure(environment.emails(1), [file])
    with connect(Local, path=tmp_path / "another.db") as another:
        another.upsert_contacts(file.export())
        with pytest.raises(PlanRefused):
            plan.apply([another], **QUICK)
        assert another.count() == file.count()
    file.close()
    (tmp_path / "people.db").rename(tmp_path / "moved.db")
    with connect(Local, path=tmp_path / "moved.db") as moved:
        assert plan.apply([moved], **QUICK).complete


def test_an_identifier_goes_and_a_member_leaves_in_the_file(environment: Environment, file: Contacts[Local]) -> None:
    (person,) = environment.emails(1)
    found = file.find([person])[person]
    assert found is not None
    assert plan_list_removal(file, "News", [person]).apply([file], **QUICK).complete
    (stays,) = file.search(F.id == found.id)
    assert stays.lists == ()
    phone = Identifier.phone("+12025550199")
    file.upsert_contacts([Contact(identifiers=(person, phone))])
    assert plan_identifier_removal([phone], [file]).apply([file], **QUICK).complete
    assert phone not in file.get_contacts([found.id])[found.id].identifiers  # type: ignore[union-attr]
