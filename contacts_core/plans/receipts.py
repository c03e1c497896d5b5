"""Receipts: JSON Lines that carry the hash of the line before, so that no line can be changed, dropped, added or moved.

Each line is one JSON object in one spelling only (keys sorted, no spaces, ASCII), so that no byte of it is without
meaning. Its ``hash`` is SHA-256 over the line without it, its ``prev`` the hash of the line before. The last line is of
the type ``end``; it carries a seal (HMAC-SHA-256 under the receipt key) and perhaps a signature (Ed25519, RFC 8032)
over the hash of the line before it. No identifier stands in a receipt, only its keyed hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

from contacts_core.errors import ConfigurationError, ContactsError
from contacts_core.identifiers import Identifier
from contacts_core.keys import Key

__all__ = ["Finding", "Receipt", "ReceiptBroken", "Signer", "write"]

FIRST = "0" * 64
STATES = ("absent", "present", "unknown")
INSTALL = "install contacts-core[plans]"

Line = Mapping[str, Any]


class ReceiptBroken(ContactsError):
    """A receipt is not what was written: ``line`` says where it stops to hold, ``reason`` why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line} of the receipt does not hold: {reason}", hint="do not rely on this file")
        self.line = line
        self.reason = reason


@frozen(repr=False)
class Signer:
    """Signs receipts with an Ed25519 key; ``public_key`` is its 32 bytes in base64."""

    _private: Any
    public_key: str

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The signer of a private key in PEM (PKCS#8, not encrypted).

        Raises:
            ConfigurationError: It is no such key, or the extra ``plans`` is missing.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
            from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ConfigurationError("signing needs the package cryptography", hint=INSTALL) from None
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigurationError(
                "the signing key is no Ed25519 private key in PEM",
                hint="make one with: openssl genpkey -algorithm ed25519 -out signing.pem",
            )
        return cls(private, base64.b64encode(private.public_key().public_bytes_raw()).decode())

    def sign(self, content: bytes) -> str:
        """The signature, in base64."""
        return base64.b64encode(self._private.sign(content)).decode()

    def __repr__(self) -> str:
        """Name it by its public half."""
        return f"Signer({self.public_key})"


@frozen
class Finding:
    """What a receipt says of one identifier in one account.

    Attributes:
        identifier: What was asked about.
        account: Where.
        person: Number of the person it belongs to.
        found: How many contacts of theirs the plan found there.
        state: ``absent``, ``present`` or ``unknown``, of this identifier.
        reason: Why.
        asked: Whether the plan was asked for it; else it was followed.
    """

    identifier: Identifier
    account: str
    person: int
    found: int
    state: str
    reason: str
    asked: bool


def write(events: Iterable[Line], key: Key, signer: Signer | None = None) -> Iterator[str]:
    """The lines of a receipt, each with its line break.

    Args:
        events: What happened; the last one is of the type ``end``, and no other.
        key: Seals it.
        signer: Signs it.

    Raises:
        ValueError: The last event is no end, or an earlier one is.
    """
    previous, ended = FIRST, False
    for number, event in enumerate(events, 1):
        if ended:
            raise ValueError("a receipt goes on after its end")
        line = {**event, "n": number, "prev": previous}
        if event["type"] == "end":
            ended = True
            line["seal"] = _seal(key, previous)
            line["signature"] = signer.sign(_signed(previous)) if signer else ""
            line["public_key"] = signer.public_key if signer else ""
        previous = _hash(line)
        yield _spelled({**line, "hash": previous}) + "\n"
    if not ended:
        raise ValueError("a receipt without an end")


@frozen(slots=False)
class Receipt:
    """A receipt whose chain of hashes, and whose signature if it has one, were checked when it was read."""

    lines: tuple[Line, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a receipt and check it.

        Raises:
            ReceiptBroken: A line was changed, dropped, added or moved, the end is missing, or the signature is wrong.
        """
        lines = tuple(_checked(text.encode() if isinstance(text, str) else text))
        end = lines[-1]
        _check_counts(lines, end)
        if end["signature"] and not _verified(end["public_key"], end["signature"], _signed(end["prev"])):
            raise ReceiptBroken(len(lines), "its signature is not by the key that it names")
        return cls(lines)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a receipt from a file and check it; see `parse`."""
        return cls.parse(Path(path).read_bytes())

    @property
    def text(self) -> str:
        """The file, byte for byte."""
        return "".join(_spelled(line) + "\n" for line in self.lines)

    @property
    def run(self) -> str:
        """Name of the run."""
        return str(self.lines[0]["run"])

    @property
    def plan(self) -> str:
        """Checksum of the plan."""
        return str(self.lines[0]["plan"])

    @property
    def kind(self) -> str:
        """What the plan was for."""
        return str(self.lines[0]["kind"])

    @property
    def key_id(self) -> str:
        """Id of the key of its hashes."""
        return str(self.lines[0]["key"])

    @property
    def state(self) -> str:
        """How the run ended: ``done``, ``incomplete``, ``refused``, ``cancelled`` or ``failed``."""
        return str(self.lines[-1]["state"])

    @property
    def reason(self) -> str:
        """Why it ended so; empty where there is nothing to say."""
        return str(self.lines[-1]["reason"])

    @property
    def absent(self) -> int:
        """In how many accounts how many people were verified to be absent, counted together."""
        return int(self.lines[-1]["absent"])

    @property
    def present(self) -> int:
        """As `absent`, of those who are still there."""
        return int(self.lines[-1]["present"])

    @property
    def unknown(self) -> int:
        """As `absent`, of those of whom nobody knows."""
        return int(self.lines[-1]["unknown"])

    @property
    def complete(self) -> bool:
        """Whether everybody is verified to be absent everywhere."""
        return self.state == "done" and not (self.present or self.unknown)

    @property
    def signed(self) -> bool:
        """Whether it carries a signature, which was checked; by whom, `public_key` says."""
        return bool(self.lines[-1]["signature"])

    @property
    def public_key(self) -> str:
        """The key that signed it, 32 bytes in base64; empty where it is not signed."""
        return str(self.lines[-1]["public_key"]) if self.signed else ""

    def of(self, type: str) -> list[Line]:
        """The lines of one type."""
        return [line for line in self.lines if line["type"] == type]

    def sealed_by(self, key: Key) -> bool:
        """Whether it was written with this key."""
        end = self.lines[-1]
        return self.key_id == key.id and hmac.compare_digest(str(end["seal"]), _seal(key, str(end["prev"])))

    def signed_by(self, public_key: str) -> bool:
        """Whether it was signed with this key, given as 32 bytes in base64."""
        return self.signed and hmac.compare_digest(self.public_key, public_key.strip())

    def find(self, identifiers: Iterable[Identifier], key: Key) -> list[Finding]:
        """What it says of these identifiers, account by account; nothing of those that it does not hold.

        Raises:
            ConfigurationError: The key is another than the receipt's: it would recognise nobody.
        """
        if self.key_id != key.id:
            raise ConfigurationError(
                f"the receipt was written with the key {self.key_id}, and this one is {key.id}",
                hint="name the key it was written with: CONTACTS_RECEIPT_KEY",
            )
        findings: list[Finding] = []
        for identifier in dict.fromkeys(identifiers):
            hashed = key.identifier(identifier)
            for line, each in self._mentions.get(hashed, ()):
                asked = hashed in self._asked[line["person"]]
                findings.append(
                    Finding(
                        identifier, line["account"], line["person"], line["found"], each["state"], each["reason"], asked
                    )
                )
        return findings

    @cached_property
    def _mentions(self) -> Mapping[str, list[tuple[Line, Line]]]:
        found: dict[str, list[tuple[Line, Line]]] = {}
        for line in self.of("result"):
            for each in line["identifiers"]:
                found.setdefault(each["hash"], []).append((line, each))
        return found

    @cached_property
    def _asked(self) -> Mapping[int, set[str]]:
        return {p["person"]: {i["hash"] for i in p["identifiers"] if i["asked"]} for p in self.of("person")}


def _checked(content: bytes) -> Iterator[Line]:
    """Each line, if it is what was written and stands where it was written."""
    pieces = content.split(b"\n")
    if pieces == [b""]:
        raise ReceiptBroken(1, "the file is empty")
    if pieces.pop() != b"":
        raise ReceiptBroken(len(pieces) + 1, "it has no line break; the end of the file is missing")
    previous, ended = FIRST, False
    for number, piece in enumerate(pieces, 1):
        line = _parsed(number, piece)
        if ended:
            raise ReceiptBroken(number, "it stands after the end")
        if line["n"] != number:
            raise ReceiptBroken(number, f"it is number {line['n']}: a line was dropped, added or moved")
        if line["prev"] != previous:
            raise ReceiptBroken(number, "it does not follow on the line before")
        previous, ended = str(line["hash"]), line["type"] == "end"
        yield line
    if not ended:
        raise ReceiptBroken(len(pieces), "it is not the end; lines are missing behind it")


def _parsed(number: int, piece: bytes) -> Line:
    try:
        line = json.loads(piece.decode("ascii"))
    except UnicodeDecodeError:
        raise ReceiptBroken(number, "it is not plain ASCII") from None
    except (ValueError, RecursionError):
        raise ReceiptBroken(number, "it is not JSON") from None
    if not isinstance(line, dict) or not {"n", "type", "prev", "hash"} <= line.keys():
        raise ReceiptBroken(number, "it is no line of a receipt")
    if _spelled(line).encode() != piece:
        raise ReceiptBroken(number, "it is not spelled as it was written")
    if line["hash"] != _hash({name: value for name, value in line.items() if name != "hash"}):
        raise ReceiptBroken(number, "its hash is not that of its content")
    return line


def _check_counts(lines: tuple[Line, ...], end: Line) -> None:
    if lines[0]["type"] != "run":
        raise ReceiptBroken(1, "it does not tell which run this is")
    counts = Counter(line["state"] for line in lines if line["type"] == "result")
    if {name: end[name] for name in STATES} != {name: counts[name] for name in STATES}:
        raise ReceiptBroken(len(lines), "its numbers are not those of the results")


def _spelled(line: Line) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _hash(line: Line) -> str:
    return hashlib.sha256(_spelled(line).encode()).hexdigest()


def _seal(key: Key, previous: str) -> str:
    return key.digest(b"seal", previous.encode())


def _signed(previous: str) -> bytes:
    """What a signature is over."""
    return b"contacts-core receipt " + previous.encode()


def _verified(public_key: str, signature: str, content: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only signed receipts need it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ConfigurationError("checking a signature needs the package cryptography", hint=INSTALL) from None
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True
