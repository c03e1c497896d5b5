"""Changes of single fields, new custom fields, and lists by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from attrs import field, frozen

from contacts_core import errors, operations
from contacts_core.models import (
    CHANGEABLE_FIELDS,
    Address,
    Contact,
    ContactList,
    FieldDefinition,
    FieldType,
    OutcomeState,
    Page,
    changed,
    field_value,
)
from contacts_core.provider import CreatesLists, Flow, ReadsLists, base_url_setting, get, post
from tests.core.fake_providers import Acme, Script, fine, person, run

FULL = person(
    1,
    first_name="Jane",
    last_name="Doe",
    title="Baker",
    address=Address(city="Springfield"),
    custom={"score": 3, "plan": "free"},
    tags=("vip",),
)


def test_a_change_touches_the_named_fields_alone() -> None:
    after = changed(FULL, {"first_name": "Ada", "address.line1": "1 Example Street", "custom.score": 4}, ["title"])
    assert after == person(
        1,
        first_name="Ada",
        last_name="Doe",
        address=Address(line1="1 Example Street", city="Springfield"),
        custom={"score": 4, "plan": "free"},
        tags=("vip",),
    )


def test_an_address_without_parts_is_none_and_a_cleared_custom_field_is_gone() -> None:
    after = changed(FULL, {}, ["address.city", "custom.score", "custom.unknown"])
    assert (after.address, dict(after.custom)) == (None, {"plan": "free"})
    assert changed(Contact(), {"address.formatted": "1 Example Street"}, []).address == Address(
        formatted="1 Example Street"
    )


def test_each_field_is_read_by_the_name_that_it_is_changed_by() -> None:
    for name in (*CHANGEABLE_FIELDS[:-1], "custom.plan"):
        after = changed(FULL, {name: "x"}, [])
        assert field_value(after, name) == "x"
        assert field_value(changed(after, {}, [name]), name) is None


def test_the_provider_gets_what_is_set_and_what_is_cleared() -> None:
    script = Script([FULL])
    outcome = run(
        operations.change_contact(Acme(script=script), "c1", {"title": "Cook"}, iter(["last_name", "last_name"])), fine
    )
    assert (outcome.operation, outcome.state, outcome.confirmed) == ("change_contact", OutcomeState.DONE, ("c1",))
    assert ("change", ({"title": "Cook"}, ["last_name"])) in script.asked


def test_a_bare_text_is_not_taken_for_names_of_fields() -> None:
    with pytest.raises(errors.InvalidInput, match="got a str"):
        next(operations.change_contact(Acme(), "c1", {}, "title"))


def test_without_any_field_nothing_is_sent() -> None:
    outcome = run(operations.change_contact(Acme(), "c1", {}))
    assert (outcome.operation, outcome.state, outcome.requested) == ("change_contact", OutcomeState.DONE, 0)


@pytest.mark.parametrize(
    ("set", "clear", "message"),
    [
        ({"email": "a@example.com"}, [], "there is no field 'email'"),
        ({}, ["lists"], "there is no field 'lists'"),
        ({}, ["address"], "there is no field 'address'"),
        ({"custom": "x"}, [], "there is no field 'custom'"),
        ({"custom.": "x"}, [], "there is no field 'custom.'"),
        ({"custom. ": "x"}, [], r"there is no field 'custom\. '"),
        ({"title": "x"}, ["title"], "title is to be set and cleared at once"),
        ({"title": ""}, [], "title is set to nothing"),
        ({"custom.plan": " "}, [], "custom.plan is set to nothing"),
        ({"custom.plan": None}, [], "custom.plan is set to nothing"),
        ({"title": 3}, [], "title takes a text"),
        ({"custom.plan": "\ud800"}, [], "half a character"),
        ({"custom.score": float("nan")}, [], "not finite"),
        ({"custom.score": object()}, [], "of the type object"),
    ],
)
def test_what_is_no_change_is_refused_before_anything_is_sent(set: Any, clear: Sequence[str], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        next(operations.change_contact(Acme(), "c1", set, clear))


class Narrow(Acme):
    """Two fields, of which one can be cleared."""

    title = "Acme Mail"
    changeable_fields = ("first_name", "custom")
    clearable_fields = ("first_name", "title")
    field_name_lengths = (2, 10)
    field_name_pattern = "[a-z_]+"
    field_types: ClassVar = (FieldType.TEXT, FieldType.NUMBER)


@pytest.mark.parametrize(
    ("set", "clear", "message", "hint"),
    [
        ({"first_name": "Ada", "title": "Cook"}, [], "cannot set title; nothing was sent", "first_name, custom.NAME"),
        ({}, ["first_name", "custom.plan"], "cannot clear custom.plan; nothing was sent", "can clear: first_name$"),
        ({}, ["title"], "cannot clear title; nothing was sent", "can clear: first_name$"),
    ],
)
def test_what_the_vendor_cannot_change_is_refused_before_anything_is_sent(
    set: Any, clear: Sequence[str], message: str, hint: str
) -> None:
    with pytest.raises(errors.UnsupportedOperation, match=message) as raised:
        next(operations.change_contact(Narrow(), "c1", set, clear))
    assert re.search(hint, raised.value.hint)


# -- custom fields


@pytest.mark.parametrize(
    ("name", "type_", "kind", "message"),
    [
        (" ", FieldType.TEXT, errors.InvalidInput, "blank"),
        ("a", FieldType.TEXT, errors.InvalidInput, "2 to 10 characters"),
        ("a" * 11, FieldType.TEXT, errors.InvalidInput, "2 to 10 characters"),
        ("Plan", FieldType.TEXT, errors.InvalidInput, "no custom field of the name 'Plan'"),
        ("plan\n", FieldType.TEXT, errors.InvalidInput, "no custom field of the name"),
        ("plan", FieldType.DATE, errors.UnsupportedOperation, "of the type date"),
    ],
)
def test_a_field_that_the_vendor_does_not_take_is_not_sent(
    name: str, type_: FieldType, kind: type[errors.ContactsError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        next(operations.create_custom_field(Narrow(), name, type_))


def test_a_field_is_created_once() -> None:
    script = Script([])
    made = run(operations.create_custom_field(Acme(script=script), "plan", FieldType.TEXT), fine)
    assert made == FieldDefinition("acme", "f2", "plan", FieldType.TEXT)
    with pytest.raises(errors.InvalidInput, match="there is a custom field 'score' already, of the type number"):
        run(operations.create_custom_field(Acme(script=script), "Score", FieldType.TEXT), fine)
    assert script.asked == [("create_field", "plan")]


# -- lists by name


@frozen(kw_only=True)
class Lists(ReadsLists, CreatesLists):
    """A vendor of lists; what creating one does is up to the test."""

    name = "lists"
    base_url: str = base_url_setting("https://lists.example.com")
    names: list[str] = field(factory=list[str])
    create: Callable[[list[str], str], None] = lambda names, name: names.append(name)

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from get("/lists", object)
        return Page([ContactList("lists", f"l{number}", name) for number, name in enumerate(self.names)])

    def create_list(self, name: str) -> Flow[ContactList]:
        yield from post("/lists", object, {})
        self.create(self.names, name)
        return ContactList("lists", f"l{len(self.names) - 1}", name)


def test_a_list_is_found_by_its_exact_name_or_created() -> None:
    vendor = Lists(names=["News", "news"])
    assert run(operations.ensure_list(vendor, "news"), fine).id == "l1"
    assert run(operations.ensure_list(vendor, "Sport"), fine).id == "l2"
    assert run(operations.ensure_list(vendor, "Sport"), fine).id == "l2"
    assert vendor.names == ["News", "news", "Sport"]


def test_two_lists_of_a_name_are_an_error_that_says_so() -> None:
    vendor = Lists(names=["News", "News"])
    with pytest.raises(errors.InvalidInput, match="2 lists are named 'News'") as raised:
        run(operations.ensure_list(vendor, "News"), fine)
    assert "by its id" in raised.value.hint


@pytest.mark.parametrize("bad", ["", " ", "x" * 256])
def test_a_list_of_no_allowed_name_is_not_looked_for(bad: str) -> None:
    with pytest.raises(errors.InvalidInput):
        next(operations.ensure_list(Lists(), bad))


def raising(error: errors.ContactsError, *, after: bool) -> Callable[[list[str], str], None]:
    def create(names: list[str], name: str) -> None:
        if after:
            names.append(name)
        raise error

    return create


@pytest.mark.parametrize("error", [errors.Unreachable("no answer"), errors.Rejected("there is one")])
def test_a_list_that_is_there_after_an_error_is_the_list(error: errors.ContactsError) -> None:
    vendor = Lists(create=raising(error, after=True))
    assert run(operations.ensure_list(vendor, "News"), fine).id == "l0"
    assert vendor.names == ["News"]


@pytest.mark.parametrize(
    "error", [errors.Unreachable("no answer"), errors.Rejected("no such name"), errors.Cancelled(unclear=True)]
)
def test_a_list_that_is_not_there_after_an_error_is_the_error(error: errors.ContactsError) -> None:
    vendor = Lists(create=raising(error, after=isinstance(error, errors.Cancelled)))
    with pytest.raises(type(error)):
        run(operations.ensure_list(vendor, "News"), fine)
