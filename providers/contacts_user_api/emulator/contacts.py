"""Operations on contacts."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from starlette.responses import Response

from contacts_core.emulator import Clock, Faults, Incoming, Operation, json_response
from contacts_user_api.emulator import payloads, shapes
from contacts_user_api.emulator.errors import refuse
from contacts_user_api.emulator.store import LINKED, STALE_FOR, Contact, Store

ROOT = "/user-api/v1/contacts"
ORDERS = ("updated_at", "created_at", "last_team_interaction", "full_name")
# The default order is documented nowhere; this one shifts while contacts are written, so paging must name another.
DEFAULT_ORDER = "updated_at:desc"

_TEXT = (
    *("first_name", "last_name", "title", "description", "location", "image_url", "website_url"),
    *("linkedin_slug", "x_slug", "facebook_slug", "instagram_slug"),
)
_NUMBERS = ("birthday_day", "birthday_month", "birthday_year")
_FLAGS = ("is_starred", "ignore_merge")


class Contacts:
    """`/contacts` of the workspace."""

    def __init__(self, store: Store, clock: Clock, faults: Faults, shown: Callable[[Iterable[str]], None]) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._shown = shown

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        yield Operation("GET", ROOT, self.page)
        yield Operation("POST", ROOT, self.create)
        yield Operation("GET", f"{ROOT}/{{id}}", self.get)
        yield Operation("PUT", f"{ROOT}/{{id}}", self.update)
        yield Operation("DELETE", f"{ROOT}/{{id}}", self.delete)

    def page(self, incoming: Incoming) -> Response:
        """One page of contacts."""
        include, page = payloads.include(incoming, shapes.RELATIONS), payloads.page(incoming)
        key, descending = payloads.order(incoming, ORDERS, DEFAULT_ORDER)
        ordered = self._ordered(key, descending=descending)
        shown = ordered[page.offset : page.offset + page.limit]
        data = self._shapes(shown, include, one=False)
        pagination = {"limit": page.limit, "offset": page.offset, "total": len(ordered)}
        return json_response({"pagination": pagination, "data": data})

    def _ordered(self, key: str, *, descending: bool) -> list[Contact]:
        contacts = list(self._store.contacts.values())
        if key == "full_name":
            return sorted(contacts, key=lambda contact: contact.full_name, reverse=descending)
        if key == "updated_at":
            return sorted(contacts, key=lambda contact: contact.updated_at, reverse=descending)
        # Contacts are kept in the order of their creation, and nobody has interacted with any.
        return contacts[::-1] if descending else contacts

    def create(self, incoming: Incoming) -> Response:
        """Create a contact; the answer has all its relations."""
        body = payloads.body_object(incoming)
        if not isinstance(body.get("first_name"), str) or not body["first_name"]:
            raise refuse(422, "first_name is required")
        now = self._clock.now()
        contact = Contact("", now, now)
        change = self._change(contact, body)
        contact.id = self._store.new_id("contact")
        self._store.contacts[contact.id] = contact
        self._apply(contact, change, now)
        return json_response({"data": self._shapes([contact], shapes.RELATIONS, one=False)[0]}, 201)

    def get(self, incoming: Incoming) -> Response:
        """One contact."""
        contact = self._store.contacts.get(incoming.params["id"])
        if contact is None:
            raise refuse(404, "contact not found")
        answer = self._answer(contact, incoming)
        self._shown([contact.id])
        return answer

    def update(self, incoming: Incoming) -> Response:
        """Change a contact: scalars that are sent, and relations that are sent as a whole."""
        contact = self._living(incoming)
        change = self._change(contact, payloads.body_object(incoming))
        include = payloads.include(incoming, shapes.RELATIONS)
        self._apply(contact, change, self._clock.now())
        return json_response({"data": self._shapes([contact], include, one=True)[0]})

    def delete(self, incoming: Incoming) -> Response:
        """Delete a contact; the answer is what was deleted."""
        contact = self._living(incoming)
        answer = self._answer(contact, incoming)
        if self._faults.take("stale-reads"):
            self._store.delete_later(contact, self._clock.now() + STALE_FOR)
        else:
            self._store.delete(contact)
        return answer

    def _change(self, contact: Contact, body: dict[str, Any]) -> dict[str, Any]:
        """What a body asks for, checked as a whole before anything is changed."""
        records = self._store.records
        change: dict[str, Any] = {"scalars": contact.scalars | _scalars(body)}
        if "emails" in body:
            change["emails"] = payloads.emails(body["emails"], self._store)
        if "phone_numbers" in body:
            change["phone_numbers"] = payloads.phone_numbers(body["phone_numbers"], self._store)
        if "companies" in body:
            known = records["companies"]
            change["companies"] = payloads.companies(body["companies"], contact.companies, known)
        if "lists" in body:
            known_lists = [key for key, record in records["lists"].items() if record.values["type"] == "CONTACT"]
            change["lists"] = payloads.ids(body["lists"], "lists", known_lists)
        for kind in ("tags", "notes"):
            if kind in body:
                change[kind] = payloads.ids(body[kind], kind, records[kind])
        if "custom_fields" in body:
            change["custom_fields"] = payloads.custom_fields(body["custom_fields"], records["custom_fields"])
        return change

    def _apply(self, contact: Contact, change: dict[str, Any], now: datetime) -> None:
        if "lists" in change and self._faults_ignore_removal(contact, change["lists"]):
            del change["lists"]
        for name, value in change.items():
            if name in LINKED:
                self._store.link(contact, name, value)
            else:
                setattr(contact, name, value)
        contact.updated_at = now

    def _faults_ignore_removal(self, contact: Contact, wanted: dict[str, None]) -> bool:
        return bool(contact.lists.keys() - wanted.keys()) and self._faults.take("list-removal-ignored")

    def _living(self, incoming: Incoming) -> Contact:
        contact = self._store.living(incoming.params["id"])
        if contact is None:
            raise refuse(404, "contact not found")
        return contact

    def _answer(self, contact: Contact, incoming: Incoming) -> Response:
        include = payloads.include(incoming, shapes.RELATIONS)
        return json_response({"data": self._shapes([contact], include, one=True)[0]})

    def _shapes(self, contacts: Iterable[Contact], include: Iterable[str], *, one: bool) -> list[shapes.Json]:
        made = [shapes.contact(self._store, contact, frozenset(include)) for contact in contacts]
        self._faults.hold_back(made, shapes.RELATIONS, one=one)
        wrapped = [relation for shape in made for relation in shapes.WRAPPED if shape.get(relation)]
        if wrapped and self._faults.take("flat-lists"):
            for shape in made:
                for relation, word in shapes.WRAPPED.items():
                    shape.update({relation: [item[word] for item in shape[relation]]} if shape.get(relation) else {})
        return made


def _scalars(body: dict[str, Any]) -> dict[str, Any]:
    """Scalar fields of a body; what is computed or unknown is ignored."""
    scalars = {name: body[name] for name in (*_TEXT, *_NUMBERS, *_FLAGS) if name in body}
    for name, value in scalars.items():
        kind: type = str if name in _TEXT else bool if name in _FLAGS else int
        if (not isinstance(value, kind) or (kind is int and isinstance(value, bool))) and (
            value is not None or name in ("first_name", *_FLAGS)
        ):
            raise refuse(422, f"{name} is not valid")
    return scalars
