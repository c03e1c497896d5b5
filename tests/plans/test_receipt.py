"""A receipt holds only as it was written, and tells nobody anything who has not the key."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import Identifier
from contacts_core.errors import ConfigurationError
from contacts_core.plans import Receipt, ReceiptBroken
from contacts_core.plans.receipts.receipt import Signer, write
from contacts_core.storage.pseudonyms import PseudonymKey
from tests.plans.samples import JANE, JOHN, KEY, PHONE, events, text

OTHER_KEY = PseudonymKey(b"another key, of no use either")


def signer() -> Signer:
    private = Ed25519PrivateKey.generate()
    return Signer.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def signed(by: Signer) -> str:
    return "".join(write(events(), KEY, by))


def broken(content: str | bytes) -> ReceiptBroken:
    with pytest.raises(ReceiptBroken) as caught:
        Receipt.parse(content)
    return caught.value


class TestReading:
    def test_what_was_written_comes_back_byte_for_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "receipt.jsonl"
        path.write_text(text())
        receipt = Receipt.load(path)
        assert receipt.text == text()
        assert (receipt.run, receipt.kind, receipt.state, receipt.plan) == ("erase-1", "erase", "incomplete", "0" * 64)
        assert (receipt.absent, receipt.present, receipt.unknown, receipt.complete) == (3, 1, 0, False)
        assert len(receipt.of("result")) == 4

    def test_no_identifier_stands_in_it(self) -> None:
        for identifier in (JANE, JOHN, PHONE):
            assert identifier.value not in text()
            assert hashlib.sha256(identifier.normal.encode()).hexdigest() not in text()

    @given(reason=st.text(), title=st.text())
    def test_any_words_survive(self, reason: str, title: str) -> None:
        receipt = Receipt.parse(text(reason=reason, title=title))
        assert receipt.reason == reason
        assert receipt.lines[0]["accounts"][0]["title"] == title


class TestTampering:
    @pytest.mark.no_cover  # 64,000 times the same lines
    @pytest.mark.usefixtures("parsed_once")
    @pytest.mark.parametrize("bit", range(8))
    def test_every_byte_counts(self, bit: int) -> None:
        by = signer()
        whole = signed(by).encode()
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            with pytest.raises(ReceiptBroken):
                Receipt.parse(bytes(changed))

    def test_no_line_can_be_dropped(self) -> None:
        lines = text().splitlines(keepends=True)
        for n in range(len(lines)):
            broken("".join(lines[:n] + lines[n + 1 :]))
            broken("".join(lines[:n]))

    def test_no_line_can_be_added(self) -> None:
        lines = text().splitlines(keepends=True)
        strange = text(reason="another run").splitlines(keepends=True)
        for n in range(len(lines) + 1):
            for more in (lines[min(n, len(lines) - 1)], strange[-1], "\n", "{}\n"):
                broken("".join([*lines[:n], more, *lines[n:]]))

    def test_no_lines_can_change_places(self) -> None:
        lines = text().splitlines(keepends=True)
        for n in range(len(lines) - 1):
            broken("".join([*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]))

    def test_another_spelling_of_the_same_is_refused(self) -> None:
        first, *rest = text().splitlines(keepends=True)
        loose = json.dumps(json.loads(first)) + "\n"
        assert broken("".join([loose, *rest])).reason == "it is not in canonical form"

    def test_who_writes_a_chain_of_their_own_lacks_the_seal(self) -> None:
        forged = [{**event, "reason": "all is well"} if event["type"] == "end" else event for event in events()]
        receipt = Receipt.parse("".join(write(forged, OTHER_KEY)))
        assert not receipt.sealed_by(KEY)
        assert not receipt.sealed_by(OTHER_KEY)  # it names another key than it is sealed with
        assert Receipt.parse(text()).sealed_by(KEY)

    def test_numbers_that_the_results_do_not_bear_out_are_refused(self) -> None:
        wrong = [{**event, "absent": 4, "present": 0} if event["type"] == "end" else event for event in events()]
        assert "numbers" in broken("".join(write(wrong, KEY))).reason

    @pytest.mark.parametrize(
        ("content", "line", "reason"),
        [
            (b"", 1, "empty"),
            (b"\xff\n", 1, "ASCII"),
            (b"nonsense\n", 1, "not JSON"),
            (b"[" * 100_000 + b"\n", 1, "not JSON"),
            (b"[]\n", 1, "not a line of a receipt"),
            (text().encode().rstrip(b"\n"), 18, "line break"),
        ],
    )
    def test_what_is_no_receipt_says_so(self, content: bytes, line: int, reason: str) -> None:
        error = broken(content)
        assert error.line == line
        assert reason in str(error)

    def test_a_run_begins_it(self) -> None:
        lines = [event for event in events() if event["type"] != "run"]
        assert "does not name the run" in broken("".join(write(lines, KEY))).reason


class TestSigning:
    def test_the_signature_is_checked_and_names_its_key(self) -> None:
        by = signer()
        receipt = Receipt.parse(signed(by))
        assert receipt.signed
        assert receipt.signed_by(by.public_key)
        assert not receipt.signed_by(signer().public_key)
        assert not Receipt.parse(text()).signed_by(by.public_key)

    def test_a_signature_of_another_key_is_refused(self) -> None:
        false = evolve(signer(), public_key=signer().public_key)
        assert "signature" in broken(signed(false)).reason

    @pytest.mark.parametrize("nonsense", ["", "!", base64.b64encode(b"short").decode()])
    def test_a_key_that_is_none_is_refused(self, nonsense: str) -> None:
        assert "signature" in broken(signed(evolve(signer(), public_key=nonsense))).reason

    @pytest.mark.parametrize(
        "pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
    )
    def test_a_signing_key_has_to_be_one(self, pem: bytes) -> None:
        with pytest.raises(ConfigurationError, match="Ed25519") as caught:
            Signer.from_pem(pem)
        assert "openssl" in caught.value.hint

    def test_the_private_half_never_shows(self) -> None:
        assert "Ed25519PrivateKey" not in repr(signer())


class TestFinding:
    def test_any_spelling_of_an_address_is_found_in_every_account(self) -> None:
        findings = Receipt.parse(text()).find([Identifier.email(" JANE@Example.COM")], KEY)
        assert [(f.account, f.person, f.state, f.asked) for f in findings] == [
            ("marketing", 1, "absent", True),
            ("crm", 1, "absent", True),
        ]

    def test_who_is_still_there_is_told(self) -> None:
        findings = Receipt.parse(text()).find([JOHN, PHONE], KEY)
        assert [(f.account, f.state, f.found, f.asked) for f in findings] == [
            ("marketing", "present", 1, True),
            ("crm", "absent", 0, True),
            ("marketing", "absent", 1, False),
            ("crm", "absent", 1, False),
        ]

    def test_a_stranger_is_not_found(self) -> None:
        assert Receipt.parse(text()).find([Identifier.email("nobody@example.com")], KEY) == []

    def test_another_key_is_refused_for_it_would_find_nobody(self) -> None:
        with pytest.raises(ConfigurationError, match=KEY.id):
            Receipt.parse(text()).find([JANE], OTHER_KEY)


class TestWriting:
    def test_a_receipt_ends_once(self) -> None:
        several = list(events())
        with pytest.raises(ValueError, match="without an end"):
            list(write(several[:-1], KEY))
        with pytest.raises(ValueError, match="goes on"):
            list(write([*several, several[0]], KEY))


class TestKeys:
    def test_a_short_key_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="shorter than 16 bytes"):
            PseudonymKey(b"too short")

    def test_the_secret_never_shows(self) -> None:
        assert "of no other use" not in repr(KEY)

    def test_parts_do_not_run_together(self) -> None:
        assert KEY.digest(b"ab", b"c") != KEY.digest(b"a", b"bc")

    def test_a_contact_is_another_one_in_another_account(self) -> None:
        assert KEY.contact("marketing", "1") != KEY.contact("crm", "1")

    def test_kinds_are_kept_apart(self) -> None:
        same = "12025550123"
        hashes = {KEY.identifier(make(same)) for make in (Identifier.external_id, Identifier.anonymous_id)}
        assert (
            len(hashes | {KEY.identifier(Identifier.other("a", same)), KEY.identifier(Identifier.other("b", same))})
            == 4
        )
