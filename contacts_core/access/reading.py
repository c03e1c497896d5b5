"""Reading: one generator that yields the flow which each account is to run next. Every flow only reads.

The look-ups are those of plans, with the same controls: an account that shows no contact is believed only if the same
look-up finds a contact that is there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from attrs import define, evolve, field

from contacts_core import operations
from contacts_core.access.matching import withheld
from contacts_core.access.model import AccessReport, AccountAccess, ContactAccess
from contacts_core.errors import ContactsError, InvalidInput, NotFound, UnexpectedPayload
from contacts_core.models import Consent, Contact, Coverage, Identifier, IdentifierKind
from contacts_core.plans.model import IdentifierExpansion
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.lookup import LookUp
from contacts_core.plans.receipts.reasons import OTHER, WORDS
from contacts_core.provider import (
    DeletesContacts,
    FindsConsent,
    Flow,
    GetsContacts,
    Provider,
    RawContact,
    ReadsLists,
)
from contacts_core.provider.payloads import raw_json

__all__ = ["read_accounts"]

EXPANDED_KINDS = (IdentifierKind.EMAIL, IdentifierKind.PHONE)


@define
class AccountState:
    """What is known of one account so far."""

    provider: Provider
    account_id: str = ""
    read: str = ""
    found: dict[str, Contact] = field(factory=dict[str, Contact])
    unknown: dict[Identifier, str] = field(factory=dict[Identifier, str])
    error: str = ""
    gaps: list[str] = field(factory=list[str])

    def open(self, identifiers: Sequence[Identifier]) -> Flow[None]:
        """Look the given identifiers up, after the account itself. A failure is kept as the account's error."""
        try:
            self.account_id = yield from lookup.account_id(self.provider)
            self.read = lookup.way(self.provider, identifiers)
            yield from self._look_up(identifiers)
        except ContactsError as error:
            self.error = _reason(error)

    def look_up(self, identifiers: Sequence[Identifier]) -> Flow[None]:
        """Look further identifiers up. What could be read before stays."""
        try:
            yield from self._look_up(identifiers)
        except ContactsError as error:
            self.unknown |= dict.fromkeys(identifiers, f"not looked up: {_reason(error)}")

    def _look_up(self, identifiers: Sequence[Identifier]) -> Flow[None]:
        answer: LookUp = yield from lookup.by_identifier(self.provider, identifiers, control=True)
        for contacts in answer.found.matches.values():
            self.found |= {contact.id: contact for contact in contacts}
        self.unknown |= dict.fromkeys(answer.found.unasked, "the vendor cannot look it up")
        self.unknown |= {i: f"no contact was shown, and that proves nothing: {r}" for i, r in answer.unproven.items()}
        self.unknown |= {
            i: f"the vendor answered with {number} contact(s) that do not have it"
            for i, number in answer.found.mismatched.items()
        }

    def details(self, known: Collection[Identifier], ids: Sequence[str]) -> Flow[tuple[ContactAccess, ...]]:
        """Read these contacts whole: every field, the names of their lists, and what the vendor sends."""
        contacts = yield from self._fresh(known, ids)
        names: Mapping[str, str] = {}
        if any(contact.lists for contact in contacts) and isinstance(self.provider, ReadsLists):
            try:
                names = {each.id: each.name for each in (yield from operations.lists(self.provider))}
            except ContactsError as error:
                self.gaps.append(f"the names of lists could not be read: {_reason(error)}")
        accesses: list[ContactAccess] = []
        for contact in contacts:
            lists = None if contact.lists is None else {id: names.get(id, "") for id in contact.lists}
            accesses.append(ContactAccess(contact, lists, (yield from self._raw(contact.id))))
        return tuple(accesses)

    def _fresh(self, known: Collection[Identifier], ids: Sequence[str]) -> Flow[list[Contact]]:
        """Read contacts again by id, if the vendor can: an answer to a look-up may leave fields out."""
        shown = [self.found[id] for id in ids]
        if not isinstance(self.provider, GetsContacts):
            return shown
        try:
            read = yield from lookup.by_id(self.provider, ids)
        except ContactsError as error:
            self.gaps.append(f"contacts could not be read whole: {_reason(error)}")
            return shown
        fresh = [contact for contact in read.contacts.values() if not set(known).isdisjoint(contact.identifiers)]
        if missing := len(ids) - len(fresh):
            self.gaps.append(f"{missing} contact(s) were deleted or changed meanwhile")
        return fresh

    def statements(self, known: Collection[Identifier]) -> Flow[tuple[Mapping[str, str], ...] | None]:
        """Read the statements of consent about these identifiers; None if they could not be read.

        A vendor may keep statements about people who are no contacts.
        """
        if not isinstance(self.provider, FindsConsent):
            return None
        try:
            found = yield from operations.find_consent(self.provider, known)
        except ContactsError as error:
            self.gaps.append(f"statements of consent could not be read: {_reason(error)}")
            return None
        if found.mismatched:
            wrong = sum(found.mismatched.values())
            self.gaps.append(f"the vendor answered with {wrong} statement(s) of consent about other people")
        return tuple(_statement(each) for said in found.statements.values() for each in said)

    def _raw(self, contact_id: str) -> Flow[RawContact | None]:
        if not isinstance(self.provider, GetsContacts):
            return None
        try:
            raw = yield from self.provider.raw_contact(contact_id)
            if raw and raw.media_type.endswith("json") and not _names(raw_json(raw.content), contact_id):
                raise UnexpectedPayload("the answer is about another contact", provider=self.provider.name)
        except NotFound:
            self.gaps.append("1 contact(s) were deleted or changed meanwhile")
        except ContactsError as error:
            self.gaps.append(f"what the vendor sends of a contact could not be read: {_reason(error)}")
        else:
            return raw
        return None


def read_accounts(
    asked: Sequence[Identifier], follow: IdentifierExpansion, providers: Mapping[str, Provider]
) -> PlanGenerator[AccessReport]:
    """Read what the accounts hold. Yield the flows that the accounts are to run, and return the report.

    Raises:
        InvalidInput: There are no accounts.
    """
    if not providers:
        raise InvalidInput("no accounts given", hint="pass at least one account")
    made_at = datetime.now(UTC)
    states = {name: AccountState(provider) for name, provider in providers.items()}
    yield {name: state.open(asked) for name, state in states.items()}
    known, further = dict.fromkeys(asked), follow is not IdentifierExpansion.NO
    while True:
        left_out = _left_out(known, states)
        fresh = _leads(known, states, left_out)
        if not (fresh and further):
            break
        known |= dict.fromkeys(fresh)
        yield {name: state.look_up(fresh) for name, state in states.items() if not state.error}
        further = follow is IdentifierExpansion.ALL
    left_out = _left_out(known, states)
    own = {name: [id for id in state.found if (name, id) not in left_out] for name, state in states.items()}
    contacts = yield {name: state.details(known, own[name]) for name, state in states.items() if own[name]}
    consent = yield {name: state.statements(known) for name, state in states.items() if not state.error}
    followed = tuple(identifier for identifier in known if identifier not in asked)
    report = AccessReport(made_at, tuple(asked), followed, tuple(_leads(known, states, left_out)), ())
    accounts = (
        _account(
            name, state, contacts.get(name, ()), consent.get(name), [id for id in state.found if (name, id) in left_out]
        )
        for name, state in states.items()
    )
    return evolve(report, accounts=tuple(accounts))


def _account(
    name: str,
    state: AccountState,
    contacts: tuple[ContactAccess, ...],
    consent: tuple[Mapping[str, str], ...] | None,
    left_out: Sequence[str],
) -> AccountAccess:
    provider = state.provider
    return AccountAccess(
        account=name,
        provider=provider.name,
        title=provider.title or provider.name,
        account_id=state.account_id,
        read=state.read,
        contacts=contacts,
        consent=consent,
        error=state.error,
        unknown=state.unknown,
        withheld=tuple(left_out),
        gaps=tuple(dict.fromkeys(state.gaps)),
        residual_data=dict(provider.residual_data) if isinstance(provider, DeletesContacts) else {},
    )


def _statement(statement: Consent) -> dict[str, str]:
    """Return a statement of consent as names and values for people, without those that the vendor does not tell."""
    values = {
        "address or number": statement.identifier.value,
        "channel": statement.channel.value,
        "says": statement.state.value,
        "reason": statement.reason.value if statement.reason else "",
        "topic": statement.scope,
        "covers": "" if statement.coverage is Coverage.ALL else "all but messages that belong to a transaction",
        "made at": statement.at.isoformat(timespec="seconds") if statement.at else "",
        "evidence": statement.evidence,
    }
    return {name: value for name, value in values.items() if value}


def _left_out(known: Collection[Identifier], states: Mapping[str, AccountState]) -> set[tuple[str, str]]:
    return withheld(known, {(name, id): c for name, state in states.items() for id, c in state.found.items()})


def _leads(
    known: Collection[Identifier], states: Mapping[str, AccountState], left_out: Collection[tuple[str, str]]
) -> list[Identifier]:
    """Return the identifiers of the person's contacts that were not looked up yet, in a form that vendors take."""
    leads = {
        Identifier(each.kind, each.normal): None
        for name, state in states.items()
        for id, contact in state.found.items()
        if (name, id) not in left_out
        for each in contact.identifiers
        if each.kind in EXPANDED_KINDS
    }
    return [identifier for identifier in leads if identifier not in known]


def _reason(error: ContactsError) -> str:
    """Return an error in words: its kind and status, none of the vendor's text."""
    words = next((words for kind, words in WORDS if isinstance(error, kind)), OTHER)
    return f"{words} ({lookup.failure(error)})"


def _names(value: Any, contact_id: str, levels: int = 3) -> bool:
    """Return whether a JSON object, or one near its top, has this id."""
    if not levels or not isinstance(value, (dict, list)):
        return False
    fields, items = cast("dict[str, Any]", value), cast("list[Any]", value)
    inner = fields.values() if isinstance(value, dict) else items
    named = isinstance(value, dict) and contact_id in fields.values()
    return named or any(_names(each, contact_id, levels - 1) for each in inner)
