"""Who changes a receipt and computes its hashes anew is noticed by the seal and by the signature."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts_core.plans import Receipt, ReceiptBroken
from contacts_core.plans.receipts.receipt import FIRST_HASH, Signer, write
from contacts_core.storage.pseudonyms import PseudonymKey
from tests.plans.plan_files import flipped
from tests.plans.samples import AT, KEY, events
from tests.plans.test_receipt import signer

BY = signer()
WHOLE = "".join(write(events(), KEY, BY))
LINES = [json.loads(line) for line in WHOLE.splitlines()]
# The end with everybody absent, as a forger would have it.
GOOD = {"state": "done", "reason": "", "absent": 4, "present": 0}


def chained(lines: list[dict[str, Any]]) -> str:
    """These lines, numbered and hashed as if they had been written so; what needs a key stays as it is."""
    return "".join(map(str, links(lines)))


@frozen
class Link:
    """A line in a chain, and its hash."""

    text: str
    hash: str

    def __str__(self) -> str:
        return self.text


def links(lines: Iterable[dict[str, Any]], before: Sequence[Link] = ()) -> list[Link]:
    """A chain that goes on with these lines after those before."""
    chain = [*before]
    for line in lines:
        previous = chain[-1].hash if chain else FIRST_HASH
        content = {name: value for name, value in line.items() if name != "hash"} | {"n": len(chain) + 1}
        content["prev"] = previous
        hashed = hashlib.sha256(spelled(content).encode()).hexdigest()
        chain.append(Link(spelled(content | {"hash": hashed}) + "\n", hashed))
    return chain


@frozen
class Frame:
    """A line of which only the hash, and that of the line before, are still to be written."""

    hashed: tuple[str, ...]
    whole: tuple[str, ...]

    @classmethod
    def of(cls, n: int, line: dict[str, Any]) -> Frame:
        content = {name: value for name, value in line.items() if name != "hash"} | {"n": n, "prev": "<previous>"}
        hashed, whole = spelled(content), spelled(content | {"hash": "<hash>"}) + "\n"
        return cls(tuple(hashed.split("<previous>")), tuple(re.split("<hash>|<previous>", whole)))

    def after(self, previous: str) -> Link:
        before, rest = self.hashed
        hashed = hashlib.sha256(f"{before}{previous}{rest}".encode()).hexdigest()
        start, middle, end = self.whole
        return Link(f"{start}{hashed}{middle}{previous}{end}", hashed)


class Chain:
    """A receipt of which one line after another is forged; of the others, only the hashes are computed anew."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._links = links(lines)
        self._frames = [Frame.of(n, line) for n, line in enumerate(lines, 1)]

    def with_line(self, n: int, line: dict[str, Any]) -> str:
        """The same as `chained`, with another line in this place."""
        chain = links([line], self._links[:n])
        for frame in self._frames[n + 1 :]:
            chain.append(frame.after(chain[-1].hash))
        return "".join(map(str, chain))


SPELLING = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def spelled(line: dict[str, Any]) -> str:
    return SPELLING.encode(line)


def noticed_by_seal(content: str) -> bool:
    """Whether a holder of the receipt key can tell that this is not what was written."""
    try:
        return not Receipt.parse(content).sealed_by(KEY)
    except ReceiptBroken:
        return True


def noticed_by_signature(content: str) -> bool:
    """Whether somebody who knows the public key can tell that this is not what was written."""
    try:
        return not Receipt.parse(content).signed_by(BY.public_key)
    except ReceiptBroken:
        return True


def split(content: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


# Each is tried alone: with the seal on a receipt that is not signed, with the signature by somebody without the key.
SEAL = (noticed_by_seal, None)
SIGNATURE = (noticed_by_signature, BY)
By = tuple[Callable[[str], bool], Signer | None]
each_alone = pytest.mark.parametrize("by", [SEAL, SIGNATURE], ids=["seal", "signature"])


def variants(value: Any) -> Iterator[Any]:
    """Other values of the same type, for every place inside this one, and values of other types."""
    match value:
        case dict():
            for name in value:
                yield from ({**value, name: other} for other in variants(value[name]))
                yield {other: each for other, each in value.items() if other != name}
            yield {**value, "more": 1}
        case list():
            for n, each in enumerate(value):
                yield from ([*value[:n], other, *value[n + 1 :]] for other in variants(each))
                yield [*value[:n], *value[n + 1 :]]
                yield [*value, each]
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1)
        case str():
            yield from (value + "x", value[:-1] + ("1" if value.endswith("0") else "0"), value[1:] + value[:1], "")
            yield from (other for other in ("absent", "present", "done", "failed", AT[:-13] + "9.678+00:00"))
        case None:
            yield from (0, AT)
    yield None


def test_the_receipt_that_was_written_is_whole() -> None:
    receipt = Receipt.parse(WHOLE)
    assert receipt.sealed_by(KEY)
    assert receipt.signed_by(BY.public_key)
    assert chained(LINES) == WHOLE
    assert all(Chain(LINES).with_line(n, line) == WHOLE for n, line in enumerate(LINES))


@pytest.mark.usefixtures("parsed_once")
@each_alone
@pytest.mark.parametrize("n", range(len(LINES)))
def test_every_change_of_every_line_is_noticed(by: By, n: int) -> None:
    noticed, signed_by = by
    whole = "".join(write(events(), KEY, signed_by))
    lines, tried = split(whole), 0
    chain = Chain(lines)
    for changed in variants(lines[n]):
        if not isinstance(changed, dict) or (forged := chain.with_line(n, changed)) == whole:
            continue  # numbers and hashes are computed anew in any case
        tried += 1
        assert noticed(forged), changed
    assert tried > 20


@pytest.mark.no_cover  # 80,000 times the same lines
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("parsed_once")
@each_alone
@pytest.mark.parametrize("n", range(len(LINES)))
def test_every_bit_of_every_byte_counts_where_the_hashes_are_computed_anew(by: By, n: int) -> None:
    noticed, signed_by = by
    whole = "".join(write(events(), KEY, signed_by))
    lines, tried = split(whole), 0
    chain = Chain(lines)
    for changed in flipped(whole.splitlines()[n].encode()):
        try:
            parsed = json.loads(changed)
        except ValueError:
            continue
        if not isinstance(parsed, dict) or (forged := chain.with_line(n, parsed)) == whole:
            continue
        tried += 1
        assert noticed(forged), changed
    assert tried > 100


@each_alone
def test_a_failed_run_cannot_be_made_done(by: By) -> None:
    noticed, signed_by = by
    there = ("marketing", 2)
    results = [
        {**e, "state": "absent", "identifiers": [{**i, "state": "absent"} for i in e["identifiers"]]}
        if e["type"] == "result" and (e["account"], e["person"]) == there
        else e
        for e in events(state="failed", reason="no answer")
    ]
    results[-1] |= {"absent": 4, "present": 0}
    failed = split("".join(write(results, KEY, signed_by)))
    assert not noticed(chained(failed))
    for change in ({"state": "done"}, {"state": "cancelled"}, {"reason": ""}, {"ended_at": AT.replace("2026", "2027")}):
        assert noticed(chained([*failed[:-1], failed[-1] | change]))


@each_alone
def test_every_truncation_with_a_new_end_is_noticed(by: By) -> None:
    noticed, signed_by = by
    lines = split("".join(write(events(), KEY, signed_by)))
    for n in range(len(lines) - 1):
        for change in ({}, GOOD, {"absent": 0, "present": 0}):
            assert noticed(chained([*lines[:n], lines[-1] | change]))


@each_alone
def test_lines_cannot_be_dropped_added_or_moved(by: By) -> None:
    noticed, signed_by = by
    lines = split("".join(write(events(), KEY, signed_by)))
    for n in range(len(lines) - 1):
        assert noticed(chained([*lines[:n], *lines[n + 1 :]]))
        assert noticed(chained([*lines[:n], lines[n], *lines[n:]]))
        for m in range(n + 1, len(lines)):
            moved = [*lines]
            moved[n], moved[m] = moved[m], moved[n]
            assert noticed(chained(moved))


@each_alone
def test_two_receipts_of_one_run_cannot_be_spliced(by: By) -> None:
    noticed, signed_by = by
    written = [events(), events(state="cancelled", reason="by somebody"), events(title="Another name")]
    texts = ["".join(write(each, KEY, signed_by)) for each in written]
    tried = 0
    for one in map(split, texts):
        for another in map(split, texts):
            for n in range(1, len(one)):
                spliced = chained([*one[:n], *another[n:]])
                if spliced not in texts:
                    tried += 1
                    assert noticed(spliced)
    assert tried > 50


def test_a_seal_is_no_seal_of_anything_else() -> None:
    for name in ("hash", "prev"):
        forged = [*LINES[:-1], LINES[-1] | {"seal": KEY.digest(b"seal", LINES[-1][name].encode())}]
        assert noticed_by_seal(chained(forged))


class TestSignatures:
    def test_a_receipt_signed_again_by_another_key_is_noticed(self) -> None:
        another = signer()
        forged = "".join(write(events(state="cancelled"), KEY, another))
        receipt = Receipt.parse(forged)
        assert receipt.signed
        assert not receipt.signed_by(BY.public_key)

    def test_who_has_no_receipt_key_cannot_sign_again_under_the_old_seal(self) -> None:
        another = signer()
        end = LINES[-1] | {"public_key": another.public_key, "signature": ""}
        resigned = end | {"signature": another.sign(to_sign(end))}
        receipt = Receipt.parse(chained([*LINES[:-1], resigned]))
        assert receipt.signed_by(another.public_key)
        assert not receipt.signed_by(BY.public_key)
        assert not receipt.sealed_by(KEY)

    def test_a_signature_that_was_taken_off_is_noticed_by_the_seal(self) -> None:
        stripped = chained([*LINES[:-1], LINES[-1] | {"signature": "", "public_key": ""}])
        assert not Receipt.parse(stripped).signed
        assert noticed_by_seal(stripped)
        assert noticed_by_signature(stripped)
        for half in ("signature", "public_key"):
            with pytest.raises(ReceiptBroken, match="signature"):
                Receipt.parse(chained([*LINES[:-1], LINES[-1] | {half: ""}]))

    def test_the_signature_covers_the_seal(self) -> None:
        assert noticed_by_signature(chained([*LINES[:-1], LINES[-1] | {"seal": "0" * 64}]))

    @pytest.mark.parametrize("field", ["signature", "public_key"])
    def test_it_has_one_spelling_only(self, field: str) -> None:
        told = LINES[-1][field]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        body = told.rstrip("=")
        spellings = {body + "=" * n for n in range(5)} | {told + "\n", " " + told, told.replace("+", "-")}
        spellings |= {body[:-1] + other + told[len(body) :] for other in alphabet}
        same = [other for other in spellings if other != told and decoded(other) == decoded(told)]
        assert same
        for other in same:
            assert noticed_by_signature(chained([*LINES[:-1], LINES[-1] | {field: other}]))

    def test_a_key_may_be_asked_for_in_any_words(self) -> None:
        receipt = Receipt.parse(WHOLE)
        for nonsense in ("", "é", "\ud800", "A" * 44, BY.public_key + "A"):
            assert not receipt.signed_by(nonsense)
        assert receipt.signed_by(f" {BY.public_key}\n")


def decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value)
    except ValueError:
        return None


def to_sign(end: dict[str, Any]) -> bytes:
    """What the signature of format 2 is over, written down a second time."""
    content = {name: value for name, value in end.items() if name not in {"signature", "hash"}}
    return b"contacts-core receipt, format 2: signature\n" + spelled(content).encode()


def test_the_seal_and_the_signature_are_what_the_documentation_says() -> None:
    end = LINES[-1]
    content = {name: value for name, value in end.items() if name not in {"seal", "signature", "hash"}}
    assert end["seal"] == KEY.digest(b"contacts-core receipt, format 2: seal", spelled(content).encode())
    assert end["signature"] == BY.sign(to_sign(end))
    assert end["n"] == len(LINES)


class TestContradictions:
    """A holder of the keys cannot write a receipt whose parts disagree, either."""

    def refused(self, change: Callable[[list[dict[str, Any]]], None], words: str) -> None:
        lines = [dict(event) for event in events()]
        change(lines)
        with pytest.raises(ReceiptBroken, match=words):
            Receipt.parse("".join(write(lines, KEY, BY)))

    def test_done_with_somebody_present(self) -> None:
        self.refused(lambda lines: lines[-1].update(state="done"), "says done")

    def test_numbers_that_are_not_those_of_the_results(self) -> None:
        self.refused(lambda lines: lines[-1].update(GOOD), "numbers")

    @pytest.mark.parametrize("n", range(13, 17))
    def test_a_person_without_a_result(self, n: int) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            state = lines.pop(n)["state"]
            lines[-1][state] -= 1

        self.refused(change, "not every person has a result in every account")

    def test_two_results_for_one_person(self) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            lines[15] = lines[13]

        self.refused(change, "a second result")

    def test_an_identifier_without_a_result(self) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            lines[13] = lines[13] | {"identifiers": lines[13]["identifiers"][:1]}

        self.refused(change, "lacks some identifiers")

    def test_absent_with_an_identifier_that_is_not(self) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            first, *rest = lines[13]["identifiers"]
            lines[13] = lines[13] | {"identifiers": [first | {"state": "unknown"}, *rest]}

        self.refused(change, "says absent")

    def test_somebody_or_some_account_that_the_run_is_not_about(self) -> None:
        self.refused(lambda lines: lines[13].update(person=3), "not about this person")
        self.refused(lambda lines: lines[13].update(account="other"), "not about this account")
        self.refused(lambda lines: lines[0].update(people=3), "another number of people")
        self.refused(lambda lines: lines[-1].update(run="erase-2"), "end of another run")
        self.refused(lambda lines: lines[0].update(accounts=[*lines[0]["accounts"], lines[0]["accounts"][0]]), "twice")
        self.refused(lambda lines: lines.insert(1, lines[0]), "begins another run")
        self.refused(lambda lines: lines.insert(4, lines[3]), "another number of people")


class TestAnything:
    """Whatever the file holds, reading it ends in a receipt or in ReceiptBroken."""

    SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)

    def read(self, content: str | bytes) -> None:
        try:
            receipt = Receipt.parse(content)
        except ReceiptBroken:
            return
        used(receipt)

    @given(st.binary() | st.text(st.characters(codec=None)))
    @SLOW
    def test_bytes_and_text(self, content: str | bytes) -> None:
        self.read(content)

    @given(st.data())
    @SLOW
    def test_fields_of_any_kind_in_a_chain_that_holds(self, data: st.DataObject) -> None:
        lines = [dict(line) for line in LINES]
        for _ in range(data.draw(st.integers(1, 3))):
            line = data.draw(st.sampled_from(lines))
            place = data.draw(st.sampled_from(list(paths(line))))
            replace(line, place, data.draw(VALUES))
        self.read(anyhow_chained(lines))

    @given(
        st.lists(st.dictionaries(st.sampled_from(["type", "run", "people", "state", "x"]), st.integers() | st.text()))
    )
    @SLOW
    def test_lines_of_any_kind_in_a_chain_that_holds(self, lines: list[dict[str, Any]]) -> None:
        self.read(anyhow_chained(lines))

    @pytest.mark.parametrize(
        "odd",
        [
            b'{"a":1,"a":2}\n',
            b"{}\n",
            b'{"hash":"","n":1,"prev":"","type":"run"}\n',
            b'{"n":' + b"9" * 5000 + b"}\n",
            b'{"n":NaN}\n',
            b'{"n":Infinity}\n',
            b'{"n":1e999}\n',
            b'"\\ud800"\n',
            b'{"\\ud800":1}\n',
            b"[" * 900 + b"]" * 900 + b"\n",
            b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n",
            b"null\n",
            b"\n",
            b"\n\n",
            b"\x00\n",
            b"\xef\xbb\xbf{}\n",
            "{}\n".encode("utf-16"),
        ],
    )
    def test_odd_lines(self, odd: bytes) -> None:
        for content in (odd, WHOLE.encode() + odd, odd + WHOLE.encode()):
            with pytest.raises(ReceiptBroken):
                Receipt.parse(content)

    @pytest.mark.parametrize("value", [[[[]] * 2] * 2, {"a": {"b": 1}}, 1.5, True, 2**60, -1, "x", None, [None]])
    def test_a_field_that_nobody_reads_may_hold_anything(self, value: object) -> None:
        for n in range(len(LINES)):
            for name in ("person", "account", "more"):
                if name not in LINES[n]:
                    self.read(anyhow_chained([*LINES[:n], LINES[n] | {name: value}, *LINES[n + 1 :]]))
        extended = [dict(event) | {"more": value} for event in events()]
        assert Receipt.parse("".join(write(extended, KEY))).sealed_by(KEY)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
    def test_what_no_file_can_hold_is_not_written(self, value: object) -> None:
        with pytest.raises(ValueError):
            list(write([next(events()) | {"more": value}], KEY))

    def test_an_older_format_says_why_it_is_refused(self) -> None:
        old = "".join(write([{**event, "format": 1} if event["type"] == "run" else event for event in events()], KEY))
        with pytest.raises(ReceiptBroken, match="format 1, neither the seal nor the signature covers how the run"):
            Receipt.parse(old)

    def test_an_error_survives_another_process(self) -> None:
        import pickle

        error = ReceiptBroken(3, "why")
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (str(again), again.line, again.reason, again.hint) == (str(error), 3, "why", error.hint)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from([AT, "0" * 64, "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "<b>", "marketing"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if before:
        yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from paths(each, (*before, name))


def replace(line: Any, place: tuple[Any, ...], value: Any) -> None:
    for name in place[:-1]:
        line[name] = copied(line[name])
        line = line[name]
    line[place[-1]] = value


def copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else list(value)


def anyhow_chained(lines: list[dict[str, Any]]) -> str:
    """Chained, numbered and sealed where the content allows it."""
    try:
        return "".join(write(lines, KEY, BY))
    except (ValueError, KeyError):
        return chained(lines)


def used(receipt: Receipt) -> None:
    """Ask a receipt for everything that it can tell."""
    from contacts_core.plans.receipts.report import html
    from tests.plans.samples import JANE

    assert Receipt.parse(receipt.text) == receipt
    assert html(receipt).encode()
    assert receipt.complete in {True, False}
    for key in (KEY, PseudonymKey(b"another key, of no use either")):
        if receipt.key_id == key.id and receipt.sealed_by(key):
            receipt.find([JANE], key)
            receipt.uncovered([JANE], key)
    for kind in ("run", "person", "result", "end", "nonsense"):
        receipt.of(kind)
    assert [receipt.run, receipt.plan, receipt.kind, receipt.reason, receipt.public_key, receipt.signed]


def test_a_signer_with_a_wrong_public_key_is_noticed() -> None:
    false: Signer = evolve(BY, public_key=signer().public_key)
    with pytest.raises(ReceiptBroken, match="signature"):
        Receipt.parse("".join(write(events(), KEY, false)))
