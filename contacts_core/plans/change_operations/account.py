"""Changes of the account itself: lists, custom fields, and statements of consent. No contact is read before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused, Rejected, UnsupportedOperation
from contacts_core.models import Consent, ConsentState, Contact, FieldDefinition, FieldType, Outcome
from contacts_core.models.consent import is_in_force
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.base import Attempt, ChangeOperation, ReadBack
from contacts_core.plans.payload import packed, unpacked
from contacts_core.provider import (
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    FindsConsent,
    Flow,
    Provider,
    ReadsConsent,
    WritesConsent,
    flows,
    preview_consent,
)
from contacts_core.provider.outcomes import combined, done, failed

__all__ = [
    "ConfirmConsent",
    "CreateCustomField",
    "CreateList",
    "EnsureConsentScopes",
    "WriteConsent",
    "confirmation",
    "consent_change",
    "field_change",
    "list_change",
    "scope_change",
]

NAME = "name"
TYPE = "type"
STATEMENTS, ACCEPTED = "statements", "accept"


def list_change(name: str, reason: str) -> Change:
    """Return the change that makes sure that there is a list of this name."""
    return Change(CreateList.name, "", (), (), reason, write={NAME: name})


def field_change(definition: FieldDefinition, reason: str) -> Change:
    """Return the change that makes sure that there is a custom field of this name and type."""
    return Change(
        CreateCustomField.name, "", (), (), reason, write={NAME: definition.name, TYPE: definition.type.value}
    )


def scope_change(name: str, reason: str) -> Change:
    """Return the change that makes sure that there is a scope of consent of this name."""
    return Change(EnsureConsentScopes.name, "", (), (), reason, write={NAME: name})


def consent_change(
    statements: Sequence[Consent], people: Sequence[int], reason: str, accept: Sequence[str] = ()
) -> Change:
    """Return the change that writes the statements about one identifier.

    Args:
        statements: They are about the same identifier.
        people: Numbers of the people whose identifier it is.
        reason: Why they are written.
        accept: The losses that were accepted; see `operations.write_consent`.
    """
    write = {STATEMENTS: [packed(each) for each in statements], **({ACCEPTED: list(accept)} if accept else {})}
    return Change(WriteConsent.name, "", (statements[0].identifier,), tuple(people), reason, write=write)


def confirmation(statements: Sequence[Consent], people: Sequence[int], reason: str) -> Change:
    """Return the change that writes nothing, and checks whether what the vendor has about an identifier stands.

    Args:
        statements: They, as they were read; all are about the same identifier.
        people: Numbers of the people whose identifier it is.
        reason: Why they must stand.
    """
    write = {STATEMENTS: [packed(evolve(each, evidence="")) for each in statements]}
    return Change(ConfirmConsent.name, "", (statements[0].identifier,), tuple(people), reason, write=write)


class _OfAccount(ChangeOperation, ABC):
    """A change of the account itself, which can be repeated: what is there already is not written again."""

    of_account = True
    leaves = False

    def looks_up(self, *, found: bool) -> bool:
        """Return False: no contact tells whether it was made."""
        return False


class _Setting(_OfAccount, ABC):
    """Something that contacts refer to by its name."""

    read_back_path = "settings"

    def batch_size(self, provider: Provider) -> int:
        """Return 1: they are created one after the other."""
        return 1

    def check(self, change: Change) -> str:
        """Return what contradicts itself: it is about something with a name, and about no contact."""
        name = change.write.get(NAME)
        if not isinstance(name, str) or not name.strip():
            return "something without a name is to be created"
        return "a list or field belongs to no contact" if change.contact or change.identifiers else ""

    def items(self, change: Change) -> list[str]:
        """Return the name of what is created."""
        return [str(change.write[NAME])]

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Create what is not there."""
        (change,) = batch
        try:
            yield from self._create(provider, change.write)
        except (InvalidInput, UnsupportedOperation, Rejected) as error:
            return failed(self.items(change), str(error))
        return done(self.items(change))

    @abstractmethod
    def _create(self, provider: Provider, settings: Mapping[str, Any]) -> Flow[object]: ...

    def read_back(self, changes: Mapping[int, Change], provider: Provider) -> Flow[ReadBack]:
        """Read the account's lists and fields."""
        there = yield from self._there(provider)
        found = {n: _shortcoming(there, change.write) for n, change in changes.items()}
        return ReadBack({n: reason for n, reason in found.items() if reason})

    @abstractmethod
    def _there(self, provider: Provider) -> Flow[Sequence[Mapping[str, Any]]]: ...

    def reads_back_all(self, provider: Provider) -> bool:
        """Return True: all of them are read."""
        return True


def _has(there: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> bool:
    return any(all(each.get(name) == value for name, value in wanted.items()) for each in there)


def _shortcoming(there: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str:
    """Return what shows that there is not exactly one of the wanted name, as it is wanted; empty if nothing does."""
    if not _has(there, wanted):
        return "it is not there"
    count = sum(each.get(NAME) == wanted[NAME] for each in there)
    return f"there are {count} of this name" if count > 1 else ""


class CreateList(_Setting):
    """Create a list, unless there is one of this name."""

    name = "create_list"
    capability = CreatesLists
    unmade = "not among the lists"
    creates = "list"

    def _create(self, provider: Provider, settings: Mapping[str, Any]) -> Flow[object]:
        return (yield from operations.ensure_list(provider, settings[NAME]))

    def _there(self, provider: Provider) -> Flow[Sequence[Mapping[str, Any]]]:
        lists = yield from operations.lists(provider)
        return [{NAME: each.name} for each in lists]


class CreateCustomField(_Setting):
    """Create a custom field, unless there is one of this name and type."""

    name = "create_custom_field"
    capability = CreatesCustomFields
    unmade = "not among the custom fields"
    creates = "custom field"

    def check(self, change: Change) -> str:
        """Return what contradicts itself: the field has a name and a type."""
        known = {each.value for each in FieldType}
        return super().check(change) or ("" if change.write.get(TYPE) in known else "a custom field has no type")

    def _create(self, provider: Provider, settings: Mapping[str, Any]) -> Flow[object]:
        if not _has((yield from self._there(provider)), settings):
            yield from operations.create_custom_field(provider, settings[NAME], FieldType(settings[TYPE]))
        return None

    def _there(self, provider: Provider) -> Flow[Sequence[Mapping[str, Any]]]:
        fields = yield from operations.custom_fields(provider)
        return [{NAME: each.name, TYPE: each.type.value} for each in fields]


class EnsureConsentScopes(_Setting):
    """Create a scope of consent, unless there is one of this name."""

    name = "ensure_consent_scopes"
    capability = CreatesConsentScopes
    unmade = "not among the scopes of consent"
    creates = "scope of consent"

    def _create(self, provider: Provider, settings: Mapping[str, Any]) -> Flow[object]:
        return (yield from operations.ensure_consent_scopes(provider, [settings[NAME]]))

    def _there(self, provider: Provider) -> Flow[Sequence[Mapping[str, Any]]]:
        names = yield from operations.require(provider, CreatesConsentScopes).consent_scopes()
        return [{NAME: name} for name in names]


class WriteConsent(_OfAccount):
    """Write what people said about being written to. Nothing that counts more is overruled."""

    name = "write_consent"
    capability = WritesConsent
    unmade = "not among the statements of consent"
    read_back_path = "consent"

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, WritesConsent).consent_batch_size

    def check(self, change: Change) -> str:
        """Return what contradicts itself: the statements are about the identifier of the change."""
        if not set(change.write) <= {STATEMENTS, ACCEPTED} or not isinstance(change.write.get(STATEMENTS), list):
            return "statements of consent are to be written, and there are none"
        statements = self.statements(change)
        if change.contact or not statements or {each.identifier for each in statements} != {*change.identifiers}:
            return "statements of consent are about another identifier than the plan lists"
        return ""

    def statements(self, change: Change) -> list[Consent]:
        """Return the statements that are written."""
        return [unpacked(each, Consent) for each in change.write[STATEMENTS]]

    def needs_source(self, change: Change) -> bool:
        """Return whether anything but a refusal is written."""
        return any(each.state is not ConsentState.REVOKED for each in self.statements(change))

    def items(self, change: Change) -> list[str]:
        """Return the identifier that the statements are about."""
        return [change.identifiers[0].value]

    def may_create(self, change: Change, provider: Provider) -> Contact | None:
        """Return the contact that a vendor which keeps consent on contacts makes of an identifier without one."""
        creates = operations.require(provider, WritesConsent).consent_creates_contacts
        return Contact(identifiers=change.identifiers) if creates else None

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Write the statements, those that accept the same losses together."""
        groups: dict[tuple[str, ...], list[Consent]] = {}
        for change in batch:
            groups.setdefault(tuple(change.write.get(ACCEPTED, ())), []).extend(self.statements(change))
        outcomes: list[Outcome] = []
        for accepted, statements in groups.items():
            try:
                outcomes.append((yield from operations.write_consent(provider, statements, accepted)))
            except InvalidInput as error:  # a plan that was edited
                raise PlanRefused(f"the plan contradicts itself: {error}") from error
        return combined(outcomes)

    def reads_back_all(self, provider: Provider) -> bool:
        """Return whether every statement has to be read, because there is no look-up."""
        return not isinstance(provider, FindsConsent)

    def read_back(self, changes: Mapping[int, Change], provider: Provider) -> Flow[ReadBack]:
        """Read the statements about these identifiers."""
        able = operations.require(provider, WritesConsent)
        wanted = {change.identifiers[0] for change in changes.values()}
        found: dict[Any, list[Consent]] = {identifier: [] for identifier in wanted}
        unread: dict[Any, str] = {}
        if isinstance(provider, FindsConsent):
            look_up = yield from operations.find_consent(provider, wanted)
            found |= {identifier: list(several) for identifier, several in look_up.items()}
            unread = {**look_up.unasked} | dict.fromkeys(look_up.mismatched, "the vendor answered about somebody else")
        elif isinstance(provider, ReadsConsent):

            def take(statements: Sequence[Consent]) -> None:
                for each in statements:
                    if each.identifier in found:
                        found[each.identifier].append(each)

            yield from flows.drain(operations.consent(provider), take)
        else:
            unread = dict.fromkeys(wanted, "the vendor does not show statements of consent")
        return ReadBack(
            {
                n: "the vendor does not show it"
                for n, change in changes.items()
                if change.identifiers[0] not in unread
                and not all(self._stands(able, each, found[change.identifiers[0]]) for each in self.statements(change))
            },
            {n: unread[c.identifiers[0]] for n, c in changes.items() if c.identifiers[0] in unread},
        )

    def _stands(self, provider: WritesConsent, statement: Consent, found: Sequence[Consent]) -> bool:
        """Return whether a statement is in force: it, or one that counts as much, is the one that counts."""
        promised = preview_consent(provider, statement).shown
        return promised is not None and is_in_force(promised, found, dates=False)


class ConfirmConsent(WriteConsent):
    """Look whether statements that the vendor has are in force, and that they still are after contacts were written."""

    name = "confirm_consent"
    unmade = "not among the statements of consent any more"

    def may_create(self, change: Change, provider: Provider) -> Contact | None:
        """Return None: nothing is written."""
        return None

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Send nothing."""
        yield from ()
        return done(*(item for change in batch for item in self.items(change)))

    def requests(self, batch: Sequence[Change], provider: Provider) -> int:
        """Return 0."""
        return 0

    def _stands(self, provider: WritesConsent, statement: Consent, found: Sequence[Consent]) -> bool:
        """Return whether a statement is in force as it was read."""
        return is_in_force(statement, found, dates=False)
