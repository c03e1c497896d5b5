"""Contacts from CSV: everything that an export wrote, files of others, and what is refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core import Contact, Identifier
from contacts_core.errors import InvalidInput
from contacts_core.formats import CsvWriter, read_contacts_csv, writer_for
from contacts_core.models import Address, FieldDefinition, FieldType, Shape
from contacts_core.testing.strategies import contacts

SHAPE = Shape((), (FieldDefinition("v", "a", "a", FieldType.TEXT), FieldDefinition("v", "b", "b", FieldType.NUMBER)))


def read(text: str, **columns: str | None) -> list[Contact]:
    return list(read_contacts_csv(io.BytesIO(text.encode()), columns))


def test_what_an_export_wrote_is_read_whole(tmp_path: Path) -> None:
    jane = Contact(
        provider="bird",
        id="7",
        identifiers=(
            Identifier.email("jane@example.com"),
            Identifier.email("j;d\\@example.com"),
            Identifier.phone("+12025550123"),
            Identifier.external_id("=1"),
            Identifier.other("badge", "B1"),
        ),
        first_name="-Jane\nMarie",
        full_name='"Jane"',
        address=Address(city="Berlin", formatted="Street 1\r\nBerlin"),
        lists=("a;b", "+c"),
        tags=("x", "@y"),
        custom={"plan": "pro", "score": 7, "choices": ("a", "b")},
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
        extra={"x": [1]},
    )
    for safe in (False, True):
        path = tmp_path / f"{safe}.csv"
        with writer_for(path, excel_safe=safe) as writer:
            writer.write(jane)
        assert list(read_contacts_csv(path)) == [jane], safe


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_contact_is_read_as_it_was_written(data: st.DataObject) -> None:
    contact: Contact = data.draw(contacts(1, SHAPE))
    file = io.StringIO(newline="")
    CsvWriter(file).write(contact)
    (found,) = read_contacts_csv(io.BytesIO(file.getvalue().encode("utf-8", "surrogatepass")))
    assert set(found.identifiers) == set(contact.identifiers)
    blank = ("first_name", "last_name", "full_name", "organization", "title")
    for name in blank:
        given_text = getattr(contact, name)
        assert (getattr(found, name) or "") == (given_text if (given_text or "").strip() else "")
    assert set(found.tags) == {each for each in contact.tags if each.strip()}
    assert found.custom.keys() == contact.custom.keys()


def test_columns_are_read_by_their_names_and_unknown_ones_are_custom_fields() -> None:
    (found,) = read(
        "\ufeffE-Mail,Other Emails,First Name,City,Tags,custom.plan,Shirt size,Unused\r\n"
        "jane@example.com,j@example.com;d@example.com,Jane,Berlin,a;b,pro,S,x\r\n",
        **{"E-Mail": "email", "Unused": None},
    )
    assert found == Contact(
        identifiers=tuple(map(Identifier.email, ("jane@example.com", "j@example.com", "d@example.com"))),
        first_name="Jane",
        address=Address(city="Berlin"),
        tags=("a", "b"),
        custom={"plan": "pro", "Shirt size": "S"},
    )


def test_rows_without_anything_are_no_contacts_and_empty_cells_are_not_given() -> None:
    jane, john = read("email,first_name,lists\njane@example.com,,\n,,\n\njohn@example.com,John,News\n")
    assert jane == Contact(identifiers=(Identifier.email("jane@example.com"),))
    assert john == evolve(jane, identifiers=(Identifier.email("john@example.com"),), first_name="John", lists=("News",))


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", {}, "standard input is empty"),
        ("first_name\nJane\n", {}, "no column of identifiers"),
        ("email;first_name\njane@example.com;Jane\n", {}, "no column of identifiers"),
        ("email,first_name\njane@example.com\n", {}, "line 2: this row has 1 cells under 2 columns"),
        ("email,first_name,First Name\n", {}, "two columns hold 'first_name'"),
        ("email,name,full_name\n", {}, "two columns hold 'full_name'"),
        ("email,\njane@example.com,x\n", {}, "line 2: there is text in a column without a name"),
        ('email,first_name\njane@example.com,"Jane\n', {}, "unexpected end of data"),
        ("email,created_at\njane@example.com,yesterday\n", {}, "line 2: created_at is not a time"),
        ("email,custom\njane@example.com,{\n", {}, "line 2: the cell of custom is not JSON"),
        ("email,custom\njane@example.com,[1]\n", {}, "line 2: this is no contact"),
        ('email,other_identifiers\njane@example.com,"[{}]"\n', {}, "line 2: this is no contact"),
        ("email\n", {"Mail": "email"}, "there is no column 'Mail', which the map names"),
        ("Mail,email\n", {"Mail": "mail"}, "the map reads the column 'Mail' as 'mail'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, columns: dict[str, str | None], said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(text, **columns)
    assert said in str(error.value)
    assert "jane@" not in str(error.value)


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        list(read_contacts_csv(io.BytesIO(b"email,first_name\njane@example.com,Zo\xeb\n")))
    with pytest.raises(InvalidInput, match=r"no\.csv cannot be read"):
        list(read_contacts_csv(Path("no.csv")))
