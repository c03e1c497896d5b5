"""Receipts: JSON Lines that form a hash chain, sealed and optionally signed as a whole.

Each line is one JSON object in canonical form (keys sorted, no spaces, ASCII), so that no byte can change unnoticed.
Its ``hash`` is SHA-256 over the line without it, its ``prev`` the hash of the line before. The last line has the type
``end``. Its ``n`` is the number of lines and its ``prev`` covers all lines before it, so what covers the end covers
the file:

- ``seal``: HMAC-SHA-256 under the receipt key, over the end without ``seal``, ``signature`` and ``hash``;
- ``signature``: Ed25519 (RFC 8032) over the end without ``signature`` and ``hash``. Optional. ``public_key`` names the
  key; both cover it.

Both begin with words that name their purpose and the format, so that neither can be used for anything else. The hashes
alone prove nothing about the author: anyone who changes a line can compute them again. A receipt contains no
identifier, only its pseudonym. `contacts_core.plans.receipts.format` defines the lines.

Receipts are as large as their runs. They are written, checked and read line by line, and a `Receipt` holds where its
lines are, not the lines: see `contacts_core.plans.receipts.lines`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self, cast

import msgspec
from attrs import field, frozen

from contacts_core.errors import ConfigurationError
from contacts_core.models import Identifier
from contacts_core.plans.receipts.format import GOALS, Agreement, misfit
from contacts_core.plans.receipts.lines import (
    InFile,
    InMemory,
    InTemporaryFile,
    Line,
    Lines,
    ReceiptBroken,
    Source,
    reading,
    split,
)
from contacts_core.storage.private_files import owner_only
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["Finding", "Receipt", "ReceiptBroken", "Signer", "write"]

FIRST_HASH = "0" * 64
CANONICAL_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
ENCODE = msgspec.json.Encoder(order="sorted").encode  # as `CANONICAL_JSON` if the line is plain; see `_plain`
SEAL = b"contacts-core receipt, format 2: seal"
SIGNATURE = b"contacts-core receipt, format 2: signature\n"
PUBLIC_KEY_BYTES, SIGNATURE_BYTES = 32, 64
INSTALL_HINT = "install contacts-core[plans]"
PLACEHOLDER = secrets.token_hex(32)  # stands for the hash of a line until it is known


@frozen(repr=False)
class Signer:
    """Signs receipts with an Ed25519 key. ``public_key`` is its 32 bytes in base64."""

    _private: Any
    public_key: str

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the signer for a private key in PEM (PKCS#8, not encrypted).

        Raises:
            ConfigurationError: It is not such a key, or the extra ``plans`` is missing.
        """
        try:
            from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only who signs needs it
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
            from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ConfigurationError("signing needs the package cryptography", hint=INSTALL_HINT) from None
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigurationError(
                "the signing key is not an Ed25519 private key in PEM",
                hint="create one with: openssl genpkey -algorithm ed25519 -out signing.pem",
            )
        return cls(private, base64.b64encode(private.public_key().public_bytes_raw()).decode())

    def sign(self, content: bytes) -> str:
        """Return the signature, in base64."""
        return base64.b64encode(self._private.sign(content)).decode()

    def __repr__(self) -> str:
        """Show the public key."""
        return f"Signer({self.public_key})"


@frozen
class Finding:
    """What a receipt says about one identifier in one account.

    Attributes:
        identifier: The identifier.
        account: The account.
        person: Number of the person it belongs to.
        found: How many contacts of this person the plan found in the account.
        state: ``absent``, ``present`` or ``unknown``, for this identifier.
        reason: Why.
        asked: Whether it was given to the plan; otherwise it was followed.
    """

    identifier: Identifier
    account: str
    person: int
    found: int
    state: str
    reason: str
    asked: bool


def write(events: Iterable[Line], key: PseudonymKey, signer: Signer | None = None) -> Iterator[str]:
    """Yield the lines of a receipt, each with its line break.

    Args:
        events: What happened. The last one, and no other, has the type ``end``.
        key: Seals it.
        signer: Signs it.

    Raises:
        ValueError: The last event is not an end, or an earlier one is, or an event contains what is not JSON.
    """
    previous, ended = FIRST_HASH, False
    for number, event in enumerate(events, 1):
        if ended:
            raise ValueError("a receipt goes on after its end")
        line = {**event, "n": number, "prev": previous}
        if event["type"] == "end":
            ended = True
            line["public_key"] = signer.public_key if signer else ""
            line["seal"] = _seal(key, line)
            line["signature"] = signer.sign(_signed(line)) if signer else ""
        text = _canonical({**line, "hash": PLACEHOLDER})
        previous = _hash(text, line, PLACEHOLDER)
        hashed = _field(PLACEHOLDER), _field(previous)
        yield (text.replace(*hashed) if text.count(PLACEHOLDER) == 1 else _canonical({**line, "hash": previous})) + "\n"
    if not ended:
        raise ValueError("a receipt without an end")


def _as_lines(lines: Sequence[Line]) -> Lines:
    if isinstance(lines, Lines):
        return lines
    source = InMemory("".join(_canonical(line) + "\n" for line in lines).encode())
    return Lines.read(source, lambda pieces: map(json.loads, split(pieces)))


@frozen
class Receipt:
    """A receipt whose lines are well formed, chained and consistent, and whose signature, if any, is valid.

    That alone does not prove who wrote it. Check that with `sealed_by` and the receipt key, or with `signed_by` and
    the public key that you expect.

    The receipt is read again, line by line, whenever more than its first and last line is needed. If what was read has
    changed since it was checked, `ReceiptBroken` is raised at its end. A receipt of a run is in the storage of that run
    and is gone with it; `save` makes a file.

    Attributes:
        lines: The lines. Reading them in order is fast; ``lines[n]`` reads up to line n.
    """

    lines: Sequence[Line] = field(repr=False, converter=_as_lines)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a receipt and check it.

        Raises:
            ReceiptBroken: It is not a receipt of this format, its chain is broken, its lines contradict one another,
                the end is missing, or the signature is not by the key that it names.
            ConfigurationError: It is signed, and the package cryptography is missing.
        """
        return cls.check(InMemory(text.encode(errors="surrogatepass") if isinstance(text, str) else text))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a receipt from a file and check it; see `parse`. The file is read again when it is needed."""
        path = Path(path).absolute()
        if path.is_file():
            return cls.check(InFile(path))
        with path.open("rb") as file:  # a pipe, which can be read once
            return cls.read(file)

    @classmethod
    def read(cls, file: IO[bytes]) -> Self:
        """Read a receipt from an open file, such as standard input, and check it; see `parse`.

        A copy is kept in a temporary file.
        """
        return cls.check(InTemporaryFile(file))

    @classmethod
    def check(cls, source: Source) -> Self:
        """Read a receipt from anything that yields its content as often as it is asked, and check it; see `parse`."""
        with Agreement(lambda: _people(source)) as agreement:
            lines = Lines.read(source, lambda pieces: _checked(pieces, agreement))
        if found := agreement.first():
            raise ReceiptBroken(*found)
        end = lines[-1]
        if end["signature"] or end["public_key"]:
            _check_signature(len(lines), end)
        return cls(lines)

    def save(self, path: Path | str) -> None:
        """Write it to a file that only its owner can read."""
        with owner_only(Path(path)) as file:
            for piece in self.content():
                file.write(piece.decode("ascii"))

    def content(self) -> Iterator[bytes]:
        """Yield the content of the file, in pieces."""
        return self._lines.content()

    @property
    def text(self) -> str:
        """The content of the file. It is as large as the run; `content` and `save` need no such memory."""
        return b"".join(self.content()).decode("ascii")

    @property
    def _lines(self) -> Lines:
        assert isinstance(self.lines, Lines)
        return self.lines

    @property
    def run(self) -> str:
        """Id of the run."""
        return str(self.lines[0]["run"])

    @property
    def plan(self) -> str:
        """Checksum of the plan."""
        return str(self.lines[0]["plan"])

    @property
    def kind(self) -> str:
        """The kind of plan."""
        return str(self.lines[0]["kind"])

    @property
    def goal(self) -> str:
        """What the run was to reach for every person: ``absent``; ``present`` where something is added; ``known``."""
        return str(self.lines[0].get("goal", "absent"))

    @property
    def key_id(self) -> str:
        """Id of the key of its pseudonyms."""
        return str(self.lines[0]["key"])

    @property
    def state(self) -> str:
        """How the run ended: ``done``, ``incomplete``, ``refused``, ``cancelled`` or ``failed``."""
        return str(self.lines[-1]["state"])

    @property
    def reason(self) -> str:
        """Why it ended in this state; may be empty."""
        return str(self.lines[-1]["reason"])

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that it is about."""
        return tuple(item["account"] for item in self.lines[0]["accounts"])

    @property
    def absent(self) -> int:
        """Number of results, one for each person and account, in which the person was verified to be absent."""
        return self._lines.states.get("absent", 0)

    @property
    def present(self) -> int:
        """Number of results in which the person is still present."""
        return self._lines.states.get("present", 0)

    @property
    def unknown(self) -> int:
        """Number of results in which nothing is known of the person."""
        return self._lines.states.get("unknown", 0)

    @property
    def complete(self) -> bool:
        """Whether the run ended as done and every result says what the run was to reach; see `goal`."""
        reached = sum(self._lines.states.get(state, 0) for state in GOALS[self.goal])
        return self.state == "done" and reached == len(self.of("result"))

    @property
    def signed(self) -> bool:
        """Whether it has a valid signature. It was made with `public_key`, and anyone can create a key."""
        return bool(self.lines[-1]["signature"])

    @property
    def public_key(self) -> str:
        """The key that signed it, 32 bytes in base64; empty if it is not signed."""
        return str(self.lines[-1]["public_key"]) if self.signed else ""

    def of(self, type: str) -> Sequence[Line]:
        """Return the lines of one type, which are read when they are iterated over."""
        return self._lines.of(type)

    def sealed_by(self, key: PseudonymKey) -> bool:
        """Return whether every line is as a holder of this key wrote it."""
        end = self.lines[-1]
        return self.key_id == key.id and hmac.compare_digest(end["seal"], _seal(key, end))

    def signed_by(self, public_key: str) -> bool:
        """Return whether every line is as it was signed with this key, given as 32 bytes in base64."""
        return self.signed and self.public_key == public_key.strip()

    def find(self, identifiers: Iterable[Identifier], key: PseudonymKey) -> list[Finding]:
        """Return what it says about these identifiers in each account. For those it does not contain, see `uncovered`.

        Raises:
            ConfigurationError: The receipt was made with another key.
            ReceiptBroken: It is not sealed with the key that it names, so nothing in it can be relied on.
        """
        self._check_key(key)
        wanted = {key.identifier(identifier): identifier for identifier in dict.fromkeys(identifiers)}
        asked = dict[str, set[int]]()
        findings: dict[str, list[Finding]] = {hashed: [] for hashed in wanted}
        for line in self.of("person"):
            for item in line["identifiers"]:
                if item["asked"] and item["hash"] in wanted:
                    asked.setdefault(item["hash"], set()).add(line["person"])
        for line in self.of("result"):
            for item in line["identifiers"]:
                if hashed := item["hash"] if item["hash"] in wanted else "":
                    about = (wanted[hashed], line["account"], line["person"], line["found"])
                    was_asked = line["person"] in asked.get(hashed, ())
                    findings[hashed].append(Finding(*about, item["state"], item["reason"], was_asked))
        return [finding for hashed in findings for finding in findings[hashed]]

    def uncovered(
        self, identifiers: Iterable[Identifier], key: PseudonymKey, accounts: Iterable[str] = ()
    ) -> list[tuple[Identifier, str]]:
        """Return the identifiers and accounts that it says nothing about.

        Args:
            identifiers: What to look for.
            key: The receipt key.
            accounts: In which accounts; by default those of the receipt.

        Raises:
            ConfigurationError: The key is not the receipt's.
            ReceiptBroken: It is not sealed with the key that it names.
        """
        wanted = list(dict.fromkeys(identifiers))
        covered = {(finding.identifier, finding.account) for finding in self.find(wanted, key)}
        names = dict.fromkeys(accounts) or self.accounts
        return [(identifier, name) for identifier in wanted for name in names if (identifier, name) not in covered]

    def _check_key(self, key: PseudonymKey) -> None:
        if self.key_id != key.id:
            raise ConfigurationError(
                f"the receipt was written with the key {self.key_id}, and this one is {key.id}",
                hint="set CONTACTS_RECEIPT_KEY to the key it was written with",
            )
        if not self.sealed_by(key):
            raise ReceiptBroken(len(self.lines), "its seal was not made with the key that it names")


def _checked(pieces: Iterator[bytes], agreement: Agreement) -> Iterator[Line]:
    """Yield the lines, each checked to be as it was written and in its place."""
    previous, number, ended = FIRST_HASH, 0, False
    with reading(split(pieces)) as lines:
        for number, piece in enumerate(lines, 1):
            line = _parsed(number, piece)
            if ended:
                raise ReceiptBroken(number, "it comes after the end")
            if line["n"] != number:
                raise ReceiptBroken(number, f"it is number {line['n']}: a line was dropped, added or moved")
            if line["prev"] != previous:
                raise ReceiptBroken(number, "it does not follow the line before")
            previous, ended = str(line["hash"]), line["type"] == "end"
            agreement.show(line)
            yield line
    if not ended:
        raise ReceiptBroken(number, "it is not the end; lines after it are missing")


def _people(source: Source) -> Iterator[Line]:
    """Yield the lines of people once more."""
    number = 0
    with reading(source()) as content, reading(split(content)) as pieces:
        for number, piece in enumerate(pieces, 1):
            if b'"type":"person"' in piece:
                line = _parsed(number, piece)
                if line["type"] == "person":
                    yield line
    raise ReceiptBroken(number, "the file was changed while it was read")


def _parsed(number: int, piece: bytes) -> Line:
    line: Any = _plain(piece)
    if line is None:
        line = _parsed_slowly(number, piece)
    if wrong := misfit(line, nesting=piece.count(b"{") + piece.count(b"[")):
        raise ReceiptBroken(number, wrong)
    if line["hash"] != _hash(piece.decode("ascii"), line, line["hash"]):
        raise ReceiptBroken(number, "its hash is not that of its content")
    return cast("Line", line)


def _parsed_slowly(number: int, piece: bytes) -> Any:
    try:
        line: Any = json.loads(piece.decode("ascii"))
        spelled = _canonical(line)
    except UnicodeDecodeError:
        raise ReceiptBroken(number, "it is not plain ASCII") from None
    except (ValueError, RecursionError):
        raise ReceiptBroken(number, "it is not JSON") from None
    if spelled.encode() != piece:
        raise ReceiptBroken(number, "it is not in canonical form")
    return line


class _NotPlain(ValueError):
    """A line has a number that is spelled differently by others."""


def _refuse(text: str) -> None:
    raise _NotPlain(text)


DECODE = msgspec.json.Decoder(float_hook=_refuse).decode


def _plain(piece: bytes) -> Any:
    """Return the line if it is in canonical form and plain; else None.

    Plain is what has one spelling only: ASCII, without escapes, whole numbers. Nearly all lines are, and they are read
    and written in a fifth of the time that `CANONICAL_JSON` needs.
    """
    if not piece.isascii() or b"\\" in piece or b"\x7f" in piece:
        return None
    try:
        line = DECODE(piece)
        return line if ENCODE(line) == piece else None
    except (ValueError, RecursionError, OverflowError):
        return None


def _canonical(line: Any) -> str:
    """Return a line in canonical form.

    Raises:
        ValueError: It contains a number that JSON does not have, or a lone surrogate.
    """
    try:
        piece = ENCODE(line)
    except (TypeError, ValueError, RecursionError, OverflowError):
        pass
    else:
        if _plain(piece) == line:  # so it holds nothing that is no JSON either
            return piece.decode()
    text = CANONICAL_JSON.encode(line)
    if "\\ud" in text:  # perhaps a lone surrogate, which no file can contain as text
        json.dumps(line, ensure_ascii=False).encode()
    return text


def _without(line: Line, *names: str) -> bytes:
    return _canonical({name: value for name, value in line.items() if name not in names}).encode()


def _field(value: str) -> str:
    """Return the field ``hash`` of a line in canonical form. Others always follow it, such as ``n``."""
    return f'"hash":"{value}",'


def _hash(text: str, line: Line, written: str) -> str:
    """Return the hash of a line, which is in canonical form here, with ``written`` in its field ``hash``."""
    if text.count(_field(written)) == 1:  # so it is not inside another field, and the line need not be written again
        return hashlib.sha256(text.replace(_field(written), "").encode()).hexdigest()
    return hashlib.sha256(_without(line, "hash")).hexdigest()


def _seal(key: PseudonymKey, end: Line) -> str:
    return key.digest(SEAL, _without(end, "seal", "signature", "hash"))


def _signed(end: Line) -> bytes:
    """Return what a signature covers."""
    return SIGNATURE + _without(end, "signature", "hash")


def _check_signature(number: int, end: Line) -> None:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only signed receipts need it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ConfigurationError("checking a signature needs the package cryptography", hint=INSTALL_HINT) from None
    try:
        key = Ed25519PublicKey.from_public_bytes(_bytes(end["public_key"], PUBLIC_KEY_BYTES))
        key.verify(_bytes(end["signature"], SIGNATURE_BYTES), _signed(end))
    except (InvalidSignature, ValueError):
        raise ReceiptBroken(number, "its signature is not by the key that it names") from None


def _bytes(text: str, length: int) -> bytes:
    """Return bytes from canonical base64.

    Raises:
        ValueError: It is not base64, not of this length, or has unused bits.
    """
    content = base64.b64decode(text, validate=True)
    if len(content) != length or base64.b64encode(content).decode() != text:
        raise ValueError(text)
    return content
