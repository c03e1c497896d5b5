"""Bird's workspace contacts as an ASGI emulator: its operations, key and default content."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Any

from starlette.responses import Response

from contacts_bird.emulator import errors, shapes
from contacts_bird.emulator.contacts import SUBSCRIBED, Contacts
from contacts_bird.emulator.lists import Lists
from contacts_bird.emulator.store import MIRRORED, Contact, Identifier, Store, millisecond
from contacts_core.emulator import Clock, Emulator, Faults, Incoming, Operation, Person, Truth, truth

ACCESS_KEY = "sandbox-access-key"
WORKSPACE_ID = "00000000-0000-4000-8000-000000000001"

_BUILTIN = (
    *(("displayName", "one", "string", False), ("firstName", "one", "string", False)),
    *(("lastName", "one", "string", False), ("emailaddress", "many", "string", True)),
    *(("phonenumber", "many", "string", True), ("jobTitle", "one", "string", False)),
    *((name, "one", "boolean", False) for name in sorted(SUBSCRIBED)),
    *(
        ("company", "one", "string", False),
        ("city", "one", "string", False),
        ("country", "one", "string", False),
    ),
)
_CUSTOM = (("score", "number"), ("plan", "string"), ("renewalDate", "datetime"))


_KEYS = {"email": "emailaddress", "phone": "phonenumber"}


class BirdEmulator(Emulator):
    """One workspace of Bird."""

    name = "bird"
    title = "Bird workspace contacts"
    tells_truth = True

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        super().__init__(clock=clock, faults=faults, base_url=base_url, seed=seed, enforce_rates=enforce_rates)
        self.store = Store(self.new_uuid)
        self.contacts = Contacts(self.store, clock, faults, self.shown)
        self.lists = Lists(self.store, clock, faults)

    def settings(self) -> dict[str, str]:
        """The key that is accepted, and the workspace that it belongs to."""
        return {"access_key": ACCESS_KEY, "workspace_id": WORKSPACE_ID}

    def operations(self) -> Iterable[Operation]:
        """Everything that the service answers."""
        return chain(self.contacts.operations(), self.lists.operations())

    def settle(self, now: datetime) -> None:
        """Stop showing deleted contacts whose time has come."""
        self.store.settle(now)

    def authorize(self, incoming: Incoming) -> None:
        """Refuse other keys, the `Bearer` scheme of generated snippets, and other workspaces."""
        if incoming.headers.get("authorization") != f"AccessKey {ACCESS_KEY}":
            raise errors.refuse(401, "the access key is not valid")
        if incoming.params.get("workspace", WORKSPACE_ID) != WORKSPACE_ID:
            raise errors.refuse(401, "the access key is not valid for this workspace")

    def error(self, status: int, message: str) -> Response:
        """A failure in the service's shape."""
        return errors.error(status, message)

    def unknown_path(self, incoming: Incoming) -> Response:
        """A wrong path was seen to be answered like a wrong key."""
        return errors.error(401, "the access key is not valid for this path")

    def _ids(self) -> Iterable[str]:
        return self.store.living_ids()

    def _truth(self, contact_id: str) -> Truth:
        contact = self.store.existing(contact_id)
        kinds = {key: kind for kind, key in _KEYS.items()}
        identifiers = [(kinds.get(item.key, f"other:{item.key}"), item.value) for item in contact.identifiers]
        rest = shapes.contact(contact, WORKSPACE_ID)
        identifying = (*MIRRORED, "listIds", "featuredIdentifiers", "identifierCount", "isAnonymous")
        rest["attributes"] = {name: value for name, value in rest["attributes"].items() if name not in MIRRORED}
        others = {name: value for name, value in rest.items() if name not in identifying}
        return truth(contact.id, identifiers, contact.list_ids, others)

    def _create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        contact = self.store.create(self.clock.now())
        self._mutate(contact.id, identifiers, None, "Somebody")
        return contact.id

    def _mutate(
        self,
        contact_id: str,
        identifiers: Sequence[tuple[str, str]] | None,
        lists: Sequence[str] | None,
        first_name: str | None,
    ) -> None:
        contact, now = self.store.existing(contact_id), self.clock.now()
        if identifiers is not None:
            for item in list(contact.identifiers):
                self.store.remove_identifier(contact, item.key, item.value)
            for kind, value in identifiers:
                self.store.add_identifier(contact, Identifier(_key(kind), value, {}, now))
        if lists is not None:
            for list_id in list(contact.list_ids):
                self.store.leave(list_id, contact)
            for list_id in lists:
                self.store.join(list_id, contact)
        if first_name is not None:
            last_name = contact.attributes.get("lastName", "")
            contact.attributes |= {"firstName": first_name, "displayName": f"{first_name} {last_name}".strip()}
        contact.updated_at = now

    def _delete(self, contact_id: str) -> None:
        self.store.delete(self.store.existing(contact_id))

    def populate(self, people: Iterable[Person]) -> None:
        """Three lists, attribute definitions, and these people."""
        now = self.clock.now()
        for key, cardinality, kind, read_only in _BUILTIN:
            self.contacts.add_definition(_definition(key, cardinality, kind, read_only=read_only), now, builtin=True)
        for key, kind in _CUSTOM:
            self.contacts.add_definition(_definition(key, "one", kind, read_only=False), now)
        newsletter, customers, press = (
            self.lists.add({"name": name, "consentType": "single", "tags": [], "isProof": False}).id
            for name in ("Newsletter", "Customers", "Press")
        )
        for index, person in enumerate(people):
            contact = self._add(person)
            contact.attributes |= _subscriptions(person, index)
            if index % 2 == 0:
                self.store.join(newsletter, contact)
            if "customer" in person.tags:
                self.store.join(customers, contact)
            if "press" in person.tags:
                self.store.join(press, contact)

    def _add(self, person: Person) -> Contact:
        joined = datetime.combine(person.joined, time(9, 30), UTC)
        contact = self.store.create(joined)
        contact.attributes = _attributes(person, joined)
        for key, value in _identifiers(person):
            self.store.add_identifier(contact, Identifier(key, value, {}, joined))
        return contact


def _key(kind: str) -> str:
    """The service's key of a kind of identifier."""
    key = _KEYS.get(kind) or kind.removeprefix("other:")
    if key == kind:
        raise ValueError(f"no identifiers of the kind {kind} here")
    return key


def _definition(key: str, cardinality: str, kind: str, *, read_only: bool) -> dict[str, Any]:
    return {
        "key": key,
        "displayName": key,
        "cardinality": cardinality,
        "type": kind,
        "pii": False,
        "readOnly": read_only,
    }


def _identifiers(person: Person) -> Iterable[tuple[str, str]]:
    """Email and phone under the usual keys, the rest under keys of the workspace's own (which no attribute mirrors)."""
    yield "emailaddress", person.email
    if person.phone:
        yield "phonenumber", person.phone
    for number, alternate in enumerate(person.further_emails):
        yield "secondaryEmailAddress" if number else "emailaddress", alternate
    if person.external_id:
        yield "externalid", person.external_id
    if person.anonymous_id:
        yield "anonymousid", person.anonymous_id


def _subscriptions(person: Person, index: int) -> dict[str, Any]:
    """Some have unsubscribed, some have subscribed, and of the others nothing is known."""
    email = {3: False, 1: True, 6: True}.get(index % 10)
    sms = {0: True, 5: False}.get(index % 15) if person.phone else None
    chosen = {"subscribedEmail": email, "subscribedSms": sms}
    return {name: value for name, value in chosen.items() if value is not None}


def _attributes(person: Person, joined: datetime) -> dict[str, Any]:
    renewal = millisecond(joined + timedelta(days=365)) if person.plan else None
    attributes: dict[str, Any] = {
        "displayName": f"{person.first_name} {person.last_name}",
        "firstName": person.first_name,
        "lastName": person.last_name,
        "jobTitle": person.title,
        "company": person.company,
        "city": person.city,
        "country": person.country,
        "score": person.score,
        "plan": person.plan,
        "renewalDate": renewal,
    }
    return {key: value for key, value in attributes.items() if value is not None}
