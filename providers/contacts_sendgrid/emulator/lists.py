"""Operations on lists and on field definitions."""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime

from starlette.responses import Response

from contacts_core.emulator import Incoming, Operation, Refused, json_response
from contacts_sendgrid.emulator import shapes
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.contacts import SEARCH_CAP, body_object, comma_list
from contacts_sendgrid.emulator.errors import refuse, refuse_flat
from contacts_sendgrid.emulator.store import READ_ONLY_FIELDS, ContactList, Field, Results

MAX_LIST_NAME = 100
MAX_PAGE = 1000
DEFAULT_PAGE = 100
MAX_FIELDS = 500

_WRITABLE = (
    *("first_name", "last_name", "email", "alternate_emails", "address_line_1", "address_line_2", "city"),
    *(
        "state_province_region",
        "postal_code",
        "country",
        "phone_number",
        "whatsapp",
        "line",
        "facebook",
        "unique_name",
    ),
)
_LATE = ("phone_number_id", "external_id", "anonymous_id", "list_ids", "segment_ids")
RESERVED_FIELDS: tuple[tuple[str, str, str, bool], ...] = (
    *((f"_rf{n}_T", name, "Text", False) for n, name in enumerate(_WRITABLE)),
    *((f"_rf{n}_{kind[0]}", name, kind, True) for n, (name, kind) in enumerate(READ_ONLY_FIELDS, 15)),
    *((f"_rf{n}_T", name, "Text", False) for n, name in enumerate(_LATE, 24)),
)
_RESERVED_NAMES = {name for _, name, _, _ in RESERVED_FIELDS}
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Lists:
    """`/v3/marketing/lists` and `/v3/marketing/field_definitions`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._fields_made = 0

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        root = "/v3/marketing/lists"
        yield Operation("GET", root, self.page)
        yield Operation("POST", root, self.create)
        yield Operation("GET", f"{root}/{{id}}", self.get)
        yield Operation("PATCH", f"{root}/{{id}}", self.rename)
        yield Operation("DELETE", f"{root}/{{id}}", self.delete)
        yield Operation("GET", f"{root}/{{id}}/contacts/count", self.count)
        yield Operation("DELETE", f"{root}/{{id}}/contacts", self.remove_contacts)
        yield Operation("GET", "/v3/marketing/segments/2.0", self.segments)
        fields = "/v3/marketing/field_definitions"
        yield Operation("GET", fields, self.fields)
        yield Operation("POST", fields, self.create_field)
        yield Operation("PATCH", f"{fields}/{{id}}", self.rename_field)
        yield Operation("DELETE", f"{fields}/{{id}}", self.delete_field)

    # -- lists

    def add(self, name: str) -> ContactList:
        """Add a list, as the account's owner would."""
        created = ContactList(self._account.new_id(), name)
        self._store.lists[created.id] = created
        return created

    def page(self, incoming: Incoming) -> Response:
        """One page of lists; the last page has no `next`."""
        size, start = _page_size(incoming), _page_start(incoming)
        lists = list(self._store.lists.values())
        token = incoming.query.get("page_token", "")
        link = f"{incoming.base_url}/v3/marketing/lists?page_size={size}&page_token="
        metadata: shapes.Json = {"self": link + token, "count": len(lists)}
        if start + size < len(lists):
            metadata["next"] = link + _page_token(start + size)
        shown = [shapes.contact_list(stored, incoming.base_url) for stored in lists[start : start + size]]
        return json_response({"result": shown, "_metadata": metadata})

    def segments(self, incoming: Incoming) -> Response:
        """Every segment; they are made in the dashboard, and there is one for each list."""
        each = [
            shapes.segment(stored, n, self._account.clock.now()) for n, stored in enumerate(self._store.lists.values())
        ]
        return json_response({"results": each})

    def create(self, incoming: Incoming) -> Response:
        """Create a list."""
        created = self.add(_list_name(incoming))
        return json_response(shapes.contact_list(created, incoming.base_url), 201)

    def get(self, incoming: Incoming) -> Response:
        """One list, with a sample of its members if asked; its 404 is a bare array."""
        stored = self._store.lists.get(incoming.params["id"])
        if stored is None:
            raise Refused(json_response([{"field": "id", "message": "list not found"}], 404))
        shape = shapes.contact_list(stored, incoming.base_url)
        shape["identifier_counts"] = self._store.identifier_counts_of(stored)
        if incoming.query.get("contact_sample") == "true":
            members = [self._store.contacts[member] for member in list(stored.members)[:SEARCH_CAP]]
            sample = [shapes.contact(self._store, member, incoming.base_url) for member in members]
            self._account.faults.hold_back(sample, shapes.RELATIONS, one=False)
            shape["contact_sample"] = sample
        return json_response(shape)

    def rename(self, incoming: Incoming) -> Response:
        """Rename a list."""
        stored = self._list(incoming)
        stored.name = _list_name(incoming)
        return json_response(shapes.contact_list(stored, incoming.base_url))

    def delete(self, incoming: Incoming) -> Response:
        """Delete a list; its contacts stay unless they are asked for, which takes a job."""
        members = self._store.delete_list(self._list(incoming).id)
        if incoming.query.get("delete_contacts") != "true":
            return Response(status_code=204)
        accepted = self._account.accept("delete_contacts", len(members), self._account.deletion(members))
        accepted.status_code = 200
        return accepted

    def count(self, incoming: Incoming) -> Response:
        """How many contacts a list has."""
        members = len(self._list(incoming).members)
        return json_response({"contact_count": members, "billable_count": members})

    def remove_contacts(self, incoming: Incoming) -> Response:
        """Queue the removal of contacts from a list; ids in a JSON body are not seen."""
        ids = comma_list(incoming.query.get("contact_ids"))
        if not ids:
            raise refuse_flat(400, "contact_ids should be supplied as query param", "contact_ids")
        stored = self._list(incoming)
        if any(contact_id not in self._store.contacts for contact_id in ids):
            raise refuse(404, "list or one or more contact ids do not exist")
        ignored = self._account.faults.take("list-removal-ignored")

        def effect(_: datetime) -> Results:
            removed = 0 if ignored or stored.id not in self._store.lists else self._store.leave(stored.id, ids)
            return Results(len(ids), updated=len(ids) if ignored else removed)

        return self._account.accept("remove_from_list", len(ids), effect)

    def _list(self, incoming: Incoming) -> ContactList:
        stored = self._store.lists.get(incoming.params["id"])
        if stored is None:
            raise refuse(404, "list not found", "id")
        return stored

    # -- field definitions

    def add_field(self, name: str, kind: str, created_at: datetime) -> Field:
        """Add a custom field, as the account's owner would."""
        self._fields_made += 1
        field = Field(f"e{self._fields_made}_{kind[0]}", name, kind, created_at)
        self._store.fields[field.id] = field
        return field

    def fields(self, incoming: Incoming) -> Response:
        """All custom and reserved fields."""
        reserved: list[shapes.Json] = []
        for field_id, name, kind, read_only in RESERVED_FIELDS:
            flag = {"read_only": True} if read_only else {}
            reserved.append({"id": field_id, "name": name, "field_type": kind, **flag})
        custom = [shapes.field(field, incoming.base_url) for field in self._store.fields.values()]
        link = {"self": f"{incoming.base_url}{incoming.path}"}
        return json_response({"custom_fields": custom, "reserved_fields": reserved, "_metadata": link})

    def create_field(self, incoming: Incoming) -> Response:
        """Define a custom field."""
        body = body_object(incoming)
        name, kind = self._free_name(body.get("name")), body.get("field_type")
        if kind not in ("Text", "Number", "Date"):
            raise refuse(400, "field_type must be Text, Number or Date", "field_type")
        if len(self._store.fields) >= MAX_FIELDS:
            raise refuse(400, f"at most {MAX_FIELDS} custom fields")
        field = self.add_field(name, kind, self._account.clock.now())
        return json_response(shapes.field(field, incoming.base_url))

    def rename_field(self, incoming: Incoming) -> Response:
        """Rename a custom field."""
        field = self._field(incoming)
        field.name = self._free_name(body_object(incoming).get("name"))
        return json_response(shapes.field(field, incoming.base_url))

    def delete_field(self, incoming: Incoming) -> Response:
        """Delete a custom field with all its values."""
        self._store.delete_field(self._field(incoming).id)
        return Response(status_code=204)

    def _field(self, incoming: Incoming) -> Field:
        field = self._store.fields.get(incoming.params["id"])
        if field is None:
            raise refuse(404, "field not found", "custom_field_id")
        return field

    def _free_name(self, name: object) -> str:
        if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
            raise refuse(400, "name must be letters, digits and underscores", "name")
        taken = {field.name.lower() for field in self._store.fields.values()} | _RESERVED_NAMES
        if name.lower() in taken:
            raise refuse(400, f"name '{name}' is taken", "name")
        return name


def _list_name(incoming: Incoming) -> str:
    name = body_object(incoming).get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_LIST_NAME:
        raise refuse(400, f"name must have 1 to {MAX_LIST_NAME} characters", "name")
    return name


def _page_size(incoming: Incoming) -> int:
    text = incoming.query.get("page_size", str(DEFAULT_PAGE))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise refuse(400, f"page_size must be 1 to {MAX_PAGE}", "page_size")
    return int(text)


def _page_token(start: int) -> str:
    return base64.urlsafe_b64encode(f"lists/{start}".encode()).decode()


def _page_start(incoming: Incoming) -> int:
    token = incoming.query.get("page_token", "")
    if not token:
        return 0
    try:
        start = re.fullmatch("lists/([0-9]{1,9})", base64.urlsafe_b64decode(token).decode())
    except (binascii.Error, ValueError):
        start = None
    if start is None:
        raise refuse(400, "page_token is not valid", "page_token")
    return int(start[1])
