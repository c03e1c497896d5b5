"""What a search can ask for."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.cli.conditions import NAMES, OPERATORS, Combined, Condition, where
from contacts_core.cli.output import Exit
from contacts_core.models import Address, Identifier
from tests.cli.fake_provider import Run, Vendor, person


@pytest.fixture
def people(vendor: Vendor) -> Vendor:
    def born(day: int) -> datetime:
        return datetime(2025, 1, day, tzinfo=UTC)

    vendor.people = {
        "id-1": person(1, created_at=born(1), custom={"score": 5, "vip": True}, tags=("a",)),
        "id-2": person(2, created_at=born(2), custom={"score": 10, "zip": "10115"}, address=Address(city="Berlin")),
        "id-3": person(
            3, created_at=born(3), custom={"score": 15}, identifiers=(Identifier.email("other@example.org"),)
        ),
        "id-4": person(4, first_name=None),
    }
    return vendor


CASES = [
    (("--where", "email$=@example.org"), [3]),
    (("--where", "email^=Person"), [1, 2, 4]),
    (("--where", "first_name*=rst2"), [2]),
    (("--where", "custom.score>=10"), [2, 3]),
    (("--where", "custom.score > 5", "--where", "custom.score < 15"), [2]),
    (("--where", "custom.score<=5"), [1]),
    (("--where", 'custom."score"!=5'), [2, 3, 4]),
    (("--where", "custom.vip=true"), [1]),
    (("--where", "custom.zip^=101"), [2]),
    (("--where", "city==Berlin"), [2]),
    (("--where", "created_at>2025-01-02"), [3]),
    (("--created-since", "2025-01-02"), [2, 3]),
    (("--created-since", "2025-01-02", "--created-before", "2025-01-03"), [2]),
    (("--updated-before", "2026-01-01"), []),
    (("--where", "city=Berlin or custom.score=15"), [2, 3]),
    (("--where", "email$='@example.com' and (tag = a OR custom.score>=10)"), [1, 2]),
    (("--where", "tag=a or email$=@example.com and city=Berlin"), [1, 2]),  # AND binds closer
    (("--where", "(tag=a or email$=@example.com) and city=Berlin"), [2]),
    (("--where", "not(city=Berlin or tag = a) and not first_name=First3"), [4]),
    (("--where", "city=Berlin or tag=a", "--where", "custom.score<10"), [1]),
    (("--any", "--where", "city=Berlin and tag=a", "--has", "custom.vip"), [1]),
    (("--where", "last_name=\"O'Brien\" and last_name='O\\'Brien' and last_name=O'Brien"), [1, 2, 3, 4]),
    (("--where", "((custom.score>5)and(custom.score<15))"), [2]),
    (("--where", "city=Ber (lin)"), []),
    (("--has", "phone"), [1, 2, 4]),
    (("--lacks", "phone"), [3]),
    (("--has", "custom.score,tag"), [1]),
    (("--lacks", "first_name,custom.score"), [4]),
    (("--any", "--where", "city=Berlin", "--tag", "a"), [1, 2]),
    (("--any", "--created-since", "2025-01-03", "--lacks", "first_name"), [3, 4]),
    (("--any", "--email", "other@example.org", "--email", "x@example.org"), None),
    (("--phone", "+1 (555) 010-0002", "--any"), [2]),
]


@pytest.mark.parametrize(
    ("options", "ids"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_conditions(options: tuple[str, ...], ids: list[int] | None, run: Run, people: Vendor) -> None:
    done = run("search", "acme", *options, "--json")
    if ids is None:
        assert done.code == Exit.USAGE
        return
    assert done.code == Exit.DONE, done.err
    assert [line["id"] for line in done.lines] == [f"id-{number}" for number in ids]


@pytest.mark.parametrize(
    ("option", "text", "told"),
    [
        ("--where", "email", "character 1: expected a condition such as FIELD=VALUE"),
        ("--where", "email=", "no value"),
        ("--where", "colour=red", "no field 'colour'"),
        ("--where", "created_at>yesterday", "not a time"),
        ("--where", "custom.score>high", "expected a number"),
        ("--where", "custom.=1", "no field"),
        ("--where", "organization=Smith and Sons", "character 24: expected a condition"),
        ("--where", "title=either or", "character 16: expected a condition"),
        ("--where", "(city=x", "character 8: expected ), and, or or"),
        ("--where", "city='x' y", "character 10: expected and, or or the end"),
        ("--where", "city='x", "character 6: the quote is not closed"),
        ("--where", "city=''", "character 6: there is no value"),
        ("--where", "(city=x) tag=y", "character 10: expected and, or or the end"),
        ("--where", "city=x and created_at>soon", "not a time"),
        ("--where", "not", "character 4: expected a condition"),
        ("--where", "(" * 2000, "more than 50"),
        ("--where", "not " * 2000, "more than 50"),
        ("--has", "colour", "no field 'colour'"),
        ("--lacks", "custom.", "no field"),
        ("--created-since", "soon", "not a time"),
        ("--updated-before", "soon", "not a time"),
    ],
)
def test_conditions_that_make_no_sense(option: str, text: str, told: str, run: Run, people: Vendor) -> None:
    done = run("search", "acme", option, text)
    assert done.code == Exit.USAGE
    assert told in done.err
    assert "search" not in people.calls
    assert "page 0" not in people.calls


def test_as_many_as_were_asked_for_are_enough_also_of_a_sample(run: Run, vendor: Vendor) -> None:
    vendor.shows = 2
    for limit, code, ids in ((1, Exit.DONE, 1), (2, Exit.DONE, 2), (3, Exit.PARTIAL, 2)):
        done = run("search", "acme", "--last-name", "O'Brien", "--limit", limit, "--json")
        assert (done.code, len(done.lines)) == (code, ids)
        table = run("search", "acme", "--last-name", "O'Brien", "--limit", limit)
        assert table.code == code
        assert len(table.out.splitlines()) == ids
        if code is Exit.DONE:
            assert "there are more" in done.err
            assert "there are more" in table.err


# -- expressions


def conditions(values: st.SearchStrategy[str]) -> st.SearchStrategy[Condition]:
    names = st.sampled_from([*NAMES, "custom.score", "custom.a b"])
    return st.builds(Condition, st.just("--where"), names, st.sampled_from(list(OPERATORS)), values)


def expressions(leaves: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition | Combined]:
    def joined(inner: st.SearchStrategy[Condition | Combined]) -> st.SearchStrategy[Combined]:
        several = st.lists(inner, min_size=2, max_size=4).map(tuple)
        one = st.tuples(inner)
        return st.one_of(
            *(st.builds(Combined, st.just(word), several) for word in ("and", "or")),
            st.builds(Combined, st.just("not"), one),
        )

    return st.recursive(leaves, joined, max_leaves=12)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def written(node: Condition | Combined, quote: bool) -> str:
    match node:
        case Condition(_, field, operator, text):
            return f"{field}{operator}{quoted(text) if quote else text}"
        case Combined("not", (part,)):
            return f"not ({written(part, quote)})"
        case Combined(word, parts):
            return f" {word} ".join(f"({written(part, quote)})" for part in parts)


@given(expressions(conditions(st.text(min_size=1).filter(str.strip))))
def test_an_expression_that_is_written_down_is_read_as_it_was(expression: Condition | Combined) -> None:
    assert where([written(expression, quote=True)]) == [expression]


@given(
    expressions(conditions(st.from_regex(r"[^\s'\")(]([^\s)(]|[ ]x)*", fullmatch=True).filter(lambda t: t[0] != "=")))
)
def test_values_may_stand_without_quotes(expression: Condition | Combined) -> None:
    assert where([written(expression, quote=False)]) == [expression]


@given(
    st.lists(st.sampled_from(["(", ")", "and", "or", "not", " ", "'", '"', "\\", "city", "=", "$=", "x", "custom."]))
)
def test_any_text_is_an_expression_or_a_usage_error(pieces: list[str]) -> None:
    with contextlib.suppress(typer.BadParameter):
        where(["".join(pieces)])
