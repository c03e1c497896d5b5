"""Between vCards and contacts: what a card says, and that an edit touches nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_carddav import mapping
from contacts_carddav.mapping import Card
from contacts_core.errors import InvalidInput, UnexpectedPayload
from contacts_core.models import Address, Contact, Identifier, IdentifierKind
from contacts_core.query import F, Query

JANE = Identifier.email("jane@example.com")
PHONE = Identifier.phone("+12025550101")


def card(*lines: str, version: str = "3.0") -> Card:
    text = "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", "UID:u-1", *lines, "END:VCARD", ""])
    return Card("/book/u-1.vcf", '"1"', mapping.lines(text, "/book/u-1.vcf"))


def contact(*lines: str, version: str = "3.0") -> Contact:
    return mapping.contact(card(*lines, version=version), {})


def upserted(before: Card, wanted: Contact, *categories: str, new: bool = False) -> tuple[list[str], set[str]]:
    preview = mapping.preview(wanted)
    assert preview.written is not None
    after = mapping.written(before, preview.written, categories, new=new)
    lost = {each.field for each in preview.losses if not each.code.is_kept}
    return after.text.replace("\r\n ", "").split("\r\n")[3:-2], lost


# -- reading


def test_a_card_becomes_a_contact() -> None:
    found = contact(
        "FN:Dr. Jane Q. Doe",
        "N:Doe;Jane;Q.;Dr.;",
        "EMAIL;TYPE=INTERNET,HOME:jane@example.com",
        "TEL;TYPE=CELL:+1 (202) 555-0101",
        "ORG:Example\\, Inc.;Sales",
        "TITLE:Head",
        "ADR;TYPE=WORK:;Floor 2;1 Main St;Springfield;IL;62701;US",
        "CATEGORIES:Friends,A\\,B",
        "CREATED:20240501T100000Z",
        "REV:2024-05-02T10:00:00Z",
        "X-SCORE:5",
        "NOTE:one\\ntwo\\; three",
    )
    assert (found.id, found.first_name, found.last_name, found.full_name) == ("u-1", "Jane", "Doe", "Dr. Jane Q. Doe")
    assert set(found.identifiers) == {JANE, PHONE}
    assert (found.organization, found.title) == ("Example, Inc.", "Head")
    assert found.address == Address("1 Main St", "Floor 2", "Springfield", "IL", "62701", "US")
    assert found.tags == ("Friends", "A,B")
    assert found.lists == ("category:Friends", "category:A,B")
    assert found.created_at
    assert found.created_at.isoformat() == "2024-05-01T10:00:00+00:00"
    assert found.updated_at
    assert found.updated_at.day == 2
    assert found.custom == {"score": "5"}
    assert found.extra["NOTE"] == "one\ntwo; three"
    assert found.extra["N"] == ["Doe", "Jane", "Q.", "Dr.", ""]
    assert found.extra["ORG"] == ["Example, Inc.", "Sales"]
    assert found.extra["vcard"].startswith("BEGIN:VCARD\r\n")


def test_folded_lines_are_read_as_one() -> None:
    assert contact("FN:Jane", "EMAIL:jane@exa", " mple", "\t.com").identifiers == (JANE,)


def test_a_fold_may_split_a_property_name_and_a_character_is_never_lost() -> None:
    found = contact("EMA", " IL:jane@example.com", "NOTE:a  ", "  b")
    assert found.identifiers == (JANE,)
    assert found.extra["NOTE"] == "a   b"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_break_is_read(newline: str) -> None:
    text = newline.join(["BEGIN:VCARD", "VERSION:3.0", "UID:u-1", "EMAIL:jane@", " example.com", "END:VCARD"])
    assert mapping.identifiers(Card("", "", mapping.lines(text, ""))) == (JANE,)


def test_separators_of_unicode_break_no_line() -> None:
    assert contact("NOTE:a\u2028b\x85c").extra["NOTE"] == "a\u2028b\x85c"


def test_groups_and_apple_labels() -> None:
    (work, home) = contact(
        "item1.EMAIL;TYPE=INTERNET:jane@example.com",
        "item1.X-ABLabel:_$!<Work>!$_",
        "item2.EMAIL;TYPE=HOME:home@example.com",
    ).identifiers
    assert (work.value, work.label) == ("jane@example.com", "Work")
    assert (home.value, home.label) == ("home@example.com", "home")


@pytest.mark.parametrize(
    ("lines", "version", "first"),
    [
        (["EMAIL:a@example.com", "EMAIL;TYPE=INTERNET,pref:b@example.com"], "3.0", "b@example.com"),
        (["EMAIL:a@example.com", "EMAIL;TYPE=HOME;TYPE=PREF:b@example.com"], "3.0", "b@example.com"),
        (["EMAIL;PREF=2:a@example.com", "EMAIL;PREF=1:b@example.com"], "4.0", "b@example.com"),
        (["EMAIL:a@example.com", "EMAIL;PREF=50:b@example.com"], "4.0", "b@example.com"),
        (["EMAIL:a@example.com", 'EMAIL;TYPE="home,pref":b@example.com'], "4.0", "b@example.com"),
        (["EMAIL:a@example.com", "EMAIL;HOME;PREF:b@example.com"], "2.1", "b@example.com"),
    ],
)
def test_the_preferred_one_is_primary_and_first(lines: list[str], version: str, first: str) -> None:
    found = contact(*lines, version=version).identifiers
    assert (found[0].value, found[0].primary) == (first, True)
    assert [each.primary for each in found[1:]] == [False]


def test_without_a_preference_none_is_primary() -> None:
    assert not any(each.primary for each in contact("EMAIL:a@example.com", "EMAIL;PREF=x:b@example.com").identifiers)


def test_uris_of_version_4_are_identifiers() -> None:
    found = contact(
        "TEL;VALUE=uri;TYPE=cell:tel:+1-202-555-0101",
        "TEL;VALUE=uri:tel:+1-202-555-0102;ext=7",
        "EMAIL;VALUE=uri:mailto:jane@example.com",
        "IMPP:xmpp:jane@example.com",
        version="4.0",
    )
    assert set(found.identifiers) == {
        PHONE,
        Identifier.phone("+12025550102;ext=7"),
        JANE,
        Identifier.other("IMPP", "xmpp:jane@example.com"),
    }


def test_quoted_parameters_may_hold_what_ends_others() -> None:
    found = contact('ADR;LABEL="1 Main St^nSpringfield; IL: US";TYPE=home:;;1 Main St;;;;', version="4.0")
    assert found.address
    assert found.address.formatted == "1 Main St\nSpringfield; IL: US"


def test_version_2_is_read() -> None:
    found = contact(
        "N;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;J=FCrgen;;;",
        "NOTE;ENCODING=QUOTED-PRINTABLE:long=",
        "er =3D text=0D=0Anext",
        "EMAIL;INTERNET:jane@example.com",
        "PHOTO;BASE64;JPEG:/9j/4AAQ",
        version="2.1",
    )
    assert (found.last_name, found.first_name) == ("Müller", "Jürgen")
    assert found.extra["NOTE"] == "longer = text\nnext"
    assert found.identifiers == (JANE,)


def test_an_unknown_charset_is_left_as_it_is() -> None:
    found = contact("NOTE;CHARSET=klingon;ENCODING=QUOTED-PRINTABLE:=FC", version="2.1")
    assert found.extra["NOTE"] == "=FC"


def test_a_card_without_a_uid_is_known_by_its_place() -> None:
    text = "BEGIN:VCARD\nVERSION:3.0\nFN:Jane\nEND:VCARD"
    assert Card("/book/a.vcf", "", mapping.lines(text, "/book/a.vcf")).uid == "href:/book/a.vcf"


def test_several_values_and_addresses_are_kept() -> None:
    found = contact(
        "X-COLOR:red",
        "X-COLOR:blue",
        "URL:https://example.com/a",
        "item1.URL:https://example.com/b",
        "ADR:;;Home 1;;;;",
        "ADR;TYPE=PREF:Box 5;;Work 2;;;;",
        "X-ABUID:12",
        "PHOTO;ENCODING=b:/9j/",
    )
    assert found.custom == {"color": ("red", "blue")}
    assert found.extra["URL"] == ["https://example.com/a", "https://example.com/b"]
    assert found.address == Address("Work 2")
    assert len(found.extra["ADR"]) == 2
    assert "PHOTO" not in found.extra
    assert "PHOTO" in found.extra["vcard"]


def test_empty_properties_are_no_values() -> None:
    found = contact("FN:", "N:;;;;", "EMAIL:", "TEL: ", "ORG:;", "TITLE:", "CATEGORIES:", "ADR:;;;;;;", "REV:never")
    assert found.identifiers == found.tags == ()
    assert (found.full_name, found.first_name, found.organization, found.title) == (None, None, None, None)
    assert found.updated_at is None


@pytest.mark.parametrize("line", ["EMAIL;TYPE=home jane@example.com", "item1.TEL", "EMAIL", "email;x"])
def test_an_identifier_that_cannot_be_read_is_told(line: str) -> None:
    assert contact("FN:Jane", line).extra["unread"] == 1


@pytest.mark.parametrize("line", ["garbage", "b/64+that=lost=its=indent", ":nothing", "B@D:x", "EMAILING LIST"])
def test_other_lines_that_cannot_be_read_are_kept(line: str) -> None:
    before = card("FN:Jane", line, "EMAIL:jane@example.com")
    assert "unread" not in mapping.contact(before, {}).extra
    after = mapping.without(before, JANE)
    assert after
    assert f"\r\n{line}\r\n" in after.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "BEGIN:VCARD\nVERSION:3.0\nUID:u-1\n",
        "BEGIN:VCALENDAR\nUID:u-1\nEND:VCALENDAR",
        "VERSION:3.0\nUID:u-1\nBEGIN:VCARD\nEND:VCARD",
        "BEGIN:VCARD\nUID:u-1\nEND:VCARD\nUID:u-2",
        "BEGIN:VCARD\nUID:u-1\nEND:VCARD\nBEGIN:VCARD\nUID:u-2\nEND:VCARD",
    ],
)
def test_what_is_not_one_card_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(UnexpectedPayload, match=r"/book/a\.vcf") as caught:
        mapping.lines(text, "/book/a.vcf")
    assert "UID:u-1" not in text or "u-1" in str(caught.value)
    assert not caught.value.unclear


@pytest.mark.parametrize(
    "line",
    [
        "EMAIL;TYPE=a" + ",a" * 50_000,
        "EMAIL" + ";a=b" * 50_000 + ":jane@example.com",
        'EMAIL;X="' + "a" * 200_000,
        "N:" + ";" * 200_000,
        "N:" + "\\" * 200_000,
        "CATEGORIES:" + "," * 100_000,
        "\n ".join(["NOTE:x"] * 50_000),
        "NOTE;ENCODING=QUOTED-PRINTABLE:" + "=\n" * 50_000,
    ],
    ids=lambda line: line[:12],
)
def test_hostile_lines_take_no_time(line: str) -> None:
    started = time.process_time()
    before = card("FN:Jane", *line.split("\n"), "EMAIL:jane@example.com")
    mapping.contact(before, {})
    mapping.written(before, Contact(first_name="Ada"), [], new=False)
    assert time.process_time() - started < 10  # some seconds on a slow machine; without care it would be hours


# -- editing

RICH = (
    "item1.EMAIL;TYPE=INTERNET;TYPE=pref:jane@example.com",
    "item1.X-ABLabel:_$!<Work>!$_",
    "EMAIL;TYPE=HOME:home@example.com",
    "FN:Jane Doe",
    "N:Doe;Jane;Q.;Dr.;",
    "TEL;TYPE=CELL:+1 202 555 0101",
    "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEAAgGBgcGBQgHBw",
    " cJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zND",
    'X-Custom;X-P="a;b:c":kept\\, as it is',
    "x-lower.note;weird=:Stra\\ße \\N \\x",
    "CATEGORIES:Friends",
    "ADR;TYPE=HOME:Box 5;;1 Main St\\, rear;Springfield;IL;62701;US",
    "ORG:Example\\, Inc.;Sales;EMEA",
)


def test_removing_an_identifier_takes_its_line_and_label_only() -> None:
    before = card(*RICH)
    after = mapping.without(before, JANE)
    assert after
    assert after.text == before.text.replace(f"{RICH[0]}\r\n{RICH[1]}\r\n", "")


def test_a_label_that_another_line_has_as_well_stays() -> None:
    before = card("item1.EMAIL:jane@example.com", "item1.URL:https://example.com", "item1.X-ABLabel:Site")
    after = mapping.without(before, JANE)
    assert after
    assert "X-ABLabel:Site" in after.text


def test_every_spelling_of_an_identifier_goes() -> None:
    after = mapping.without(
        card("EMAIL:Jane@Example.COM", "EMAIL;TYPE=X:jane@example.com", "FN:jane@example.com"), JANE
    )
    assert after
    assert mapping.identifiers(after) == ()
    assert after.first("FN") == "jane@example.com"


def test_an_identifier_that_is_not_there_changes_nothing() -> None:
    assert mapping.without(card(*RICH), Identifier.email("jan@example.com")) is None


def test_a_long_value_is_folded_and_read_back() -> None:
    text = "ü€, ;\\ \n" * 60
    after = mapping.written(card("FN:x", "N:x;;;;"), Contact(title=text), [], new=False)
    assert all(len(line.encode()) <= 75 for line in after.text.split("\r\n"))
    assert Card("", "", mapping.lines(after.text, "")).first("TITLE") == text


@pytest.mark.parametrize(
    ("wanted", "changed"),
    [
        (Contact(first_name="Ada"), {"FN:Jane Doe": "FN:Ada Doe", "N:Doe;Jane;Q.;Dr.;": "N:Doe;Ada;Q.;Dr.;"}),
        (
            Contact(last_name="O;B,rien\\"),
            {"FN:Jane Doe": "FN:Jane O\\;B\\,rien\\\\", "N:Doe;J": "N:O\\;B\\,rien\\\\;J"},
        ),
        (Contact(full_name="J. Doe"), {"FN:Jane Doe": "FN:J. Doe"}),
        (Contact(organization="Other"), {"ORG:Example\\, Inc.;Sales": "ORG:Other;Sales"}),
        (Contact(address=Address(city="Shelbyville")), {"Springfield": "Shelbyville"}),
        (Contact(tags=("Friends", "New, one")), {"CATEGORIES:Friends": "CATEGORIES:Friends,New\\, one"}),
        (Contact(custom={"custom": "new"}), {'X-Custom;X-P="a;b:c":kept\\, as it is': 'X-Custom;X-P="a;b:c":new'}),
        (Contact(title="Head"), {"END:VCARD": "TITLE:Head\r\nEND:VCARD"}),
        (Contact(identifiers=(Identifier.email("n@example.com"),)), {"END:": "EMAIL:n@example.com\r\nEND:"}),
        (Contact(identifiers=(JANE, PHONE)), {}),
        (Contact(first_name="Jane", last_name="Doe", organization="Example, Inc.", tags=("Friends",)), {}),
        (Contact(address=Address("1 Main St, rear", "", "Springfield", "IL", "62701", "US")), {}),
    ],
)
def test_an_upsert_changes_single_lines(wanted: Contact, changed: dict[str, str]) -> None:
    before = card(*RICH)
    after = mapping.written(before, wanted, [], new=False)
    expected = before.text
    for old, new in changed.items():
        assert old in expected
        expected = expected.replace(old, new)
    assert after.text == expected
    assert (after == before) is (not changed)


def changed(before: Card, texts: dict[str, str | None], custom: dict[str, Any] | None = None) -> list[str]:
    return mapping.with_changes(before, texts, custom or {}).text.replace("\r\n ", "").split("\r\n")[3:-2]


@pytest.mark.parametrize(
    ("lines", "texts", "after"),
    [
        (["FN:Jane Doe", "N:Doe;Jane;Q.;;"], {"first_name": "Ada"}, ["FN:Ada Doe", "N:Doe;Ada;Q.;;"]),
        (["FN:Jane Doe", "N:Doe;Jane;;;"], {"first_name": None}, ["FN:Doe", "N:Doe;;;;"]),
        (["FN:Jane", "N:;Jane;;;", "TEL:1"], {"first_name": None}, ["FN:1", "N:;;;;", "TEL:1"]),
        (["FN:JD", "N:Doe;Jane;;;"], {"first_name": "Ada", "last_name": None}, ["FN:JD", "N:;Ada;;;"]),
        (["FN:JD"], {"last_name": None}, ["FN:JD"]),
        (["FN:Jane Doe", "N:Doe;Jane;;;"], {"full_name": "JD", "last_name": "X"}, ["FN:JD", "N:X;Jane;;;"]),
        (["FN:A", "ORG:Inc.;Sales"], {"organization": None}, ["FN:A", "ORG:;Sales"]),
        (["FN:A", "ORG:Inc.", "ORG:Other"], {"organization": None}, ["FN:A"]),
        (["FN:A", "ORG:Inc.", "ORG:Other"], {"organization": "New"}, ["FN:A", "ORG:New", "ORG:Other"]),
        (["FN:A", "ADR:;;1 St;Town;;;"], {"address.city": None}, ["FN:A", "ADR:;;1 St;;;;"]),
        (["FN:A", "ADR:;;;Town;;;"], {"address.city": None}, ["FN:A"]),
        (
            ["FN:A", "ADR:;;;Town;;;", "ADR:;;;Other;;;"],
            {"address.city": None},
            ["FN:A", "ADR:;;;;;;", "ADR:;;;Other;;;"],
        ),
        (["FN:A"], {"address.city": "Town", "address.line1": "1 St"}, ["FN:A", "ADR:;;1 St;Town;;;"]),
        (["FN:A", "TITLE:Cook", "NOTE:x"], {"title": None}, ["FN:A", "NOTE:x"]),
        (["FN:A", "TITLE;X-A=b:Cook"], {"title": "Baker"}, ["FN:A", "TITLE;X-A=b:Baker"]),
    ],
)
def test_a_change_sets_and_clears_single_fields(
    lines: list[str], texts: dict[str, str | None], after: list[str]
) -> None:
    assert changed(card(*lines), texts) == after
    assert changed(mapping.with_changes(card(*lines), texts, {}), texts) == after


def test_custom_fields_are_set_and_cleared() -> None:
    before = card("FN:A", "X-SCORE:5", "X-PLAN:a", "X-PLAN:b")
    assert changed(before, {}, {"score": None, "plan": ("c",), "new": True}) == ["FN:A", "X-PLAN:c", "X-NEW:true"]
    for name in ("Score", "a_b", "ablabel", "addressbookserver-kind"):
        with pytest.raises(InvalidInput, match=name):
            mapping.with_changes(before, {}, {name: "x"})


def test_what_cannot_be_written_is_not_changed() -> None:
    with pytest.raises(InvalidInput, match="control characters"):
        changed(card("FN:A"), {"title": "a\x00b"})
    with pytest.raises(InvalidInput, match="neither vCard 3"):
        changed(card("FN:A", version="2.1"), {"title": "Cook"})


def test_a_full_name_of_its_own_stays_when_the_parts_change() -> None:
    lines, _ = upserted(card("FN:The boss", "N:Doe;Jane;;;"), Contact(first_name="Ada"))
    assert lines == ["FN:The boss", "N:Doe;Ada;;;"]


def test_a_new_card_has_all_that_version_3_requires() -> None:
    wanted = Contact(
        identifiers=(
            Identifier(IdentifierKind.EMAIL, "Jane@Example.com", primary=True, label="Work"),
            Identifier(IdentifierKind.EMAIL, "second@example.com", label="a strange label"),
            PHONE,
            Identifier.other("IMPP", "xmpp:jane@example.com"),
            Identifier.external_id("7"),
            Identifier.other("x", "y"),
        ),
        first_name="Jane",
        last_name="Doe",
        organization="Example",
        title="Head",
        address=Address("1 Main St", "Floor 2", "Springfield", "IL", "62701", "US"),
        tags=("a",),
        custom={"score": 5, "member": True, "colors": ("red", "blue"), "Not lower": 1, "ab-x": 2, "none": None},
        extra={"lead": 1},
    )
    lines, lost = upserted(mapping.blank(wanted, "new", "/book/"), wanted, "b", new=True)
    assert lines == [
        "N:Doe;Jane;;;",
        "FN:Jane Doe",
        "ORG:Example",
        "TITLE:Head",
        "ADR:;Floor 2;1 Main St;Springfield;IL;62701;US",
        "X-SCORE:5",
        "X-MEMBER:true",
        "X-COLORS:red",
        "X-COLORS:blue",
        "CATEGORIES:a,b",
        "EMAIL;TYPE=work;TYPE=pref:jane@example.com",
        "EMAIL:second@example.com",
        "TEL:+12025550101",
        "IMPP:xmpp:jane@example.com",
    ]
    assert lost == {"external_id", "other.x", "custom.Not lower", "custom.ab-x", "extra.lead"}


def test_version_4_is_written_as_such() -> None:
    wanted = Contact(identifiers=(Identifier(IdentifierKind.PHONE, "+12025550101", primary=True), JANE))
    lines, _ = upserted(card("FN:Jane", version="4.0"), wanted)
    assert lines == ["FN:Jane", "TEL;VALUE=uri;PREF=1:tel:+12025550101", "EMAIL:jane@example.com"]


def test_a_new_identifier_takes_no_preference_away() -> None:
    primary = Identifier(IdentifierKind.EMAIL, "new@example.com", primary=True)
    lines, _ = upserted(card("FN:Jane", "EMAIL;TYPE=PREF:jane@example.com"), Contact(identifiers=(primary,)))
    assert lines[-1] == "EMAIL:new@example.com"


@pytest.mark.parametrize("name", ["", None])
def test_a_card_without_a_name_is_named_by_its_identifier(name: str | None) -> None:
    wanted = Contact(identifiers=(JANE,), first_name=name)
    lines, _ = upserted(mapping.blank(wanted, "new", "/book/"), wanted, new=True)
    assert lines == ["N:;;;;", "FN:jane@example.com", "EMAIL:jane@example.com"]


def test_a_formatted_address_becomes_the_street_and_is_lost_beside_parts() -> None:
    lines, lost = upserted(card("FN:x", "N:x;;;;"), Contact(address=Address(formatted="1 Main St\nSpringfield")))
    assert (lines[-1], lost) == ("ADR:;;1 Main St\\nSpringfield;;;;", set())
    _, lost = upserted(card("FN:x", "N:x;;;;"), Contact(address=Address(city="X", formatted="1 Main St, X")))
    assert lost == {"address.formatted"}


@pytest.mark.parametrize("wanted", [Contact(title="a\x00b"), Contact(title="a\x0bb"), Contact(custom={"x": "\ufffe"})])
def test_what_xml_cannot_hold_is_never_written(wanted: Contact) -> None:
    with pytest.raises(InvalidInput, match="control characters"):
        mapping.written(card("FN:Jane"), wanted, [], new=False)
    lines, lost = upserted(card("FN:Jane"), wanted)
    assert (lines, lost) == (["FN:Jane"], {"custom.x"} if wanted.custom else {"title"})


def test_version_2_is_not_written_but_its_lines_can_be_removed() -> None:
    before = card("FN:x", "NOTE;ENCODING=QUOTED-PRINTABLE:a=", "b", "EMAIL;INTERNET:jane@example.com", version="2.1")
    with pytest.raises(InvalidInput, match="vCard 3"):
        upserted(before, Contact(title="x"))
    after = mapping.without(before, JANE)
    assert after
    assert after.text == before.text.replace("EMAIL;INTERNET:jane@example.com\r\n", "")


def test_a_contact_of_another_book_keeps_its_whole_card() -> None:
    wanted = mapping.contact(card(*RICH), {})
    copy = mapping.blank(wanted, "unused", "https://dav.example.com/book/")
    assert (copy.uid, copy.href) == ("u-1", "https://dav.example.com/book/u-1.vcf")
    assert mapping.written(copy, wanted, [], new=True).text == card(*RICH).text
    assert mapping.preview(wanted).losses == ()


@pytest.mark.parametrize("uid", ["urn:uuid:a/b", "..", "x y", "é", "20240101@example.com"])
def test_an_odd_uid_is_no_file_name(uid: str) -> None:
    copy = mapping.blank(Contact(provider="carddav", id=uid), "plain", "/book/")
    assert (copy.uid, copy.href) == (uid, "/book/plain.vcf")


# -- lists


@pytest.mark.parametrize(("version", "name"), [("3.0", "X-ADDRESSBOOKSERVER-MEMBER"), ("4.0", "MEMBER")])
def test_members_come_and_go(version: str, name: str) -> None:
    group = card("FN:Team", "KIND:group", f"{name}:urn:uuid:a", "MEMBER:mailto:x@example.com", version=version)
    assert group.is_group
    assert mapping.members(group) == ["a", "mailto:x@example.com"]
    more = mapping.with_members(group, ["a", "urn:uuid:b", "c"])
    assert more
    assert f"{name}:urn:uuid:b\r\n{name}:urn:uuid:c\r\nEND" in more.text
    assert mapping.with_members(more, ["a", "b"]) is None
    fewer = mapping.without_members(more, ["b", "zz"])
    assert fewer
    assert mapping.members(fewer) == ["a", "mailto:x@example.com", "c"]
    assert mapping.without_members(fewer, ["b"]) is None
    assert mapping.memberships([fewer])["c"] == ["u-1"]


@pytest.mark.parametrize("line", ["X-ADDRESSBOOKSERVER-KIND:group", "KIND:Group", "kind:GROUP"])
def test_both_kinds_of_groups_are_lists(line: str) -> None:
    assert card("FN:Team", line).is_group
    assert not card("FN:Jane", "KIND:individual").is_group


def test_a_category_is_taken_out_of_its_line() -> None:
    before = card("FN:x", "CATEGORIES:A\\,B,Friends", "item1.CATEGORIES;X=1:Friends", "categories:c")
    after = mapping.without_tag(before, "Friends")
    assert after
    assert after.text == before.text.replace(",Friends", "").replace("item1.CATEGORIES;X=1:Friends\r\n", "")
    assert mapping.without_tag(after, "Friends") is None


# -- queries


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        (F.first_name == "Jane", (True, [("N", "contains", "Jane")])),
        (F.email == "jane@example.com", (True, [("EMAIL", "contains", "jane")])),
        (F.tag.startswith("Fri"), (True, [("CATEGORIES", "contains", "Fri")])),
        (F.custom["score"] == "5", (True, [("X-SCORE", "contains", "5")])),
        ((F.city == "X") & (F.title == "Y"), (True, [("ADR", "contains", "X"), ("TITLE", "contains", "Y")])),
        ((F.city == "X") & ~(F.title == "Y"), (True, [("ADR", "contains", "X")])),
        ((F.city == "X") | (F.title == "Y"), (False, [("ADR", "contains", "X"), ("TITLE", "contains", "Y")])),
        ((F.city == "X") | (F.list == "Y"), None),
        (~(F.first_name == "Jane"), None),
        (F.first_name == "Zoë", None),
        (F.first_name == "a;b", None),
        (F.first_name == " a", None),
        (F.email.startswith("jane"), None),
        (F.phone == "+12025550101", None),
        (F.id == "u-1", None),
        (F.first_name.is_set(), None),
        (F.custom["Score"] == "5", None),
        (F.custom["ab-label"] == "5", None),
        (F.custom["score"] > 5, None),
        (F.city.in_([]), None),
    ],
)
def test_a_query_is_sent_only_as_far_as_it_can_be_said(query: Query, filters: Any) -> None:
    assert mapping.translated(query) == filters


# -- any card at all

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff\ufeff"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, max_size=6), TEXT, TEXT)
def test_whatever_stands_in_a_card_goes_back_as_it_stood(lines: list[str], first: str, note: str) -> None:
    own = [line for line in lines if line.strip() and not line.upper().startswith(("BEGIN", "END", "UID", " ", "\t"))]
    kept = [f"X-KEEP-{number}:{line}" for number, line in enumerate(own)] + [
        line for line in own if line[0] != "\u3000"
    ]
    before = card("N:Doe;Jane;;;", "FN:Somebody", *kept)
    after = mapping.written(before, Contact(first_name=first, custom={"note": note}), [], new=False)
    again = Card("", "", mapping.lines(after.text, ""))
    stood = [line.raw for line in before.lines if line.name not in {"N", "FN", "X-NOTE"}]
    assert [raw for raw in (line.raw for line in again.lines) if raw in stood] == stood
    assert mapping.contact(again, {}).first_name == (first.strip() or "Jane")
    if note.strip():
        assert mapping.custom(again)["note"] == note


# -- what vCard 2.1 leaves behind in vCard 3


def test_a_changed_value_is_no_longer_encoded() -> None:
    before = card("N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:D=C3=B6e;Jane;;;", "X-SITE;QUOTED-PRINTABLE:a=3D1", "FN:J")
    wanted = Contact(first_name="Ann", custom={"site": "https://example.com/?a=41"})
    lines, _ = upserted(before, wanted)
    assert lines == ["N:Döe;Ann;;;", "X-SITE:https://example.com/?a=41", "FN:J"]
    tagged = card("CATEGORIES;ENCODING=QUOTED-PRINTABLE;TYPE=x:a=3D41,Other", version="2.1")
    rest = mapping.without_tag(tagged, "Other")
    assert rest
    assert rest.lines[3].raw == "CATEGORIES;TYPE=x:a=41"
    assert mapping.tags(rest) == ["a=41"]


def test_the_name_of_a_group_has_no_case() -> None:
    labelled = card("item1.EMAIL:jane@example.com", "ITEM1.X-ABLabel:Work")
    assert mapping.identifiers(labelled)[0].label == "Work"
    rest = mapping.without(labelled, JANE)
    assert rest
    assert "Work" not in rest.text
