"""Operations on contacts and their identifiers."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from starlette.responses import Response

from contacts_bird.emulator import payloads, shapes
from contacts_bird.emulator.errors import refuse
from contacts_bird.emulator.store import STALE_FOR, Contact, Store, millisecond
from contacts_core.emulator import Clock, Faults, Incoming, Operation, json_response

ROOT = "/workspaces/{workspace}/contacts"
DEFINITIONS = "/workspaces/{workspace}/attribute-definitions"
MAX_NAME = 150
SUBSCRIBED = frozenset(("subscribedEmail", "subscribedSms", "subscribedWhatsapp", "subscribedPush", "subscribedRcs"))
STRATEGIES = ("strict_alias", "first_alias", "first")
# The keys were seen on created contacts; what stands under them was not [unverified].
_SET_BY_SERVICE = {"initialReference": "api", "timezone": "Etc/UTC"}
_DEFINED_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REQUIRED_OF_DEFINITIONS = ("key", "displayName", "cardinality", "type", "pii", "readOnly")


class Contacts:
    """`/contacts` and `/attribute-definitions` of the workspace."""

    def __init__(self, store: Store, clock: Clock, faults: Faults, shown: Callable[[Iterable[str]], None]) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._shown = shown

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        yield Operation("GET", ROOT, self.page)
        yield Operation("POST", ROOT, self.create)
        yield Operation("POST", f"{ROOT}/search", self.search)
        # `:path`, because the server has decoded escaped slashes by now; the raw path is looked at below.
        by_identifier = f"{ROOT}/identifiers/{{key}}/{{value:path}}"
        yield Operation("PATCH", by_identifier, self.upsert)
        yield Operation("GET", by_identifier, self.read_by_identifier)
        yield Operation("GET", f"{ROOT}/{{contact}}", self.get)
        yield Operation("PATCH", f"{ROOT}/{{contact}}", self.update)
        yield Operation("DELETE", f"{ROOT}/{{contact}}", self.delete)
        yield Operation("GET", f"{ROOT}/{{contact}}/identifiers", self.identifiers)
        yield Operation("POST", f"{ROOT}/{{contact}}/identifiers", self.add_identifier)
        yield Operation("DELETE", f"{ROOT}/{{contact}}/identifiers", self.remove_identifier)
        yield Operation("GET", f"{ROOT}/{{contact}}/lists", self.lists)
        yield Operation("GET", DEFINITIONS, self.definitions)
        yield Operation("POST", DEFINITIONS, self.define)

    # -- contacts

    def page(self, incoming: Incoming) -> Response:
        """One page of contacts; on the last one the token is absent."""
        workspace = incoming.params["workspace"]
        contacts = list(self._store.contacts.values())
        shown, token = payloads.page(incoming).cut(contacts, lambda stored: shapes.contact(stored, workspace))
        self._faults.hold_back(shown, shapes.RELATIONS, one=False)
        return json_response({"results": shown} if token is None else {"results": shown, "nextPageToken": token})

    def create(self, incoming: Incoming) -> Response:
        """Create a contact; an identifier in use is a conflict."""
        body = payloads.body_object(incoming)
        name = body.get("displayName")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
            raise refuse(422, f"displayName must have 1 to {MAX_NAME} characters")
        now = self._clock.now()
        identifiers = [payloads.new_identifier(raw, now) for raw in payloads.array(body, "identifiers")]
        attributes = payloads.attributes(body, self._read_only())
        lists = self._known_lists(payloads.uuids(body, "listIds", at_least=1))
        accounts = payloads.uuids(body, "accountIds", at_least=1)
        if any(self._store.owner(identifier.key, identifier.value) for identifier in identifiers):
            raise refuse(409, "a contact with this identifier exists")
        contact = self._store.create(now)
        contact.attributes = {"displayName": name, **_set(attributes), **_SET_BY_SERVICE}
        contact.account_ids = dict.fromkeys(accounts)
        for identifier in identifiers:
            self._store.add_identifier(contact, identifier)
        for list_id in lists:
            self._store.join(list_id, contact)
        return self._answer(contact, incoming, 201)

    def get(self, incoming: Incoming) -> Response:
        """One contact."""
        contact = self._store.contacts.get(incoming.params["contact"])
        if contact is None:
            raise refuse(404, "contact not found")
        answer = self._answer(contact, incoming)
        self._shown([contact.id])
        return answer

    def delete(self, incoming: Incoming) -> Response:
        """Delete a contact."""
        contact = self._living(incoming)
        if self._faults.take("stale-reads"):
            self._store.delete_later(contact, self._clock.now() + STALE_FOR)
        else:
            self._store.delete(contact)
        return Response(status_code=204)

    def search(self, incoming: Incoming) -> Response:
        """Exactly one identifier; no match is an empty array."""
        key, value = payloads.identifier_ref(payloads.body_object(incoming).get("identifier"))
        contact = self._store.find(key, value)
        everyone = self._store.contacts.values()
        found = self._faults.look_up([contact] if contact else [], everyone, [value], _values)
        shown = [shapes.contact(stored, incoming.params["workspace"]) for stored in found]
        self._faults.hold_back(shown, shapes.RELATIONS, one=False)
        answer = json_response({"results": shown})
        self._shown([stored.id for stored in found])
        return answer

    def update(self, incoming: Incoming) -> Response:
        """Change a contact."""
        contact = self._living(incoming)
        self._change(contact, payloads.body_object(incoming))
        return self._answer(contact, incoming)

    def upsert(self, incoming: Incoming) -> Response:
        """Change the contact that has an identifier, or create it (201)."""
        key, value = incoming.params["key"], incoming.params["value"]
        # Seen: the value is not decoded before it is judged, so an escaped `@` is no address.
        if key == "emailaddress" and "%40" in incoming.raw_path:
            raise refuse(422, f"{incoming.raw_path.rpartition('/')[2]} is not a valid email address")
        now = self._clock.now()
        identifier = payloads.new_identifier({"key": key, "value": value}, now)
        body = payloads.body_object(incoming)
        contact = self._store.owner(key, value)
        if contact is not None:
            self._change(contact, body)
            return self._answer(contact, incoming)
        contact = self._store.create(now)
        contact.attributes = dict(_SET_BY_SERVICE)
        try:
            self._change(contact, body)
            self._store.add_identifier(contact, identifier)
        except Exception:
            self._store.delete(contact)  # nothing is created by a refused request
            raise
        return self._answer(contact, incoming, 201)

    def read_by_identifier(self, incoming: Incoming) -> Response:
        """Not for access keys."""
        raise refuse(403, "access to this resource is forbidden")

    def _change(self, contact: Contact, body: dict[str, Any]) -> None:
        strategy = body.get("strategy") or "strict_alias"
        if strategy not in STRATEGIES:
            raise refuse(422, f"strategy must be one of {', '.join(STRATEGIES)}")
        now = self._clock.now()
        attributes = payloads.attributes(body, self._read_only())
        if SUBSCRIBED.intersection(attributes) and self._faults.take("consent-ignored"):
            attributes = {name: value for name, value in attributes.items() if name not in SUBSCRIBED}
        refused = [name for name in SUBSCRIBED if contact.attributes.get(name) is False and name not in attributes]
        if refused and self._faults.take("resubscribes"):
            attributes = {**attributes, **dict.fromkeys(refused, True)}
        added = [payloads.new_identifier(raw, now) for raw in payloads.array(body, "addIdentifiers", 10)]
        removed = [payloads.identifier_ref(raw) for raw in payloads.array(body, "removeIdentifiers", 10)]
        lists = _Links(contact.list_ids, body, "listIds", "addToLists", "removeFromLists")
        accounts = _Links(contact.account_ids, body, "accountIds", "addToAccounts", "removeFromAccounts")
        self._known_lists(lists.wanted)
        owners = [self._store.owner(identifier.key, identifier.value) for identifier in added]
        if strategy == "strict_alias" and any(owner not in (None, contact) for owner in owners):
            raise refuse(409, "an identifier belongs to another contact")
        for key, value in removed:
            self._store.remove_identifier(contact, key, value)
        for identifier, owner in zip(added, owners, strict=True):
            if owner in (None, contact):
                self._store.add_identifier(contact, identifier)
        contact.attributes = _set(contact.attributes | attributes)
        for list_id in set(contact.list_ids) - set(lists.wanted):
            self._store.leave(list_id, contact)
        for list_id in lists.wanted:
            self._store.join(list_id, contact)
        contact.account_ids = dict.fromkeys(accounts.wanted)
        contact.updated_at = now

    # -- identifiers

    def identifiers(self, incoming: Incoming) -> Response:
        """One page of a contact's identifiers; on the last one the token is null."""
        contact = self._store.contacts.get(incoming.params["contact"])
        if contact is None:
            raise refuse(404, "contact not found")
        page = payloads.page(incoming)
        shown, token = page.cut(contact.identifiers, lambda stored: shapes.identifier(contact.id, stored))
        return json_response({"results": shown, "nextPageToken": token})

    def add_identifier(self, incoming: Incoming) -> Response:
        """Add an identifier to a contact."""
        contact, now = self._living(incoming), self._clock.now()
        identifier = payloads.new_identifier(payloads.body_object(incoming), now)
        if self._store.owner(identifier.key, identifier.value) is not None:
            raise refuse(409, "identifier is already in use")
        self._store.add_identifier(contact, identifier)
        contact.updated_at = now
        return json_response(shapes.identifier(contact.id, identifier), 201)

    def remove_identifier(self, incoming: Incoming) -> Response:
        """Remove the identifier that the body names."""
        contact = self._living(incoming)
        key, value = payloads.identifier_ref(payloads.body_object(incoming))
        if not self._store.remove_identifier(contact, key, value):
            raise refuse(404, "identifier not found")
        contact.updated_at = self._clock.now()
        return Response(status_code=204)

    def lists(self, incoming: Incoming) -> Response:
        """The lists that a contact is on."""
        contact = self._store.contacts.get(incoming.params["contact"])
        if contact is None:
            raise refuse(404, "contact not found")
        shown = [shapes.contact_list(self._store.lists[list_id]) for list_id in contact.list_ids]
        return json_response({"results": shown, "nextPageToken": None})

    # -- attribute definitions

    def definitions(self, incoming: Incoming) -> Response:
        """One page of attribute definitions."""
        page = payloads.page(incoming)
        shown, token = page.cut(list(self._store.definitions.values()), lambda definition: definition)
        return json_response({"results": shown, "nextPageToken": token})

    def define(self, incoming: Incoming) -> Response:
        """Define an attribute."""
        body = payloads.body_object(incoming)
        for name in _REQUIRED_OF_DEFINITIONS:
            if name not in body:
                raise refuse(422, f"{name} is required")
        if not isinstance(body["key"], str) or not _DEFINED_KEY.fullmatch(body["key"]):
            raise refuse(422, "key must have 1 to 64 letters, digits, underscores and hyphens")
        if not isinstance(body["displayName"], str) or not 1 <= len(body["displayName"]) <= MAX_NAME:
            raise refuse(422, f"displayName must have 1 to {MAX_NAME} characters")
        for name in ("pii", "readOnly"):
            if not isinstance(body[name], bool):
                raise refuse(422, f"{name} must be true or false")
        if body["cardinality"] not in ("one", "many") or body["type"] not in (
            "boolean",
            "datetime",
            "number",
            "string",
        ):
            raise refuse(422, "cardinality or type is not valid")
        if body["key"] in self._store.definitions:
            raise refuse(409, "an attribute with this key exists")
        return json_response(self.add_definition(body, self._clock.now()), 201)

    def add_definition(self, fields: dict[str, Any], now: datetime, *, builtin: bool = False) -> dict[str, Any]:
        """Add an attribute definition, as the workspace's owner would."""
        stamp = millisecond(now)
        state = {"builtin": builtin, "archived": False, "version": 1, "createdAt": stamp, "updatedAt": stamp}
        definition = {"id": self._store.new_id(), **fields, **state}
        self._store.definitions[fields["key"]] = definition
        return definition

    def _read_only(self) -> list[str]:
        return [key for key, definition in self._store.definitions.items() if definition.get("readOnly")]

    def _living(self, incoming: Incoming) -> Contact:
        contact = self._store.living(incoming.params["contact"])
        if contact is None:
            raise refuse(404, "contact not found")
        return contact

    def _known_lists(self, list_ids: list[str]) -> list[str]:
        for list_id in list_ids:
            if list_id not in self._store.lists:
                raise refuse(422, f"list {list_id} does not exist")
        return list_ids

    def _answer(self, contact: Contact, incoming: Incoming, status: int = 200) -> Response:
        asked = incoming.query.getlist("attribute")
        shape = shapes.contact(contact, incoming.params["workspace"], asked)
        self._faults.hold_back([shape], shapes.RELATIONS, one=True)
        return json_response(shape, status)


class _Links:
    """The lists or accounts of a contact after a change: replaced, then added to, then taken from."""

    def __init__(self, present: dict[str, None], body: dict[str, Any], replace: str, add: str, remove: str) -> None:
        start = payloads.uuids(body, replace) if replace in body else list(present)
        removed = payloads.uuids(body, remove)
        self.wanted = [link for link in dict.fromkeys((*start, *payloads.uuids(body, add))) if link not in removed]


def _values(contact: Contact) -> Iterable[str]:
    return (identifier.value for identifier in contact.identifiers)


def _set(attributes: dict[str, Any]) -> dict[str, Any]:
    """Only non-empty attributes are kept; null removes one."""
    return {key: value for key, value in attributes.items() if value is not None}
