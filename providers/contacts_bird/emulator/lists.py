"""Operations on lists and their members."""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from contacts_bird.emulator import payloads, shapes
from contacts_bird.emulator.errors import refuse
from contacts_bird.emulator.store import Contact, ContactList, Store
from contacts_core.emulator import Clock, Faults, Incoming, Operation, json_response

ROOT = "/workspaces/{workspace}/lists"
MAX_MEMBERS = 100
NON_MEMBERS_COUNT = False  # [unverified] whether taking someone off a list that they are not on counts as processed

_WRITABLE = ("name", "description", "consentType", "tags", "isProof")


class Lists:
    """`/lists` of the workspace."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        yield Operation("GET", ROOT, self.all)
        yield Operation("POST", ROOT, self.create)
        yield Operation("GET", f"{ROOT}/{{list}}", self.get)
        yield Operation("PATCH", f"{ROOT}/{{list}}", self.update)
        yield Operation("DELETE", f"{ROOT}/{{list}}", self.delete)
        yield Operation("GET", f"{ROOT}/{{list}}/contacts", self.contacts)
        yield Operation("POST", f"{ROOT}/{{list}}/contacts", self.add_contacts)
        yield Operation("DELETE", f"{ROOT}/{{list}}/contacts", self.remove_contacts)

    def add(self, fields: dict[str, Any]) -> ContactList:
        """Add a list, as the workspace's owner would."""
        now = self._clock.now()
        created = ContactList(self._store.new_id(), {**dict.fromkeys(_WRITABLE), **fields}, now, now)
        self._store.lists[created.id] = created
        return created

    def all(self, incoming: Incoming) -> Response:
        """All lists of the workspace; the page token is there, and empty."""
        shown = [shapes.contact_list(stored) for stored in self._store.lists.values()]
        return json_response({"results": shown, "nextPageToken": ""})

    def create(self, incoming: Incoming) -> Response:
        """Create a list."""
        fields = _fields(incoming)
        if "name" not in fields:
            raise refuse(422, "name is required")
        return json_response(shapes.contact_list(self.add(fields)), 201)

    def get(self, incoming: Incoming) -> Response:
        """One list."""
        return json_response(shapes.contact_list(self._list(incoming)))

    def update(self, incoming: Incoming) -> Response:
        """Change a list."""
        stored = self._list(incoming)
        stored.fields.update(_fields(incoming))
        stored.updated_at = self._clock.now()
        return json_response(shapes.contact_list(stored))

    def delete(self, incoming: Incoming) -> Response:
        """Delete a list and keep its contacts."""
        self._store.delete_list(self._list(incoming))
        return Response(status_code=204)

    def contacts(self, incoming: Incoming) -> Response:
        """One page of a list's contacts; on the last one the token is empty."""
        workspace = incoming.params["workspace"]
        members = list(self._store.members(self._list(incoming)))
        shown, token = payloads.page(incoming).cut(members, lambda stored: shapes.contact(stored, workspace))
        self._faults.hold_back(shown, shapes.RELATIONS, one=False)
        return json_response({"results": shown, "nextPageToken": token or ""})

    def add_contacts(self, incoming: Incoming) -> Response:
        """Add contacts to a list. The documentation of the removal prints this method by mistake; it adds."""
        stored = self._list(incoming)
        members = self._members(incoming)
        for contact in members:
            self._store.join(stored.id, contact)
        return json_response({"itemsProcessed": len(members)}, 201)

    def remove_contacts(self, incoming: Incoming) -> Response:
        """Take contacts off a list."""
        stored = self._list(incoming)
        members = self._members(incoming)
        if self._faults.take("list-removal-ignored"):
            return json_response({"itemsProcessed": len(members)})
        left = [self._store.leave(stored.id, contact) for contact in members]
        return json_response({"itemsProcessed": len(left) if NON_MEMBERS_COUNT else sum(left)})

    def _members(self, incoming: Incoming) -> list[Contact]:
        """The known contacts that a body names, each once; unknown ones are not processed [unverified]."""
        body = payloads.body_object(incoming)
        ids = payloads.uuids(body, "contacts", at_most=None)
        identifiers = [payloads.identifier_ref(raw) for raw in payloads.array(body, "identifiers")]
        if not 1 <= len(ids) + len(identifiers) <= MAX_MEMBERS:
            raise refuse(422, f"contacts and identifiers must be 1 to {MAX_MEMBERS} together")
        found = [self._store.living(contact_id) for contact_id in ids]
        found += [self._store.owner(key, value) for key, value in identifiers]
        members = list(dict.fromkeys(contact for contact in found if contact is not None))
        if self._faults.take("partial-items"):
            members = members[: len(members) // 2]
        return members

    def _list(self, incoming: Incoming) -> ContactList:
        stored = self._store.lists.get(incoming.params["list"])
        if stored is None:
            raise refuse(404, "list not found")
        return stored


def _fields(incoming: Incoming) -> dict[str, Any]:
    body = payloads.body_object(incoming)
    fields = {name: body[name] for name in _WRITABLE if name in body}
    name = fields.get("name", "valid")
    if not isinstance(name, str) or not 2 <= len(name) <= 256:
        raise refuse(422, "name must have 2 to 256 characters")
    if fields.get("consentType") not in (None, "single", "double"):
        raise refuse(422, "consentType must be single or double")
    if not isinstance(fields.get("description"), str | None):
        raise refuse(422, "description must be a string")
    if not isinstance(fields.get("isProof"), bool | None):
        raise refuse(422, "isProof must be true or false")
    payloads.uuids(body, "tags", at_most=None)
    return fields
