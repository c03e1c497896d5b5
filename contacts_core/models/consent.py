"""Statements of consent: who may be written to, on which channel, who said so, and when.

One word for one thing: what vendors call unsubscribes, suppressions, bounces, opt-ins and subscription statuses are all
statements of consent here. A suppression is a statement whose state is `ConsentState.REVOKED`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from attrs import Attribute, field, frozen

from contacts_core.errors import InvalidInput
from contacts_core.models.identifiers import Identifier, IdentifierKind

__all__ = [
    "Channel",
    "Consent",
    "ConsentReason",
    "ConsentState",
    "Coverage",
    "FoundConsent",
    "merge_consent",
]

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


class Channel(Enum):
    """What messages are sent by."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    PUSH = "push"
    RCS = "rcs"


class ConsentState(Enum):
    """What a statement says.

    Attributes:
        GRANTED: Messages may be sent.
        REVOKED: Messages must not be sent.
        PENDING: The person was asked and has not confirmed yet (double opt-in). Messages must not be sent.
    """

    GRANTED = "granted"
    REVOKED = "revoked"
    PENDING = "pending"


class ConsentReason(Enum):
    """Why consent was revoked.

    Attributes:
        UNSUBSCRIBE: The person unsubscribed.
        COMPLAINT: The person reported a message as spam. No grant overrules it.
        BOUNCE: The address does not take mail, for good (a hard bounce). No grant overrules it.
        BLOCK: A server refused a message; later ones may pass.
        INVALID: It is not an address that can exist.
        MANUAL: Somebody at the sender's end entered it.
    """

    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"
    BOUNCE = "bounce"
    BLOCK = "block"
    INVALID = "invalid"
    MANUAL = "manual"


class Coverage(Enum):
    """Which messages a statement covers.

    Attributes:
        ALL: All of them.
        NON_TRANSACTIONAL: All but those that belong to a transaction, such as receipts and resets of passwords.
    """

    ALL = "all"
    NON_TRANSACTIONAL = "non_transactional"


FINAL = frozenset({ConsentReason.COMPLAINT, ConsentReason.BOUNCE})
STRICTNESS = {ConsentState.GRANTED: 0, ConsentState.PENDING: 1, ConsentState.REVOKED: 2}


def _has_time_zone(_instance: object, _attribute: Attribute[Any], value: datetime | None) -> None:
    if value is not None and value.utcoffset() is None:
        raise InvalidInput("the time of a statement of consent needs a time zone", hint="for example datetime.now(UTC)")


@frozen
class Consent:
    """One statement of consent. No statement is no consent, and no refusal either: nobody has said anything.

    Attributes:
        identifier: The address or number that it is about.
        channel: The channel that it is about.
        state: What it says.
        reason: Why consent was revoked; None if it was not, or if the vendor does not tell.
        scope: The topic that it is about, by the name that the sender gave it (such as an unsubscribe group); empty for
            everything that the sender sends on this channel.
        coverage: Which messages of that scope it covers.
        at: When it was made, with its time zone; None if the vendor does not tell.
        evidence: What shows that it was made, such as the record of a confirmation, or what a mail server answered. It
            may hold personal data, so `repr` leaves it out.
        provider: Name of the provider that it was read from. It does not count in comparisons.
    """

    identifier: Identifier
    channel: Channel
    state: ConsentState
    reason: ConsentReason | None = field(default=None, kw_only=True)
    scope: str = field(default="", kw_only=True)
    coverage: Coverage = field(default=Coverage.ALL, kw_only=True)
    at: datetime | None = field(default=None, kw_only=True, validator=_has_time_zone)
    evidence: str = field(default="", kw_only=True, repr=False)
    provider: str = field(default="", kw_only=True, eq=False)

    @property
    def about(self) -> tuple[Identifier, Channel, str, Coverage]:
        """What it is about. Of the statements about one thing, `merge_consent` keeps one."""
        return self.identifier, self.channel, self.scope, self.coverage


@frozen(repr=False)
class FoundConsent(Mapping[Identifier, tuple[Consent, ...]]):
    """The result of `find_consent`: the statements about each identifier that was looked up, perhaps none.

    Attributes:
        statements: The statements by identifier; without identifiers that were not looked up.
        unasked: Identifiers that could not be looked up, with the reason. Whether there are statements about them is
            not known.
        mismatched: By identifier, how many statements about others the vendor returned. They were left out.
    """

    statements: Mapping[Identifier, tuple[Consent, ...]]
    unasked: Mapping[Identifier, str] = field(factory=dict[Identifier, str])
    mismatched: Mapping[Identifier, int] = field(factory=dict[Identifier, int])

    def __getitem__(self, identifier: Identifier) -> tuple[Consent, ...]:
        """Return the statements about this identifier.

        Raises:
            KeyError: The identifier was not looked up.
        """
        return self.statements[identifier]

    def __iter__(self) -> Iterator[Identifier]:
        """Iterate over the identifiers that were looked up, in their order."""
        return iter(self.statements)

    def __len__(self) -> int:
        """Return how many identifiers were looked up."""
        return len(self.statements)

    def __repr__(self) -> str:
        """Show numbers only."""
        return f"FoundConsent({sum(map(bool, self.statements.values()))} of {len(self.statements)})"


def merge_consent(statements: Iterable[Consent]) -> tuple[Consent, ...]:
    """Keep one statement about each identifier, channel, scope and coverage: the one that counts.

    - The later statement wins.
    - A grant beats a revocation only if it is later *and* carries evidence.
    - A pending statement beats no revocation. It yields to a grant with a date and evidence, also to an earlier one:
      asking somebody again takes no consent away.
    - A complaint and a hard bounce yield to no grant.
    - Without a date, a revocation counts as the latest statement, and a grant as one without evidence: nothing shows
      that it came later. At the same moment, the revocation wins.

    The result does not depend on the order of the statements, nor on how they are grouped before: merging merged
    statements gives what merging all of them gives.

    Args:
        statements: Statements from any number of accounts.

    Returns:
        The statements that count, ordered by what they are about.
    """
    kept: dict[tuple[Identifier, Channel, str, Coverage], Consent] = {}
    for statement in statements:
        known = kept.get(statement.about)
        if known is None or _rank(statement) > _rank(known):
            kept[statement.about] = statement
    return tuple(sorted(kept.values(), key=_place))


def strictest_consent(one: Consent, other: Consent) -> Consent:
    """Return the statement that permits less, whatever their dates: where both become one about both identifiers."""
    return max(one, other, key=lambda each: (STRICTNESS[each.state], _rank(each)))


def is_in_force(wanted: Consent, found: Iterable[Consent], *, dates: bool) -> bool:
    """Return whether what was found about the same thing has the same state, and counts as much.

    A block does not stand for another refusal: a server refused one message, and vendors go on sending.

    Args:
        wanted: The statement that should be there.
        found: What is there, also about other things.
        dates: Whether it must count as much by its date, reason and evidence as well.
    """
    about = [each for each in found if each.about == wanted.about]
    if wanted.state is ConsentState.REVOKED and wanted.reason is not ConsentReason.BLOCK:
        about = without_blocks(about)
    for counts in merge_consent(about):
        as_much = _strength(counts) >= _strength(wanted) if dates else _level(counts) >= _level(wanted)
        return as_much and counts.state is wanted.state
    return False


def without_blocks(statements: Iterable[Consent]) -> list[Consent]:
    """Return the statements without those of messages that a server refused."""
    return [each for each in statements if each.reason is not ConsentReason.BLOCK]


def _rank(statement: Consent) -> tuple[Any, ...]:
    """The order in which statements about one thing beat one another. It is total, which makes merging associative."""
    return *_strength(statement), statement.provider, statement.identifier.value


def _strength(statement: Consent) -> tuple[int, datetime, int, str, str]:
    undated = FIRST if statement.state is ConsentState.GRANTED else LAST
    reason = statement.reason.value if statement.reason else ""
    return _level(statement), statement.at or undated, STRICTNESS[statement.state], reason, statement.evidence


def _level(statement: Consent) -> int:
    revoked = statement.state is ConsentState.REVOKED
    proven = statement.at is not None and bool(statement.evidence.strip())
    if revoked and statement.reason in FINAL:
        return 3
    if revoked or (statement.state is ConsentState.GRANTED and proven):
        return 2
    return 1 if statement.state is ConsentState.PENDING else 0


def _place(statement: Consent) -> tuple[str, ...]:
    identifier = statement.identifier
    key = identifier.key if identifier.kind is IdentifierKind.OTHER else ""
    where = (identifier.kind.value, key, identifier.normal)
    return *where, statement.channel.value, statement.scope, statement.coverage.value
