"""The portable query, the same for every vendor.

    F.email == "jane@example.com"
    (F.last_name == "O'Brien") & ~(F.list == "3c1f…")
    F.custom["score"] > 10

`Query.matches` defines what a query means. Providers translate what their vendor can answer, and the core filters the
answers with it. A field with several values (``F.email``, ``F.list``, ``F.tag``) matches when any value does, with
one exception: the text operators (``startswith``, ``endswith``, ``contains``) on e-mail addresses and phone numbers
look at the ones marked primary where a contact has such marks, because that is what vendors index. A missing value
matches nothing. Text is compared exactly, identifiers by their normal form. Times must have a time zone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, TypeAlias, cast

import attrs
from attrs import frozen

from contacts_core.errors import InvalidInput
from contacts_core.models import Contact, Identifier, IdentifierKind
from contacts_core.models.identifiers import mask, normal_email, normal_phone

__all__ = ["And", "Compare", "F", "Field", "Not", "Op", "Or", "Query", "RawQuery", "Value", "replaced", "walk"]

Value: TypeAlias = str | int | float | bool | date | datetime
"""What a field can be compared with. Times need a time zone."""


class Op(Enum):
    """The comparisons of the portable query."""

    EQ = "=="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    CONTAINS = "contains"
    SET = "is set"


TEXT_OPS = (Op.STARTSWITH, Op.ENDSWITH, Op.CONTAINS)
COMPARISONS: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: operator.eq,
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.STARTSWITH: lambda value, target: str(value).startswith(target),
    Op.ENDSWITH: lambda value, target: str(value).endswith(target),
    Op.CONTAINS: lambda value, target: target in str(value),
    Op.SET: lambda _value, _target: True,
}
KINDS = {
    "email": IdentifierKind.EMAIL,
    "phone": IdentifierKind.PHONE,
    "external_id": IdentifierKind.EXTERNAL_ID,
    "anonymous_id": IdentifierKind.ANONYMOUS_ID,
}
ADDRESS_FIELDS = ("city", "region", "postal_code", "country")


class Query:
    """A condition on contacts; combine with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def matches(self, contact: Contact) -> bool:
        """Return whether the contact meets the condition.

        Raises:
            InvalidInput: The query has a `RawQuery` in it, which only its vendor can evaluate.
        """
        raise NotImplementedError

    def __and__(self, other: Query) -> Query:
        """Match contacts that meet both conditions."""
        return And((*_parts(self, And), *_parts(other, And)))

    def __or__(self, other: Query) -> Query:
        """Match contacts that meet at least one of the conditions."""
        return Or((*_parts(self, Or), *_parts(other, Or)))

    def __invert__(self) -> Query:
        """Match contacts that do not meet the condition."""
        return Not(self)

    def __bool__(self) -> bool:
        """Raise: ``and``, ``or``, ``not`` and ``if`` would silently drop a part of the query."""
        message = "a query has no truth value; combine queries with & | ~ and parentheses"
        raise TypeError(message)


@frozen
class Compare(Query):
    """One field against one value; ``key`` is the name of a custom field."""

    field: str
    op: Op
    value: Value = attrs.field(default="", repr=lambda value: mask(value) if isinstance(value, str) else repr(value))
    key: str = ""

    def matches(self, contact: Contact) -> bool:
        """Return whether the contact meets the condition; see `Query.matches`."""
        compare, target = COMPARISONS[self.op], self.value
        for value in _values(contact, self):
            left, right = _comparable(value, target) if self.op not in (*TEXT_OPS, Op.SET) else (value, target)
            try:
                if compare(left, right):
                    return True
            except TypeError:  # a number against a text, say: not equal, not less, nothing
                continue
        return False


@frozen
class And(Query):
    """Every part must match."""

    parts: tuple[Query, ...]

    def matches(self, contact: Contact) -> bool:
        """Return whether the contact meets the condition; see `Query.matches`."""
        return all(part.matches(contact) for part in self.parts)


@frozen
class Or(Query):
    """At least one part must match."""

    parts: tuple[Query, ...]

    def matches(self, contact: Contact) -> bool:
        """Return whether the contact meets the condition; see `Query.matches`."""
        return any(part.matches(contact) for part in self.parts)


@frozen
class Not(Query):
    """The part must not match."""

    part: Query

    def matches(self, contact: Contact) -> bool:
        """Return whether the contact meets the condition; see `Query.matches`."""
        return not self.part.matches(contact)


@frozen
class RawQuery(Query):
    """A condition in the vendor's own query language, passed on unchanged."""

    text: str = attrs.field(repr=False)

    def matches(self, contact: Contact) -> bool:
        """Raise `InvalidInput`: only the vendor can evaluate it."""
        message = "a native query cannot be applied to contacts that were already read"
        raise InvalidInput(message)


def replaced(query: Query, change: Callable[[Compare], Compare]) -> Query:
    """Return the query with each comparison replaced by the result of ``change``."""
    match query:
        case Compare():
            return change(query)
        case And(parts):
            return And(tuple(replaced(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(replaced(part, change) for part in parts))
        case Not(part):
            return Not(replaced(part, change))
        case _:
            return query


class Field:
    """A field of contacts. Comparing it with a value gives a query."""

    __slots__ = ("_key", "_name")

    def __init__(self, name: str, key: str = "") -> None:
        self._name, self._key = name, key

    def _compare(self, op: Op, value: Value) -> Compare:
        if isinstance(value, datetime) and value.tzinfo is None:
            message = f"{self._name} is compared with a time without a zone"
            raise InvalidInput(message, hint="use an aware datetime, such as datetime.now(UTC)")
        return Compare(self._name, op, _normal(self._name, op, value), self._key)

    def __eq__(self, value: Value) -> Compare:  # type: ignore[override]  # a query, not a truth value
        """Equal to."""
        return self._compare(Op.EQ, value)

    def __ne__(self, value: Value) -> Not:  # type: ignore[override]
        """Not equal to; a contact without the field matches."""
        return Not(self._compare(Op.EQ, value))

    def __lt__(self, value: Value) -> Compare:
        """Less than, or before."""
        return self._compare(Op.LT, value)

    def __le__(self, value: Value) -> Compare:
        """At most."""
        return self._compare(Op.LE, value)

    def __gt__(self, value: Value) -> Compare:
        """More than, or after."""
        return self._compare(Op.GT, value)

    def __ge__(self, value: Value) -> Compare:
        """At least."""
        return self._compare(Op.GE, value)

    __hash__ = None  # type: ignore[assignment]  # == makes a query

    def startswith(self, text: str) -> Compare:
        """Match text that starts with ``text``; case counts."""
        return self._compare(Op.STARTSWITH, text)

    def endswith(self, text: str) -> Compare:
        """Match text that ends with ``text``; case counts."""
        return self._compare(Op.ENDSWITH, text)

    def contains(self, text: str) -> Compare:
        """Match text that contains ``text``; case counts."""
        return self._compare(Op.CONTAINS, text)

    def in_(self, values: Iterable[Value]) -> Query:
        """Match any of these values. Without values, nothing matches."""
        if isinstance(values, str):
            raise InvalidInput("expected a list of values, got a str", hint="put it into a list")
        return Or(tuple(self._compare(Op.EQ, value) for value in values))

    def is_set(self) -> Compare:
        """Match contacts that have any value in this field."""
        return Compare(self._name, Op.SET, "", self._key)


class CustomFields:
    """Custom fields by name: ``F.custom["score"]``."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Field:
        """The custom field of this name."""
        return Field("custom", name)


class Fields:
    """The fields that every provider shares."""

    id = Field("id")
    email = Field("email")
    phone = Field("phone")
    external_id = Field("external_id")
    anonymous_id = Field("anonymous_id")
    first_name = Field("first_name")
    last_name = Field("last_name")
    full_name = Field("full_name")
    organization = Field("organization")
    title = Field("title")
    city = Field("city")
    region = Field("region")
    postal_code = Field("postal_code")
    country = Field("country")
    list = Field("list")
    tag = Field("tag")
    created_at = Field("created_at")
    updated_at = Field("updated_at")
    custom = CustomFields()


F = Fields()
"""The fields of contacts: ``F.email == "jane@example.com"``, ``F.custom["score"] >= 10``. See `Field`."""


def walk(query: Query) -> Iterator[Query]:
    """Every node of a query, the query itself first."""
    yield query
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from walk(part)
        case Not(part):
            yield from walk(part)
        case _:
            pass


def identifier_of(query: Query) -> Identifier | None:
    """The one identifier a query asks for, if that is all it does or one of several conditions that must all hold."""
    match query:
        case Compare(name, Op.EQ, str(value)) if name in KINDS:
            return Identifier(KINDS[name], value)
        case And(parts):
            return next(filter(None, map(identifier_of, parts)), None)
        case _:
            return None


def _parts(query: Query, kind: type[And | Or]) -> tuple[Query, ...]:
    return query.parts if isinstance(query, kind) else (query,)


def _normal(name: str, op: Op, value: Value) -> Value:
    match name, value:
        case "email", str():
            return normal_email(value) if op is Op.EQ else value.lower()
        case "phone", str() if op is Op.EQ:
            return normal_phone(value)
        case _:
            return value


def _values(contact: Contact, compare: Compare) -> Iterable[Any]:
    name = compare.field
    if name in KINDS:
        of_kind = contact.identifiers_of(KINDS[name])
        if compare.op in TEXT_OPS:
            of_kind = tuple(i for i in of_kind if i.primary) or of_kind
        if name == "email" and compare.op is not Op.EQ:  # in lower case as the target is, also what is not an address
            return [i.normal.lower() for i in of_kind]
        return [i.normal for i in of_kind]
    if name == "list":
        if contact.lists is None:
            message = "it is not known which lists this contact is on"
            raise InvalidInput(message)
        return contact.lists
    if name == "tag":
        return contact.tags
    if name == "custom":
        value: Any = contact.custom.get(compare.key)
    elif name in ADDRESS_FIELDS:
        value = getattr(contact.address, name, None)
    else:
        value = getattr(contact, name)
    values = cast("tuple[Any, ...]", value)
    if isinstance(value, tuple):
        return values
    return () if value is None or value == "" else (value,)


def _comparable(value: Any, target: Any) -> tuple[Any, Any]:
    """Bring dates and times to one type; vendors give dates in custom fields as text, dates or times."""
    if isinstance(target, date) and isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value, target
    if not (isinstance(value, date) and isinstance(target, date)):
        return value, target
    return _moment(value), _moment(target)


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
