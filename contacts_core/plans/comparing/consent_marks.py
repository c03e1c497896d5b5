"""Consent kept on contacts, in a custom field or in tags: for accounts whose vendor keeps no consent.

A mark is about the whole contact: about all its addresses, or all its numbers, as the channel has it. A field holds
everything but evidence, as a text that people can read, such as
``email revoked unsubscribe 2026-01-31T12:00:00+00:00 "Weekly news"; sms granted.`` A tag says that consent is revoked:
the tag itself for e-mail, and with the name of the channel for others, such as ``unsubscribed-sms``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from attrs import evolve, frozen

from contacts_core.errors import InvalidInput
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    Coverage,
    IdentifierKind,
    Loss,
    LossCode,
    merge_consent,
)
from contacts_core.models.consent import strictest_consent
from contacts_core.models.identifiers import mask
from contacts_core.provider import ConsentFacts, FindsConsent, Provider, ReadsConsent, WritesConsent

__all__ = ["WITHOUT_CONTACT", "ConsentPlace", "PlaceKind", "consent_place"]

WITHOUT_CONTACT = Loss(
    "without_contact",
    LossCode.NO_CONSENT,
    "whoever refused and is not written as a contact: consent is kept on contacts there",
)
"""What gets lost of refusals by people who are no contacts, where consent is kept on contacts."""

E = TypeVar("E", bound=Enum)

CHANNEL_KINDS: Mapping[Channel, tuple[IdentifierKind, ...]] = {
    Channel.EMAIL: (IdentifierKind.EMAIL,),
    Channel.SMS: (IdentifierKind.PHONE,),
    Channel.WHATSAPP: (IdentifierKind.PHONE,),
    Channel.RCS: (IdentifierKind.PHONE,),
    Channel.PUSH: tuple(IdentifierKind),
}
END = "."  # shows that a text was not cut
SEPARATOR = "; "


def _one_of(kind: type[Enum]) -> str:
    return "|".join(re.escape(each.value) for each in kind)


ENTRY = re.compile(
    rf"(?P<channel>{_one_of(Channel)}) (?P<state>{_one_of(ConsentState)})"
    rf"(?: (?P<reason>{_one_of(ConsentReason)}))?(?: (?P<coverage>{Coverage.NON_TRANSACTIONAL.value}))?"
    r"(?: (?P<at>[0-9]{4}-[0-9T:.+-]*[0-9]))?"
    r'(?: (?P<scope>"(?:[^"\\]|\\.)*"))?'
)


class PlaceKind(Enum):
    """What consent is kept in."""

    FIELD = "field"
    TAG = "tag"


@frozen
class ConsentPlace:
    """A custom field, or a tag, in which consent is kept.

    Attributes:
        kind: Which of the two.
        name: Its name.
    """

    kind: PlaceKind
    name: str

    @classmethod
    def parse(cls, text: str) -> ConsentPlace:
        """Return the place that a text such as ``field:Consent`` or ``tag:unsubscribed`` names.

        Raises:
            InvalidInput: It names none.
        """
        kind, _, name = text.partition(":")
        if kind not in {each.value for each in PlaceKind} or not name.strip():
            raise InvalidInput("consent is kept in field:NAME or tag:NAME", hint="for example field:Consent")
        return cls(PlaceKind(kind), name.strip())

    def __str__(self) -> str:
        """Return the text that names it, which `parse` takes."""
        return f"{self.kind.value}:{self.name}"

    @property
    def facts(self) -> ConsentFacts:
        """What can be held there of statements."""
        title = f"{'the custom field' if self.kind is PlaceKind.FIELD else 'the tag'} {self.name}"
        if self.kind is PlaceKind.TAG:
            return ConsentFacts(title, (ConsentState.REVOKED,), CHANNEL_KINDS)
        return ConsentFacts(
            title,
            tuple(ConsentState),
            CHANNEL_KINDS,
            reasons=tuple(ConsentReason),
            dates=True,
            scopes=True,
            coverages=tuple(Coverage),
        )

    def statements(self, contact: Contact) -> tuple[Consent, ...]:
        """Return the statements that a contact carries, about each identifier that the channel takes.

        Raises:
            InvalidInput: The field holds something else.
        """
        said = self._of_field(contact) if self.kind is PlaceKind.FIELD else self._of_tags(contact)
        return tuple(
            Consent(identifier, **entry, provider=contact.provider)
            for entry in said
            for identifier in contact.identifiers
            if identifier.kind in CHANNEL_KINDS[entry["channel"]]
        )

    @property
    def field(self) -> str:
        """The name that losses have for where it is kept."""
        return f"custom.{self.name}" if self.kind is PlaceKind.FIELD else "tags"

    def refuses(self, contact: Contact) -> bool:
        """Return whether a contact carries a refusal; also if the field holds something else, which may be one."""
        try:
            return any(each.state is not ConsentState.GRANTED for each in self.statements(contact))
        except InvalidInput:
            return True

    def marked(self, contact: Contact, statements: Iterable[Consent]) -> Contact:
        """Return the contact with statements about its identifiers, besides those that it carries.

        What it carries yields to a statement as `merge_consent` says. A refusal of one of its addresses is one of all.

        Raises:
            InvalidInput: The field holds something else.
        """
        own = [each for each in statements if each.identifier in contact.identifiers]
        told = [each for each in merge_consent([*self.statements(contact), *own]) if self._takes(each)]
        if not told:
            return contact
        if self.kind is PlaceKind.TAG:
            tags = [self._tag(each.channel) for each in told]
            return evolve(contact, tags=tuple(dict.fromkeys([*contact.tags, *tags])))
        someone = contact.identifiers[0]
        entries: dict[Any, Consent] = {}
        for each in told:
            about = (each.channel, each.scope, each.coverage)
            entries[about] = strictest_consent(entries.get(about, each), each)
        in_order = merge_consent(evolve(each, identifier=someone) for each in entries.values())
        text = SEPARATOR.join(map(_entry, in_order)) + END
        return evolve(contact, custom={**contact.custom, self.name: text})

    def _takes(self, statement: Consent) -> bool:
        kinds = CHANNEL_KINDS[statement.channel]
        return statement.state in self.facts.states and statement.identifier.kind in kinds

    def _tag(self, channel: Channel) -> str:
        return self.name if channel is Channel.EMAIL else f"{self.name}-{channel.value}"

    def _of_tags(self, contact: Contact) -> list[dict[str, Any]]:
        return [
            {"channel": channel, "state": ConsentState.REVOKED}
            for channel in Channel
            if self._tag(channel) in contact.tags
        ]

    def _of_field(self, contact: Contact) -> list[dict[str, Any]]:
        text = contact.custom.get(self.name)
        if text is None or text == "":
            return []
        found: list[dict[str, Any]] = []
        place = 0
        while isinstance(text, str) and (match := ENTRY.match(text, place)):
            place = match.end()
            try:
                found.append(_read(match))
            except ValueError:
                break
            if text[place:] == END:
                return found
            if not text.startswith(SEPARATOR, place):
                break
            place += len(SEPARATOR)
        who = mask(contact.display_id)
        raise InvalidInput(
            f"the custom field {self.name} of {who} holds something else than consent",
            hint="name another field, or correct the value",
        )


def consent_place(provider: Provider, place: ConsentPlace | None) -> ConsentPlace | None:
    """Return where an account keeps consent on its contacts; None if its vendor keeps consent."""
    return None if isinstance(provider, ReadsConsent | FindsConsent | WritesConsent) else place


def _entry(statement: Consent) -> str:
    parts = [
        statement.channel.value,
        statement.state.value,
        statement.reason.value if statement.reason else "",
        statement.coverage.value if statement.coverage is not Coverage.ALL else "",
        statement.at.isoformat() if statement.at else "",
        json.dumps(statement.scope) if statement.scope else "",
    ]
    return " ".join(filter(None, parts))


def _read(match: re.Match[str]) -> dict[str, Any]:
    """Return the parts of a statement; `ValueError` if the text only looks like one."""
    parts = match.groupdict()
    at = datetime.fromisoformat(parts["at"]) if parts["at"] else None
    if at and at.utcoffset() is None:
        raise ValueError("a time without a zone")
    return {
        "channel": Channel(parts["channel"]),
        "state": ConsentState(parts["state"]),
        "reason": _member(ConsentReason, parts["reason"]),
        "coverage": _member(Coverage, parts["coverage"]) or Coverage.ALL,
        "at": at,
        "scope": json.loads(parts["scope"]) if parts["scope"] else "",
    }


def _member(kind: type[E], text: str | None) -> E | None:
    return kind(text) if text else None
