"""Contacts as no person would type them, and as files and other vendors hold them all the same; for Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from hypothesis import strategies as st

from contacts_core.models import Address, Contact, CustomValue, Identifier, Shape

__all__ = ["contacts"]

LONG = 1100  # characters: more than most fields hold
TEXTS = st.one_of(
    st.sampled_from(
        (
            "Zo\u00eb",
            "O'Brien-M\u00fcller \u674e",
            "  two  blanks ",
            '"quoted", and; more\\',
            "line\nbreak",
            "\u05d0\u05d1\u05d2",
            "\U0001f469\u200d\U0001f4bb",
            "<b>bold</b> & so on",
            "=1+1",
            "null",
            "0042",
            "a" * 60,
            "\u00e9" * LONG,
        )
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30),
)
NUMBERS = st.one_of(
    st.integers(-(2**40), 2**40), st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 3))
)
DATES = st.dates(date(1900, 1, 1), date(2100, 1, 1))
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - as bounds
    lambda time: time.replace(microsecond=0)
)


def custom_values(options: Iterable[str]) -> st.SearchStrategy[CustomValue]:
    """Values of every type, options of the field among them."""
    choices = [st.sampled_from(found)] if (found := tuple(options)) else []
    several = st.lists(st.one_of(*choices, st.sampled_from(("x", "y, z"))), min_size=1, max_size=3, unique=True)
    return st.one_of(
        TEXTS, NUMBERS, DATES, TIMES, st.booleans(), several.map(tuple), st.sampled_from(("7", "2024-02-29")), *choices
    )


@st.composite
def _identifiers(draw: st.DrawFn, number: int) -> tuple[Identifier, ...]:
    """Identifiers that no other contact has, since they hold its number."""
    address = f"Person.{number}@Example.com" if draw(st.booleans()) else f"j\u00f6rg+{number}@example.com"
    found = [Identifier.email(address)]
    found += [Identifier.email(f"further-{number}-{n}@example.com") for n in range(draw(st.integers(0, 12)))]
    found += [
        Identifier.phone(f"+1 202 555 {1000 + n}", "") for n in range(number * 3, number * 3 + draw(st.integers(0, 2)))
    ]
    more = (
        Identifier.external_id(f"CRM-{number}/\u00e9"),
        Identifier.external_id(f"{number}" + "x" * 300),
        Identifier.anonymous_id(f"visitor {number}"),
        Identifier.other("IMPP", f"xmpp:person-{number}@example.com"),
        Identifier.other("membership", f"M{number}"),
        Identifier.email(f"not an address {number}"),
        Identifier.phone(f"extension {number}"),
    )
    return (*found, *draw(st.lists(st.sampled_from(more), max_size=3, unique=True)))


@st.composite
def contacts(draw: st.DrawFn, number: int, shape: Shape) -> Contact:
    """A contact for an account of this shape, with values that fit it and with others.

    Args:
        draw: What Hypothesis passes.
        number: Its number: its identifiers are those of nobody else.
        shape: What the account has room for.
    """
    custom: dict[str, CustomValue] = {}
    for field in draw(st.lists(st.sampled_from(shape.fields), max_size=4, unique_by=str)) if shape.fields else []:
        custom[field.name] = draw(custom_values(field.options))
    for name in draw(st.lists(st.sampled_from(("no such field", "score-2", "Birthday")), max_size=2, unique=True)):
        custom[name] = draw(custom_values(()))
    lists = draw(st.lists(st.sampled_from(shape.lists), max_size=2, unique_by=str)) if shape.lists else []
    optional = st.none() | TEXTS
    return Contact(
        identifiers=draw(_identifiers(number)),
        first_name=draw(optional),
        last_name=draw(optional),
        full_name=draw(optional),
        address=draw(st.none() | st.builds(Address, *([st.just("") | TEXTS] * 7))),
        organization=draw(optional),
        title=draw(optional),
        tags=tuple(draw(st.lists(TEXTS, max_size=3, unique=True))),
        custom=custom,
        lists=tuple(each.id for each in lists),
        extra={"shoe_size": "43"} if draw(st.booleans()) else {},
    )
