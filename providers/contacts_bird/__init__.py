"""Bird: contacts, identifiers, lists and attributes of a workspace."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import msgspec
from attrs import evolve, frozen

from contacts_bird import api, mapping
from contacts_bird.payloads import ContactDetails, ListDetails, Processed
from contacts_core.errors import ContactsError, Interrupted, NotFound, ProviderError, Rejected, UnexpectedPayload
from contacts_core.models import (
    CHANGEABLE_FIELDS,
    Consent,
    ConsentState,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    CountsByPaging,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContactsById,
    DeletesContacts,
    DeletesLists,
    ExportsPages,
    FindsConsent,
    FindsContacts,
    Flow,
    GetsContacts,
    Join,
    LiftsSuppressions,
    MapsFields,
    NativeQuery,
    PartialResult,
    Provider,
    RateLimit,
    RawContact,
    ReadsConsent,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    TakesIdentifiers,
    UpsertsContacts,
    WritesConsent,
    about_id,
    absent,
    base_url_setting,
    combined,
    done,
    failed,
    flows,
    hookimpl,
    mapped,
    raw_answer,
    secret,
    setting,
    token_page,
    unconfirmed,
)
from contacts_core.query import Query

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Member = str | Identifier
SAMPLE = 3


@frozen(kw_only=True)
class Bird(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    TakesIdentifiers,
    Searches,
    FindsContacts,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    CountsByPaging,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    MapsFields,
    CreatesCustomFields,
    ReadsConsent,
    FindsConsent,
    WritesConsent,
    LiftsSuppressions,
    ExportsPages,
):
    """Every operation is done when Bird answers; contacts are deleted with one request each.

    Attributes:
        access_key: An access key of the workspace.
        workspace_id: The UUID of the workspace.
        auth_scheme: The word before the key; ``Bearer`` is for user tokens.
        email_keys: The keys of e-mail addresses in the workspace, separated by commas; the first one is written.
        phone_keys: The same for phone numbers.
        external_id_keys: The same for external ids; Bird documents no key for them.
        anonymous_id_keys: The same for anonymous ids; Bird documents no key for them.
        fields: Which attribute holds the organization, the title or a part of the address.
    """

    name = "bird"
    title = "Bird workspace contacts and lists"
    member_batch_size = 100
    list_name_lengths = (2, 256)
    field_name_lengths = (1, 64)
    field_name_pattern = "[A-Za-z0-9_-]+"
    field_types = tuple(mapping.CREATED_TYPES)
    reserved_field_names = mapping.RESERVED_FIELDS
    changeable_fields = (*mapping.NAMES, "custom")
    # A contact must be created with a display name, and whether it may be taken away again is documented nowhere.
    clearable_fields = tuple(name for name in changeable_fields if name != "full_name")
    mappable_fields = tuple(name for name in CHANGEABLE_FIELDS[:-1] if name not in mapping.NAMES)
    usual_fields: ClassVar = mapping.USUAL_FIELDS
    fields_defined_first = True
    concurrency = 8
    export_includes_lists = False  # an answer may leave the lists out
    # Documented for a sibling API of the same vendor; the Contacts API names no numbers.
    rate_limits: ClassVar = {api.READ: RateLimit(50, 1), api.WRITE: RateLimit(500, 1)}
    costs: ClassVar = {
        DeletesContacts: {api.WRITE: 1},
        RemovesIdentifiers: {api.READ: 1, api.WRITE: 1},
        RemovesFromLists: {api.WRITE: 1},
        ChangesContacts: {api.WRITE: 1},
        FindsConsent: {api.WRITE: 1},
        WritesConsent: {api.WRITE: 1},
    }
    consent_states = (ConsentState.GRANTED, ConsentState.REVOKED)
    consent_channels = mapping.CHANNEL_KINDS
    consent_creates_contacts = True
    deletes_consent = True
    non_idempotent: ClassVar[tuple[type[Provider], ...]] = (CreatesLists,)
    secret_patterns = (r"\baccesskey\s+\S+",)
    left_behind: ClassVar = {
        "segments": "they exist in the dashboard alone; build them again from the fields that were copied",
        "templates, campaigns and flows": "build them again",
        "messages": "conversations and statistics stay in the other services of the workspace",
        "sender reputation": "domains and numbers are verified again, and a new sender begins with little mail",
    }
    residual_data: ClassVar = {
        "other keys": (
            "addresses, numbers and ids under a key that no setting names (email_keys, phone_keys, external_id_keys, "
            "anonymous_id_keys) are not looked for"
        ),
        "suppressions": (
            "consent is kept on the contact and is deleted with it; what the workspace keeps beyond the contact is "
            "documented nowhere"
        ),
        "messages": "messages and logs that name the person belong to other services of the workspace",
        "segments": "they exist in the dashboard alone; when one forgets a contact is documented nowhere",
        "billing": "whether a deleted contact still counts for the month is documented nowhere",
        "backups": "what the vendor keeps in backups, and for how long, is documented nowhere",
    }

    access_key: str = secret()
    workspace_id: str = setting()
    base_url: str = base_url_setting("https://api.bird.com")
    auth_scheme: str = "AccessKey"
    email_keys: str = "emailaddress"
    phone_keys: str = "phonenumber"
    external_id_keys: str = ""
    anonymous_id_keys: str = ""

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.auth_scheme} {self.access_key}"}

    def path_prefix(self) -> str:
        return f"/workspaces/{quote(self.workspace_id, safe='')}"

    def validate_id(self, id: str) -> str:
        return "" if UUID.fullmatch(id) else super().validate_id(id) or "the id is not a UUID"

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        """See `Provider.is_not_found`: Bird's errors have a code and a message."""
        if not super().is_not_found(request, content):
            return False
        match msgspec.json.decode(content):
            case {"code": str(code), "message": str()}:
                return bool(code)
            case _:
                return False

    @cached_property
    def keys(self) -> mapping.Keys:
        """The keys of the workspace, by kind."""
        settings = {
            IdentifierKind.EMAIL: self.email_keys,
            IdentifierKind.PHONE: self.phone_keys,
            IdentifierKind.EXTERNAL_ID: self.external_id_keys,
            IdentifierKind.ANONYMOUS_ID: self.anonymous_id_keys,
        }
        return mapping.Keys(
            {kind: [k.strip() for k in text.split(",") if k.strip()] for kind, text in settings.items()}, self.fields
        )

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (contact_id,) = ids
        yield from api.delete_contact(contact_id)
        return done(contact_id)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Read the identifiers first, to send the value as it is stored."""
        stored = [i for i in (yield from self._identifiers(contact_id)) if i == identifier]
        if not stored:
            return absent(identifier.value)
        removed: list[str] = []
        for each in stored:  # one address may stand under several keys
            try:
                yield from api.delete_identifier(contact_id, each.key, each.value)
            except NotFound:
                if not removed:
                    raise
            except ContactsError as error:
                if not removed:
                    raise
                if _is_refusal(error):
                    reason = f"removed under {', '.join(removed)}, but not under {each.key}: {error}"
                    return failed(identifier.value, reason)
                error.unclear = True
                raise
            removed.append(each.key)
        return done(identifier.value)

    def remove_from_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        return (yield from self._change(list_id, members, api.remove_from_list, wanted=False))

    def add_to_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        return (yield from self._change(list_id, members, api.add_to_list, wanted=True))

    def _change(
        self,
        list_id: str,
        members: Sequence[Member],
        change: Callable[[str, Any], Request[Processed]],
        *,
        wanted: bool,
    ) -> Flow[Outcome]:
        """Change membership. Bird returns only how many it processed; if not all, read back which.

        Raises:
            Interrupted: A later request failed; with the members of the earlier ones.
            ContactsError: The first request failed, or a look-up.
        """
        outcomes: list[Outcome] = []
        sent_for: dict[Member, list[Member]] = {}  # what is sent for each member
        for member in members:
            if isinstance(member, str) or len(self.keys.of(member)) == 1:
                sent_for[member] = [member]
                continue
            if reason := self.cannot_find(member):  # it may be under several keys, and is looked up first
                outcomes.append(failed(member.value, f"not looked up: {reason}"))
                continue
            owners, others = yield from self._owners(member)
            if owners:
                sent_for[member] = [owner.id for owner in owners]
            elif others:
                reason = f"not sent: Bird answered the look-up with {others} other contact(s)"
                outcomes.append(failed(member.value, reason))
            else:
                outcomes.append(absent(member.value))
        results: dict[Member, Callable[[str], Outcome]] = {}
        unsure: list[Member] = []

        def send(part: Sequence[Member]) -> Flow[None]:
            ids = [m for m in part if isinstance(m, str)]
            known = [mapping.reference(m, self.keys) for m in part if isinstance(m, Identifier)]
            body = api.members(ids, [reference for reference in known if reference])
            if (yield from change(list_id, body)).items_processed == len(part):
                results.update(dict.fromkeys(part, done))
            else:
                unsure.extend(part)

        everything = dict.fromkeys(sent for targets in sent_for.values() for sent in targets)
        for part in flows.chunks(everything, self.member_batch_size):
            try:
                _, refused = yield from flows.apart(part, send)
            except ContactsError as error:
                if not (results or unsure):
                    raise
                results.update(dict.fromkeys(unsure, _unknown))
                raise _interrupted(error, part, sent_for, results, outcomes) from error
            results.update((sent, partial(failed, reason=str(error))) for sent, error in refused)
        checks = [self._read_back(list_id, sent, wanted=wanted) for sent in unsure]
        settled = yield from flows.run_together(checks, self.concurrency)
        for sent, end in zip(unsure, settled, strict=True):
            results[sent] = end.value or _unknown
        outcomes += [_of_member(member, targets, results) for member, targets in sent_for.items()]
        return combined(outcomes)

    def _read_back(self, list_id: str, sent: Member, *, wanted: bool) -> Flow[Callable[[str], Outcome]]:
        """Read back a member that Bird may not have processed, and return what to say of it."""
        on_list: list[bool] = []
        others = 0
        try:
            ids = [sent] if isinstance(sent, str) else []
            if isinstance(sent, Identifier):
                owners, others = yield from self._owners(sent)
                ids = [owner.id for owner in owners]
            for contact_id in ids:
                found = yield from flows.gather(partial(self._lists_of_contact_page, contact_id))
                on_list.append(any(each.id == list_id for each in found))
        except NotFound:
            ids = []
        if not ids:
            return _unknown if others else absent  # a look-up that returns others cannot be believed
        if all(each is wanted for each in on_list):
            return done
        still = "not" if wanted else "still"
        return partial(failed, reason=f"Bird did not process it; a re-read finds the contact {still} on the list")

    def _owners(self, identifier: Identifier) -> Flow[tuple[list[Contact], int]]:
        """Find the contacts with an identifier, and how many others Bird returned."""
        found = yield from self._search(identifier)
        owners = [contact for contact in found if identifier in contact.identifiers]
        return owners, len(found) - len(owners)

    def _lists_of_contact_page(self, contact_id: str, cursor: str | None) -> Flow[Page[ListDetails]]:
        found = yield from api.lists_of_contact(contact_id, cursor)
        return token_page(found.results, found.next_page_token)

    # -- reading

    def translate(self, query: Query) -> NativeQuery | None:
        identifier = mapping.asked(query, self.keys)
        return (
            NativeQuery(f"{'|'.join(self.keys.of(identifier))} = {identifier.normal}", identifier)
            if identifier
            else None
        )

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        asked: Any = query.asks
        found = yield from self._search(asked)
        return PartialResult(found, len(found))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """Send one request for each key under which the identifier may be stored."""
        (identifier,) = identifiers
        try:
            return [(identifier, contact) for contact in (yield from self._search(identifier))]
        except Rejected as error:
            return [(identifier, f"Bird refused to look it up: {error}")]

    def cannot_find(self, identifier: Identifier) -> str:
        """See `FindsContacts.cannot_find`."""
        return mapping.cannot_find(identifier, self.keys)

    def _search(self, identifier: Identifier) -> Flow[Sequence[Contact]]:
        return (yield from self._complete((yield from self._matches(identifier))))

    def _matches(self, identifier: Identifier) -> Flow[list[ContactDetails]]:
        found: dict[str, ContactDetails] = {}
        for reference in mapping.to_ask(identifier, self.keys):
            page = yield from api.search(**reference)
            if page.next_page_token and not page.results:
                raise UnexpectedPayload("a look-up has further pages, but this one is empty", provider=self.name)
            found.update((details.id, details) for details in page.results)
        return list(found.values())

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (contact_id,) = ids
        return (yield from self._complete([(yield from self._alone(contact_id))]))

    def raw_contact(self, contact_id: str) -> Flow[RawContact]:
        return raw_answer(api.contact(contact_id))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        found = yield from (api.contacts_of_list(list_id, cursor) if list_id else api.contacts(cursor))
        return token_page((yield from self._complete(found.results)), found.next_page_token)

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`."""
        found = yield from api.contacts(None, limit=SAMPLE)
        if not found.results:
            return None if found.next_page_token else []
        return (yield from self._complete(found.results)) or None

    def _complete(self, found: Sequence[ContactDetails]) -> Flow[Sequence[Contact]]:
        """Return contacts with all their identifiers; those that an answer leaves out are read contact by contact."""
        if any(self.validate_id(details.id) for details in found):
            raise UnexpectedPayload("the answer has a contact with an invalid id", provider=self.name)
        shown = {details.id: mapping.shown_identifiers(details, self.keys) for details in found}
        lacking = [details.id for details in found if not mapping.is_told(details, shown[details.id])]
        read = yield from flows.read_each(lacking, self.concurrency, self._identifiers_told)
        gone = set(lacking) - read.keys()
        yield from self._learn_types(found)

        def contact(details: ContactDetails) -> Contact:
            known = mapping.identifiers(shown[details.id], self.keys)
            if details.id in read:
                known = tuple(dict.fromkeys([*known, *read[details.id]]))
            return mapping.contact(details, known, self.keys, self._types)

        return mapped(contact, [details for details in found if details.id not in gone] if gone else found)

    def _identifiers_told(self, contact_id: str) -> Flow[tuple[Identifier, ...]]:
        """Read the identifiers of a contact; `NotFound` only if the contact itself is not found either."""
        try:
            return (yield from self._identifiers(contact_id))
        except NotFound as error:
            yield from api.contact(contact_id)
            raise UnexpectedPayload("no answer has the identifiers of a contact", provider=self.name) from error

    def _identifiers(self, contact_id: str) -> Flow[tuple[Identifier, ...]]:
        found = yield from flows.gather(lambda cursor: self._identifiers_page(contact_id, cursor))
        if any(each.contact_id not in {None, contact_id} for each in found):
            raise UnexpectedPayload("the answer has identifiers of another contact", provider=self.name)
        return mapping.identifiers(((each.key, each.value) for each in found), self.keys)

    def _identifiers_page(self, contact_id: str, cursor: str | None) -> Flow[Page[Any]]:
        found = yield from api.identifiers(contact_id, cursor)
        return token_page(found.results, found.next_page_token)

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from api.lists(cursor)
        return token_page(map(mapping.contact_list, found.results), found.next_page_token)

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from api.delete_list(list_id)
        return done(list_id)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from api.attribute_definitions(cursor)
        told = [each for each in found.results if each.key not in mapping.CONSENT_ATTRIBUTES]
        fields = [mapping.field(each, self.keys) for each in told]
        self._types.update((each.name, each.type) for each in fields)
        return token_page(fields, found.next_page_token)

    @cached_property
    def _types(self) -> dict[str, FieldType]:
        """The types of custom fields, as they were last read."""
        return {}

    def _learn_types(self, found: Sequence[ContactDetails]) -> Flow[None]:
        """Read the definitions of fields where a value may be a date, unless its type is known."""
        names = {name for details in found for name in mapping.dated(details, self.keys)}
        while names - self._types.keys():
            yield from Join("custom fields", partial(self._read_types, names))

    def _read_types(self, names: Collection[str]) -> Flow[None]:
        if names - self._types.keys():  # another flow may have read them meanwhile
            yield from flows.gather(self.custom_fields_page)
            for name in names:
                _ = self._types.setdefault(name, FieldType.OTHER)

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        type_, cardinality = mapping.CREATED_TYPES[type]
        created = mapping.field((yield from api.create_attribute_definition(name, type_, cardinality)), self.keys)
        self._types[created.name] = created.type
        return created

    # -- consent

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        """Read a page of contacts: the statements are attributes of them."""
        found = yield from api.contacts(cursor)
        return token_page((yield from self._consent(found.results)), found.next_page_token)

    def cannot_find_consent(self, identifier: Identifier) -> str:
        """See `FindsConsent.cannot_find_consent`."""
        return mapping.cannot_find(identifier, self.keys)

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        (identifier,) = identifiers
        found = yield from self._consent((yield from self._matches(identifier)))
        return [(identifier, statement) for statement in found if statement.identifier == identifier]

    def _consent(self, found: Sequence[ContactDetails]) -> Flow[list[Consent]]:
        """Return the statements that contacts carry; contacts without attributes in an answer are read by themselves.

        Raises:
            UnexpectedPayload: No answer has the attributes of a contact, which may be a refusal.
        """
        untold = [details.id for details in found if details.attributes is None]
        alone = yield from flows.read_each(untold, self.concurrency, self._alone)
        if any(details.attributes is None for details in alone.values()):
            raise UnexpectedPayload("no answer has the attributes of a contact", provider=self.name)
        whole = [alone.get(each.id, each) for each in found if each.attributes is not None or each.id in alone]
        carrying = {details.id: details for details in whole if mapping.has_consent(details)}
        contacts = yield from self._complete(list(carrying.values()))
        return [said for each in contacts for said in mapping.consent(carrying[each.id], each.identifiers)]

    def _alone(self, contact_id: str) -> Flow[ContactDetails]:
        return about_id((yield from api.contact(contact_id)), contact_id, provider=self.name)

    def cannot_write_consent(self, statement: Consent) -> str:
        """See `WritesConsent.cannot_write_consent`."""
        return mapping.cannot_find(statement.identifier, self.keys)

    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        """Grant consent, for all addresses or numbers of the contact; there is no place for the evidence."""
        return (yield from self.write_consent([evolve(statement, state=ConsentState.GRANTED)]))

    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        """Set the attribute of the contact with this identifier, which is created if there is none."""
        (statement,) = statements
        item = statement.identifier.value
        reference = mapping.reference(statement.identifier, self.keys)
        if reference is None:
            return failed(item, "not sent: the settings name no key for such an identifier")
        attribute = {mapping.SUBSCRIBED[statement.channel]: statement.state is ConsentState.GRANTED}
        written = yield from api.upsert_contact(**reference, body={"attributes": attribute})
        match mapping.shows_consent(written, statement):
            case None:
                return unconfirmed(1)
            case False:
                return failed(item, "Bird's answer shows the contact without it")
            case True:
                return done(item)

    # -- writing

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        attributes = mapping.changed_attributes(*self.split_changes(set, clear), self.keys)
        written = yield from api.update_contact(contact_id, {"attributes": attributes})
        shown = about_id(written, contact_id, provider=self.name).attributes or {}
        if left := [name for name, value in attributes.items() if value is None and shown.get(name) not in (None, "")]:
            return failed(contact_id, f"Bird did not take away the value of {', '.join(left)}")
        return done(contact_id)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        return mapping.preview(contact, shape, self.keys)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Update a contact with an id of Bird's; update or create one with an identifier; create any other."""
        (contact,) = contacts
        first_lists, *more_lists = list(flows.chunks(lists, mapping.MOST_LISTS)) or [()]
        lost: set[str] = set()
        attributes, references = (
            mapping.attributes(contact, self.held_values(contact)),
            mapping.references(contact, self.keys),
        )
        body: dict[str, Any] = {"attributes": attributes} if attributes else {}
        written: ContactDetails | None = None
        if contact.provider == self.name and contact.id:
            joining = {"addIdentifiers": references} if references else {}
            with suppress(NotFound):  # an id of another workspace
                joined = body | joining | _lists("addToLists", first_lists)
                written = yield from api.update_contact(contact.id, joined)
                written = about_id(written, contact.id, provider=self.name)
        by_id = written is not None or not references
        if written is None and references:
            first, *others = references
            joining = {"addIdentifiers": others} if others else {}
            written = yield from api.upsert_contact(**first, body=body | joining | _lists("addToLists", first_lists))
        elif written is None:
            name = {"displayName": mapping.display_name(contact)}
            written = yield from api.create_contact(name | body | _lists("listIds", first_lists))
        for part in more_lists:
            more = _lists("addToLists", part)
            try:  # by what was asked for, where that can be: an answer may be about somebody else
                if by_id:
                    yield from api.update_contact(written.id, more)
                else:
                    yield from api.upsert_contact(**references[0], body=more)
            except ContactsError as error:  # the contact itself is written
                if not _is_refusal(error):
                    error.unclear = True
                    raise
                lost.update(f"lists.{each}" for each in part)
        return done(written.id, dropped_fields=lost)


def spelled(member: Member) -> str:
    """Return the name of a member in an outcome."""
    return member.value if isinstance(member, Identifier) else member


def _unknown(_: str) -> Outcome:
    return unconfirmed(1)


def _is_refusal(error: ContactsError) -> bool:
    """Whether the vendor answered that it did not carry the request out."""
    return isinstance(error, ProviderError) and not error.unclear


def _of_member(
    member: Member, targets: Sequence[Member], results: Mapping[Member, Callable[[str], Outcome]]
) -> Outcome:
    return _worst([results[sent](spelled(member)) for sent in targets])


def _interrupted(
    error: ContactsError,
    part: Sequence[Member],
    sent_for: Mapping[Member, Sequence[Member]],
    results: Mapping[Member, Callable[[str], Outcome]],
    outcomes: Sequence[Outcome],
) -> Interrupted:
    """Return the error of a later request of a membership change, with what is known of each member.

    Args:
        error: The error.
        part: What was to be sent then.
        sent_for: What is sent for each member.
        results: What is known of what was sent.
        outcomes: The outcomes of members for which nothing is sent.
    """
    begun = {*results, *part} if error.unclear else {*results}
    known = [each for each, targets in sent_for.items() if results.keys() >= set(targets)]
    others = [each for each in sent_for if each not in known]
    uncertain = [each for each in others if begun.intersection(sent_for[each])]
    unsent = [each for each in others if each not in uncertain]
    reached = combined([*outcomes, *(_of_member(each, sent_for[each], results) for each in known)])
    return Interrupted(reached, uncertain, unsent, str(error))


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of a member that several contacts have: the worst of theirs."""
    return max(outcomes, key=lambda outcome: (bool(outcome.failed), not outcome.succeeded_count and not outcome.absent))


def _lists(name: str, ids: Sequence[str]) -> dict[str, Any]:
    return {name: list(ids)} if ids else {}


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [Bird]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_bird.emulator import BirdEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [BirdEmulator]
