"""Maps: what they do to a contact, what is refused in them, and the first map that is suggested."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core import Contact, Identifier
from contacts_core.errors import InvalidInput
from contacts_core.models import Address, ContactList, FieldDefinition, FieldType, Loss, LossCode, Shape
from contacts_core.plans.comparing import FieldMap
from contacts_core.plans.comparing.field_map import STANDARD_FIELDS
from contacts_core.plans.comparing.suggestion import suggest_map, unkept_fields
from contacts_core.testing.strategies import contacts
from contacts_sendgrid import SendGrid

MAP = """
[fields]
"custom.Plan" = "custom.tier"
custom.town = "address.city"            # without quotes, it is the same
organization = "custom.company"
"extra.shoe_size" = "custom.shoes"
"custom.secret" = false
"custom.score" = {type = "number"}
"custom.born" = {to = "custom.birthday", type = "date"}
"custom.member" = {type = "boolean"}
"custom.count" = {type = "text"}
"custom.size" = {to = "custom.shirt", options = {S = "small", XXL = false}}
"address.line2" = "address.line1"

[lists]
"Old" = "New"
"Test" = false

[tags]
vip = "VIP"
internal = false
"""


def mapped(contact: Contact, text: str = MAP) -> tuple[Contact, tuple[Loss, ...]]:
    return FieldMap.parse(text).apply(contact)


def test_fields_are_renamed_converted_and_left_out() -> None:
    given_contact = Contact(
        identifiers=(Identifier.email("jane@example.com"),),
        organization="ACME",
        title="CEO",
        address=Address(line2="Street 1", country="DE"),
        tags=("a", "vip", "internal", "VIP"),
        custom={
            "Plan": "pro",
            "town": "Berlin",
            "secret": "x",
            "score": " 12.5 ",
            "born": "2000-02-29",
            "member": "True",
            "count": 7,
            "size": ("S", "M", "XXL"),
            "other": date(2024, 1, 1),
        },
        extra={"shoe_size": 43, "y": 1},
    )
    found, losses = mapped(given_contact)
    assert losses == ()
    assert found == Contact(
        identifiers=given_contact.identifiers,
        title="CEO",
        address=Address(line1="Street 1", city="Berlin", country="DE"),
        tags=("a", "VIP"),
        custom={
            "other": date(2024, 1, 1),
            "tier": "pro",
            "company": "ACME",
            "shoes": 43,
            "score": 12.5,
            "birthday": date(2000, 2, 29),
            "member": True,
            "count": "7",
            "shirt": ("small", "M"),
        },
        extra={"y": 1},
    )


@pytest.mark.parametrize(
    ("rule", "custom", "expected"),
    [
        ('"custom.x" = {type = "number"}', {"x": "many"}, {}),
        ('"custom.x" = {type = "date"}', {"x": "tomorrow"}, {}),
        ('"custom.x" = {type = "boolean"}', {"x": "maybe"}, {}),
        ('"custom.x" = {type = "number"}', {"x": ("1", "2")}, {}),
    ],
)
def test_a_value_that_cannot_be_converted_is_told(rule: str, custom: dict[str, Any], expected: dict[str, Any]) -> None:
    found, losses = mapped(Contact(custom=custom), f"[fields]\n{rule}")
    assert found.custom == expected
    assert [(each.field, each.code) for each in losses] == [("custom.x", LossCode.REFUSED)]
    assert str(custom["x"]) not in losses[0].detail


def test_a_value_that_is_already_there_stays_and_the_other_one_is_told() -> None:
    text = '[fields]\n"custom.x" = "custom.y"\n"custom.t" = "title"'
    found, losses = mapped(Contact(title="CEO", custom={"x": 1, "y": 2, "t": "CTO"}), text)
    assert (found.title, found.custom) == ("CEO", {"y": 2})
    assert [(each.field, each.code) for each in losses] == [
        ("custom.x", LossCode.TOO_MANY),
        ("custom.t", LossCode.TOO_MANY),
    ]
    assert mapped(Contact(title="CEO", custom={"x": 2, "y": 2, "t": "CEO"}), text)[1] == ()


def test_fields_can_change_places() -> None:
    found, losses = mapped(
        Contact(custom={"a": 1, "b": 2, "none": None}),
        '[fields]\n"custom.a" = "custom.b"\n"custom.b" = "custom.a"\n"custom.none" = "custom.nil"',
    )
    assert (found.custom, losses) == ({"b": 1, "a": 2, "nil": None}, ())


def test_values_of_standard_fields_are_text() -> None:
    found, losses = mapped(
        Contact(custom={"a": 7, "b": datetime(2024, 1, 1, tzinfo=UTC)}, extra={"c": [1]}),
        '[fields]\n"custom.a" = "title"\n"custom.b" = "organization"\n"extra.c" = "custom.c"',
    )
    assert (found.title, found.organization, losses) == ("7", "2024-01-01T00:00:00+00:00", ())
    assert found.custom == {"c": "[1]"}


def test_a_contact_that_no_rule_is_about_stays_what_it_is() -> None:
    contact = Contact(first_name="Jane", custom={"x": 1})
    assert FieldMap().apply(contact) == (contact, ())
    assert mapped(contact) == (contact, ())
    assert FieldMap().list_name("News") == "News"
    assert FieldMap.parse(MAP).list_name("Old") == "New"
    assert FieldMap.parse(MAP).list_name("Test") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fields = 1", "m.toml: fields: expected a table"),
        ("[field]", "m.toml: field: there is no such section; choose from fields, lists, tags, columns"),
        ('[fields]\n"nickname" = "x"', "m.toml: fields.nickname: there is no such field; choose from first_name"),
        ('[fields]\n"custom." = "title"', 'fields."custom.": there is no such field'),
        ('[fields]\n"title" = "nickname"', "m.toml: fields.title: this is no field that can be written"),
        ('[fields]\n"title" = {too = "x"}', "m.toml: fields.title.too: there is no such key"),
        ('[fields]\n"title" = {to = 1}', "m.toml: fields.title.to: this is no field"),
        ('[fields]\n"title" = 1', "m.toml: fields.title: expected the name of a field, false, or a table"),
        ('[fields]\n"title" = true', "m.toml: fields.title: expected the name of a field, false, or a table"),
        ('[fields]\n"custom.x" = {type = "money"}', 'fields."custom.x".type: there is no such type; choose from text'),
        ('[fields]\n"custom.x" = {type = 1}', 'fields."custom.x".type: there is no such type'),
        ('[fields]\n"custom.x" = {to = "title", type = "number"}', 'fields."custom.x".type: title is always text'),
        ('[fields]\n"custom.x" = {options = 1}', 'fields."custom.x".options: expected a table'),
        ('[fields]\n"custom.x" = {options = {a = 1}}', 'fields."custom.x".options.a: expected a name, or false'),
        ('[fields]\n"extra.x" = {type = "text"}', 'fields."extra.x": to is missing'),
        ('[fields]\n"custom.x" = "title"\n"custom.y" = "title"', 'fields."custom.y": custom.x becomes title as well'),
        ('[fields]\n"custom.x" = "title"\n[fields.custom]\nx = "organization"', "twice, with and without quotes"),
        ("[lists]\nNews = true", "m.toml: lists.News: expected a name, or false to leave it out"),
        ('[tags]\nvip = ""', "m.toml: tags.vip: expected a name"),
        ("[fields", "m.toml is not TOML"),
        ("x = " + "[" * 2000, "m.toml is not TOML"),
    ],
)
def test_what_is_wrong_in_a_map_is_named_with_its_key(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        FieldMap.parse(text, "m.toml")
    assert said in str(error.value)


def test_a_map_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MAP.encode())
    assert FieldMap.read(path) == FieldMap.parse(MAP)
    for content, said in ((b"\xff\xfe", "not UTF-8"), (b"#" * (2 << 20), "longer than")):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=said):
            FieldMap.read(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        FieldMap.read(tmp_path)
    with pytest.raises(InvalidInput, match=r"no\.toml cannot be read: No such file"):
        FieldMap.read(tmp_path / "no.toml")


VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from(['"title"', '"custom.x"', '"x"', '"text"', '""']),
    lambda inner: st.dictionaries(st.sampled_from(["to", "type", "options", "x"]), inner, max_size=3),
    max_leaves=4,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["fields", "lists", "tags", "columns"]),
        st.dictionaries(st.sampled_from([*STANDARD_FIELDS[:3], "custom.x", "custom.y", "extra.z", "News"]), VALUES),
    ),
    st.data(),
)
def test_any_map_is_read_or_refused_and_applied_to_any_contact(content: dict[str, dict[str, Any]], data: Any) -> None:
    lines = [
        f"[{section}]\n" + "".join(f'"{key}" = {toml(value)}\n' for key, value in table.items())
        for section, table in content.items()
    ]
    try:
        field_map = FieldMap.parse("\n".join(lines))
    except InvalidInput:
        return
    names = ("x", "y", "z")
    fields = tuple(FieldDefinition("v", name, name, FieldType.TEXT) for name in names)
    contact = data.draw(contacts(1, Shape((), fields)))
    found, losses = field_map.apply(contact)
    assert found.identifiers == contact.identifiers
    assert len({each.field for each in losses}) == len(losses)


@given(st.text(max_size=60))
def test_any_text_is_a_map_or_refused(text: str) -> None:
    try:
        FieldMap.parse(text)
    except InvalidInput as error:
        assert str(error).startswith("map")  # noqa: PT017 - what is raised is not known beforehand


def fields(provider: str, **types: FieldType) -> tuple[FieldDefinition, ...]:
    return tuple(FieldDefinition(provider, name, name.replace("__", " "), kind) for name, kind in types.items())


def lists(*names: str) -> tuple[ContactList, ...]:
    return tuple(ContactList("v", name, name) for name in names)


TEXT, NUMBER, DATE = FieldType.TEXT, FieldType.NUMBER, FieldType.DATE


def test_a_first_map_pairs_what_is_called_alike() -> None:
    source = Shape(
        lists("News", "old NEWS", "Other"),
        (
            *fields("v", plan=TEXT, First__Visit=DATE, score=TEXT, Points=NUMBER, town=TEXT, notes=TEXT),
            FieldDefinition("v", "c", "computed", TEXT, read_only=True),
        ),
    )
    target = Shape(
        lists("News", "Old news"),
        fields("v", plan=TEXT, first_visit=DATE, score=NUMBER, points=NUMBER, company=TEXT, unrelated=TEXT),
    )
    text = suggest_map(source, target, unkept=("organization", "title"))
    found = FieldMap.parse(text)
    assert {name: (rule.to, rule.type) for name, rule in found.fields.items()} == {
        "custom.First Visit": ("custom.first_visit", None),
        "custom.score": ("custom.score", NUMBER),
        "custom.Points": ("custom.points", None),
        "custom.town": ("address.city", None),
        "organization": ("custom.company", None),
    }
    assert found.lists == {"old NEWS": "Old news"}
    for line in (
        '# Called the same in both: "custom.plan"',
        '# "custom.notes" = false  # text',
        '# "custom.computed" = false  # text, which only its vendor writes',
        '# "title" = "custom.title"',
        '# "Other" = false',
    ):
        assert f"\n{line}\n" in text
    uncommented = "\n".join(
        line.removeprefix("# ") if line.startswith(('# "', "# The")) and "=" in line else line
        for line in text.splitlines()
    )
    assert FieldMap.parse(uncommented).fields["custom.notes"].to is None


def test_of_two_fields_that_are_called_alike_the_one_of_the_same_type_is_meant() -> None:
    target = Shape((), fields("v", First__Visit=TEXT, first_visit=DATE))
    text = suggest_map(Shape((), fields("v", firstVisit=DATE)), target)
    assert FieldMap.parse(text).fields["custom.firstVisit"].to == "custom.first_visit"


NAMES = st.text(max_size=8) | st.sampled_from(["city", "City", "ci_ty", "company", '"', "\\", "\x7f", "\ud800", "a\nb"])
DEFINITIONS = st.lists(
    st.builds(FieldDefinition, st.just("v"), st.just("1"), NAMES, st.sampled_from(FieldType)), max_size=6
).map(tuple)
SHAPES = st.builds(
    Shape, st.lists(NAMES.map(lambda name: ContactList("v", name, name)), max_size=4).map(tuple), DEFINITIONS
)


@settings(max_examples=100, deadline=None)
@given(SHAPES, SHAPES, st.sets(st.sampled_from(STANDARD_FIELDS)))
def test_a_first_map_can_always_be_read(source: Shape, target: Shape, unkept: set[str]) -> None:
    text = suggest_map(source, target, unkept=sorted(unkept))
    found = FieldMap.parse(text.encode().decode())
    targets = {f"custom.{each.name}" for each in target.fields or ()} | {*STANDARD_FIELDS}
    assert {rule.to for rule in found.fields.values()} <= targets


def test_standard_fields_without_a_place_are_known_from_a_preview() -> None:
    assert unkept_fields(SendGrid(api_key="SG.x"), Shape((), ())) == ("organization", "title", "address.formatted")
