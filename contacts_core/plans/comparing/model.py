"""What is compared, and what is found of one contact."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from enum import Enum
from typing import TypeAlias

from attrs import field, frozen

from contacts_core.models import Contact, Loss
from contacts_core.plans.comparing.field_map import FieldMap
from contacts_core.query import Query

__all__ = ["Compared", "ComparisonRequest", "ComparisonStatus", "Items"]

Items: TypeAlias = Iterable[Contact] | AsyncIterable[Contact]


class ComparisonStatus(Enum):
    """What became of one contact of the source.

    Attributes:
        MISSING: The target does not have it.
        DIFFERENT: The target has it, and not as a read would show it after it was written.
        EQUAL: The target has it, as far as it can hold it. It may have more than the source.
        HELD: Nobody can tell from identifiers which contact of the target it is.
        REFUSED: The target would refuse it.
    """

    MISSING = "missing"
    DIFFERENT = "different"
    EQUAL = "equal"
    HELD = "held"
    REFUSED = "refused"


@frozen
class ComparisonRequest:
    """What to compare.

    Attributes:
        source: The name of an account, or contacts, which are iterated over once.
        target: The name of an account.
        field_map: What becomes of fields, lists and tags.
        only: Which contacts of an account are compared; None for all.
        everything: Whether the target is read completely, so that contacts which only the target has are known.
            Otherwise the identifiers of the source are looked up, as far as the vendor has a look-up.
        create_fields: Whether custom fields that the target lacks are to be created.
        create_lists: Whether lists that the target lacks are to be created.
        old_ids: Whether a contact that the target lacks gets its id of the source as an external id. Only if it has no
            external id of its own, the target keeps such ids, and no other contact of either side has the same one.
        progress: Called from time to time with how far it got, in words, from whichever thread runs a flow.
        prepare: Called with each contact of the source; returns it as it is compared.
    """

    source: str | Items = field(repr=False)
    target: str
    field_map: FieldMap = field(factory=FieldMap)
    only: Query | None = None
    everything: bool = True
    create_fields: bool = False
    create_lists: bool = False
    old_ids: bool = False
    progress: Callable[[str], object] | None = field(default=None, repr=False)
    prepare: Callable[[Contact], Contact] | None = field(default=None, repr=False)


@frozen
class Compared:
    """One contact of the source, compared.

    Attributes:
        number: Its position in the source, from 1.
        old_id: Its id in the source; empty if it has none.
        source: The contact as it was read, with the names of its lists.
        status: What became of it.
        written: What is to be written; see `Preview.written`. None if the contact would be refused.
        shown: What a read would show of it afterwards, if it is new; see `Preview.shown`.
        losses: What is not shown as the source has it.
        target: The contact of the target that it matches; None if there is none.
        differences: Names of what ``target`` does not show as ``shown`` does, sorted.
        reason: Why it is held, or would be refused; identifiers are masked.
    """

    number: int
    old_id: str
    source: Contact
    status: ComparisonStatus
    written: Contact | None
    shown: Contact | None
    losses: tuple[Loss, ...]
    target: Contact | None
    differences: tuple[str, ...]
    reason: str
