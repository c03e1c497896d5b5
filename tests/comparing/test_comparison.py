"""What a comparison finds, between accounts in memory and from files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest
from attrs import evolve, field, frozen

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.errors import InvalidInput
from contacts_core.models import Address, FieldType, LossCode, Page, Preview, Shape
from contacts_core.operations.losses import accepted_losses
from contacts_core.plans.comparing import Comparison, ComparisonStatus, FieldMap, Hold, check, check_async
from contacts_core.provider import Flow
from contacts_core.provider.fitting import Fitting, fitted_value
from contacts_core.query import F
from contacts_core.testing import MemoryProvider
from contacts_core.testing.memory import Store

MISSING, DIFFERENT, EQUAL = ComparisonStatus.MISSING, ComparisonStatus.DIFFERENT, ComparisonStatus.EQUAL
HELD, REFUSED = ComparisonStatus.HELD, ComparisonStatus.REFUSED


@frozen(kw_only=True)
class Narrow(MemoryProvider):
    """A vendor with few fields, that have to exist before they have values, and that needs an address."""

    name = "narrow"
    title = "Narrow"
    fields_defined_first: ClassVar[bool] = True
    store: Store = field(factory=Store, repr=False)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        fitting = Fitting(contact)
        if not contact.email:
            return fitting.refuse("it has no e-mail address")
        for name in ("organization", "title", "extra"):
            fitting.drop(name, LossCode.NO_PLACE)
        fitting.cut({"first_name": 10})
        fitting.fit_custom(shape, fitted_value)
        return fitting.preview()


def person(n: int, **values: Any) -> Contact:
    return Contact(identifiers=(Identifier.email(f"p{n}@example.com"),), first_name=f"P{n}", **values)


def filled(*people: Contact, provider: type[MemoryProvider] = MemoryProvider, lists: Sequence[str] = ()) -> Any:
    account = provider()
    account.store.lists.update({f"{account.name}-{name}": name for name in lists})
    for n, each in enumerate(people):
        id = f"{account.name}-c{n}"
        account.store.contacts[id] = evolve(each, provider=account.name, id=id, lists=each.lists or ())
    return account


def client(provider: MemoryProvider, name: str) -> Contacts[MemoryProvider]:
    return Contacts(provider, name=name)


def compared(source: Any, target: MemoryProvider, **options: Any) -> Comparison:
    if isinstance(source, MemoryProvider):
        source = client(source, "old")
    return check(source, client(target, "new"), **options)


def statuses(comparison: Comparison) -> list[ComparisonStatus]:
    return [each.status for each in comparison.rows()]


def test_each_contact_has_a_status() -> None:
    old = filled(*map(person, range(6)), Contact(first_name="Nobody"))
    new = filled(
        person(0),
        evolve(person(1), first_name="Other"),
        evolve(person(2), title="Chief"),  # more than the source has
        Contact(identifiers=(Identifier.email("P3@Example.COM"),), first_name="P3"),
        person(9),
    )
    found = compared(old, new)
    assert statuses(found) == [EQUAL, DIFFERENT, EQUAL, EQUAL, MISSING, MISSING, HELD]
    assert found.counts == {EQUAL: 3, DIFFERENT: 1, MISSING: 2, HELD: 1, REFUSED: 0}
    assert len(found) == 7
    assert found.differing_fields == {"first_name": 1}
    assert found.holds == {Hold.NO_IDENTIFIER: 1}
    assert not found.is_complete()
    (different,) = found.rows(DIFFERENT)
    assert (different.number, different.old_id, different.differences) == (2, "memory-c1", ("first_name",))
    assert different.target is not None
    assert different.target.first_name == "Other"
    assert different.written == evolve(person(1), lists=())
    assert [each.number for each in found.rows(MISSING, HELD)] == [5, 6, 7]
    assert found.only_in_target == 1
    assert [each.email for each in found.contacts_only_in_target()] == ["p9@example.com"]
    assert "example.com" not in repr(found) + "".join(each.reason for each in found.rows())


def test_an_account_equals_itself() -> None:
    account = client(filled(*map(person, range(3)), lists=["News"]), "same")
    found = check(account, account)
    assert found.is_complete()
    assert statuses(found) == [EQUAL] * 3
    assert found.only_in_target == 0


def test_losses_are_told_and_are_no_differences() -> None:
    long = "x" * 30
    old = filled(*(evolve(person(n), first_name=f"{long}{n}", organization="ACME", title="CEO") for n in range(5)))
    new = filled(*(evolve(person(n), first_name=long[:10]) for n in range(5)), provider=Narrow)
    found = compared(old, new)
    assert found.is_complete()
    assert [(each.name, each.count) for each in found.losses.rows] == [
        ("TRUNCATED:first_name", 5),
        ("NO_PLACE:organization", 5),
        ("NO_PLACE:title", 5),
    ]
    assert all(len(each.samples) == 3 and each.hint for each in found.losses.rows)
    assert "p0@" not in "".join(str(each.samples) for each in found.losses.rows)
    (first, *_) = found.rows()
    assert {each.field for each in first.losses} == {"first_name", "organization", "title"}


def test_times_of_the_source_are_told_as_lost() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    found = compared(filled(person(1, created_at=moment)), filled(person(1)))
    assert [each.name for each in found.losses.rows] == ["DATE_LOST:created_at"]
    assert found.is_complete()


def test_who_would_be_refused_is_missed_unless_that_is_accepted() -> None:
    old = filled(person(1), Contact(identifiers=(Identifier.phone("+12025550101"),)))
    found = compared(old, filled(person(1), provider=Narrow))
    assert statuses(found) == [EQUAL, REFUSED]
    assert [each.reason for each in found.rows(REFUSED)] == ["it has no e-mail address"]
    assert not found.is_complete()
    assert not found.is_complete(accepted_losses(["NO_PLACE"]))
    assert found.is_complete(accepted_losses(["REFUSED:contact"]))


def test_lists_are_compared_by_their_names() -> None:
    old = filled(
        person(1, lists=("memory-News", "memory-Old")), person(2, lists=("memory-News",)), lists=["News", "Old"]
    )
    new = filled(person(1, lists=("narrow-News",)), person(2), provider=Narrow, lists=["News", "More"])
    found = compared(old, new)
    assert [(each.status, each.differences) for each in found.rows()] == [
        (EQUAL, ()),
        (DIFFERENT, ("lists.narrow-News",)),
    ]
    assert [each.source.lists for each in found.rows()] == [("News", "Old"), ("News",)]
    assert [each.name for each in found.losses.rows] == ["NO_LIST:lists.Old"]
    assert not found.new_lists


def test_lists_to_be_created_are_named_and_are_no_loss() -> None:
    old = filled(person(1, lists=("memory-News", "memory-Old")), lists=["News", "Old", "Empty"])
    found = compared(old, filled(provider=Narrow, lists=["News"]), create_lists=True)
    assert found.new_lists == ("Old",)
    (row,) = found.rows()
    assert row.written is not None
    assert row.written.lists == ("narrow-News", "Old")
    assert row.losses == ()
    assert found.shape.lists is not None
    assert [each.name for each in found.shape.lists] == ["News", "Old"]


def test_fields_to_be_created_have_the_types_of_the_source() -> None:
    old = filled(person(1, custom={"score": 7, "born": date(2000, 1, 1), "note": "x"}), person(2, custom={"mixed": 1}))
    old.store.contacts["memory-c2"] = evolve(person(3, custom={"mixed": "1"}), provider="memory", id="memory-c2")
    old.store.fields.update(score=FieldType.NUMBER, born=FieldType.DATE, note=FieldType.TEXT, unused=FieldType.TEXT)
    new = filled(provider=Narrow)
    lossy = compared(old, new)
    assert [each.code for each in lossy.losses.rows] == [LossCode.NO_FIELD] * 4
    found = compared(old, new, create_fields=True)
    assert {each.name: each.type for each in found.new_fields} == {
        "score": FieldType.NUMBER,
        "born": FieldType.DATE,
        "note": FieldType.TEXT,
        "mixed": FieldType.TEXT,
    }
    assert [(each.name, each.count) for each in found.losses.rows] == [("RETYPED:custom.mixed", 1)]


def test_a_map_is_applied_before_anything_is_compared() -> None:
    field_map = FieldMap.parse("""
        [fields]
        "custom.Town" = "address.city"
        organization = "custom.company"
        "custom.secret" = false
        [lists]
        "Old news" = "News"
        Test = false
        [tags]
        vip = "VIP"
    """)
    old = filled(
        person(
            1,
            custom={"Town": "Berlin", "secret": "x"},
            organization="ACME",
            tags=("vip", "b"),
            lists=("memory-Old news", "memory-Test"),
        ),
        lists=["Old news", "Test"],
    )
    new = filled(
        person(
            1, custom={"company": "ACME"}, address=Address(city="Berlin"), tags=("VIP", "b"), lists=("narrow-News",)
        ),
        provider=Narrow,
        lists=["News"],
    )
    new.store.fields["company"] = FieldType.TEXT
    found = compared(old, new, field_map=field_map)
    assert [(each.status, each.differences, each.losses) for each in found.rows()] == [(EQUAL, (), ())]


def test_a_query_restricts_the_source_and_only_looks_up_the_target() -> None:
    old = filled(*map(person, range(4)))
    found = compared(old, filled(person(1), person(9)), only=F.first_name == "P1")
    assert statuses(found) == [EQUAL]
    assert found.only_in_target is None
    with pytest.raises(ValueError, match="not read completely"):
        found.contacts_only_in_target()


def people_from(*people: Contact) -> Iterator[Contact]:
    yield from people


def test_contacts_of_a_file_are_compared_with_an_account() -> None:
    new = filled(person(0), person(1, lists=("memory-News",)), lists=["News"])
    rows = [
        evolve(person(0), provider="shop", id="7", lists=("12",)),  # another vendor's list means nothing
        evolve(person(1), lists=("News",)),
        evolve(person(2), lists=("memory-News",)),
        evolve(person(0), identifiers=(Identifier.other("shop", "memory-c1"),)),  # and its ids are nobody else's
    ]
    found = compared(people_from(*rows), new)
    assert statuses(found) == [EQUAL, EQUAL, MISSING, MISSING]
    assert [each.name for each in found.losses.rows] == ["NO_LIST:lists.12"]
    assert [each.old_id for each in found.rows()] == ["7", "", "", ""]
    assert found.source == ""


def test_what_is_shown_twice_is_one_contact_if_it_is_the_same() -> None:
    twice = [
        evolve(person(n), provider="shop", id=f"{n}", first_name=name)
        for n, name in ((0, "A"), (0, "A"), (1, "A"), (1, "B"))
    ]
    found = compared(twice, filled(evolve(person(0), first_name="A"), evolve(person(1), first_name="A")))
    assert [(each.status, each.number) for each in found.rows()] == [(EQUAL, 1), (HELD, 3)]
    assert found.holds == {Hold.SHOWN_TWICE: 1}


class Shifting(MemoryProvider):
    """Shows contacts on two pages, because they shift meanwhile; or a cursor twice."""

    name = "memory"
    loops: ClassVar[bool] = False

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        everyone = self.store.all_contacts()
        if self.loops:
            return Page(everyone[len(cursor or "") :], next="again")
        return Page(everyone[:3], next="2") if cursor is None else Page(everyone[2:])


class Looping(Shifting):
    loops = True


def test_an_account_whose_pages_shift_has_each_contact_once() -> None:
    people = [person(n) for n in range(5)]
    found = compared(filled(*people, provider=Shifting), filled(*people, provider=Shifting))
    assert statuses(found) == [EQUAL] * 5
    assert found.only_in_target == 0


def test_pages_that_do_not_end_are_an_error() -> None:
    from contacts_core.errors import UnexpectedPayload

    with pytest.raises(UnexpectedPayload, match="the same cursor twice"):
        compared(filled(person(1), person(2), provider=Looping), filled())


@frozen(kw_only=True)
class WithoutLists(MemoryProvider):
    """Its contacts come without their lists, from exports and from reads by id."""

    name = "listless"
    title = "Without lists"
    export_includes_lists: ClassVar[bool] = False
    store: Store = field(factory=Store, repr=False)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from MemoryProvider.contacts_page(self, list_id, cursor)
        return Page([evolve(each, lists=None) for each in page.items], page.next, page.total)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from MemoryProvider.get_contacts(self, ids)
        return [evolve(each, lists=None) for each in found]


@frozen(kw_only=True)
class ListsById(WithoutLists):
    """Its contacts come with their lists when they are read by id."""

    name = "by-id"
    get_batch_size: ClassVar[int] = 100
    store: Store = field(factory=Store, repr=False)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        return (yield from MemoryProvider.get_contacts(self, ids))


@pytest.mark.parametrize("provider", [WithoutLists, ListsById])
@pytest.mark.parametrize("everything", [True, False])
def test_lists_are_read_where_contacts_come_without_them(provider: type[MemoryProvider], everything: bool) -> None:
    name = provider.name
    people = [person(1, lists=(f"{name}-A", f"{name}-B")), person(2, lists=(f"{name}-B",)), person(3)]
    old, new = filled(*people, provider=provider, lists="ABC"), filled(*people, provider=provider, lists="ABC")
    found = compared(old, new, everything=everything)
    assert [each.source.lists for each in found.rows()] == [("A", "B"), ("B",), ()]
    assert statuses(found) == [EQUAL] * 3
    new.store.contacts[f"{name}-c1"] = evolve(new.store.contacts[f"{name}-c1"], lists=())
    changed = compared(old, new, everything=everything)
    assert [each.differences for each in changed.rows(DIFFERENT)] == [(f"lists.{name}-B",)]


def test_contacts_that_cannot_be_sent_are_refused() -> None:
    odd = [
        person(1, custom={"x": float("inf")}),
        person(2, custom={"x": object()}),
        evolve(person(3), last_name="\ud83d"),
        Contact(identifiers=(Identifier.email("\ud83d@example.com"),)),
        person(5, extra={"x": {1: 2}, "y": object()}),
        person(6),
    ]
    found = compared(odd, filled())
    assert statuses(found) == [REFUSED] * 5 + [MISSING]
    assert all(each.reason for each in found.rows(REFUSED))


def test_a_target_may_hold_half_characters() -> None:
    found = compared(filled(person(1)), filled(evolve(person(1), last_name="\ud83d")))
    assert statuses(found) == [EQUAL]


@pytest.mark.parametrize("source", ["p@example.com", 7, [1], [None], person(1)])
def test_what_is_no_contact_is_refused(source: Any) -> None:
    if isinstance(source, str):
        source = [source]
    with pytest.raises(InvalidInput, match="contact"):
        compared(source, filled())


def test_only_an_account_can_be_queried() -> None:
    with pytest.raises(InvalidInput, match="queried"):
        compared([person(1)], filled(), only=F.email == "a@example.com")


def test_too_many_lists_and_fields_are_refused() -> None:
    with pytest.raises(InvalidInput, match="lists"):
        compared([person(1, lists=tuple(f"{n}" for n in range(10_001)))], filled())
    with pytest.raises(InvalidInput, match="custom fields"):
        compared([person(1, custom={f"{n}": 1 for n in range(10_001)})], filled(), create_fields=True)


def test_it_works_asynchronously_and_with_a_stream_of_contacts() -> None:
    async def run() -> None:
        people = [person(n) for n in range(1200)]
        async with AsyncContacts(filled(*people), name="old") as old, AsyncContacts(filled(*people), name="new") as new:
            found = await check_async(old, new)
            assert found.is_complete()
            assert len(found) == 1200

            async def stream() -> AsyncIterator[Contact]:
                for each in people:
                    yield each

            told: list[str] = []
            found = await check_async(stream(), new, progress=told.append)
            assert found.is_complete()
            assert any("compared" in each for each in told)
            assert (await check_async(new, new)).is_complete()

    asyncio.run(run())


def test_a_value_that_is_there_as_it_was_given_is_no_difference_although_a_write_would_change_it() -> None:
    moment = datetime(2024, 1, 1, 9, 30, tzinfo=UTC)
    old = filled(person(1, custom={"day": moment}), person(2, custom={"day": moment}))
    new = filled(person(1, custom={"day": moment}), person(2, custom={"day": date(2024, 1, 2)}), provider=Narrow)
    new.store.fields["day"] = FieldType.DATE
    assert [(each.status, each.differences) for each in compared(old, new).rows()] == [
        (EQUAL, ()),
        (DIFFERENT, ("custom.day",)),
    ]


def test_names_that_a_vendor_keeps_for_itself_are_not_created() -> None:
    @frozen(kw_only=True)
    class Reserving(Narrow):
        name = "narrow"
        reserved_field_names: ClassVar[tuple[str, ...]] = ("city",)
        store: Store = field(factory=Store, repr=False)

    old = filled(person(1, custom={"City": "Berlin", "plan": "x"}))
    found = compared(old, filled(provider=Reserving), create_fields=True)
    assert [each.name for each in found.new_fields] == ["plan"]
    assert [each.name for each in found.losses.rows] == ["NO_FIELD:custom.City"]


@pytest.mark.parametrize(
    ("rule", "values", "made"),
    [
        ('"custom.city" = "custom.town"', {"custom": {"city": "Oslo"}}, ("town", FieldType.TEXT)),
        ('"address.city" = "custom.town"', {"address": Address(city="Oslo")}, ("town", FieldType.TEXT)),
        ('"title" = "custom.position"', {"title": "Chief"}, ("position", FieldType.TEXT)),
        ('"extra.city" = "custom.town"', {"extra": {"city": "Oslo"}}, ("town", FieldType.TEXT)),
        ('"extra.score" = "custom.points"', {"extra": {"score": 3}}, ("points", FieldType.NUMBER)),
        ('"extra.seen" = "custom.seen"', {"extra": {"seen": {"at": "noon"}}}, ("seen", FieldType.TEXT)),
        (
            '"extra.score" = {to = "custom.points", type = "number"}',
            {"extra": {"score": "3"}},
            ("points", FieldType.NUMBER),
        ),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_a_field_that_only_the_map_names_is_to_be_created(
    rule: str, values: dict[str, Any], made: tuple[str, FieldType], *, from_file: bool
) -> None:
    named = FieldMap.parse(f"[fields]\n{rule}")
    people = [person(0, **values)]
    source = people if from_file else filled(*people)
    found = compared(source, filled(provider=Narrow), field_map=named, create_fields=True)
    assert [(each.name, each.type) for each in found.new_fields] == [made]
    assert {each.field for each in found.losses.rows} <= {"extra"}
    (contact,) = found.rows()
    assert contact.written is not None
    assert made[0] in contact.written.custom


def test_a_field_that_only_the_map_names_and_nobody_needs_is_not_created() -> None:
    named = FieldMap.parse('[fields]\n"extra.city" = "custom.town"')
    found = compared(filled(person(0)), filled(provider=Narrow), field_map=named, create_fields=True)
    assert found.new_fields == ()
