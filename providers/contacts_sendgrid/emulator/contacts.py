"""Operations on contacts: upsert, delete, read, count, search."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from starlette.responses import Response

from contacts_core.emulator import Incoming, Operation, Refused, json_array, json_object, json_response
from contacts_sendgrid.emulator import sgql, shapes
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.errors import html, refuse, refuse_empty, refuse_flat
from contacts_sendgrid.emulator.items import normalized
from contacts_sendgrid.emulator.store import EFFECT_AFTER, IDENTIFIERS, TEXT_FIELDS, Contact, Results, valid_email

MAX_BODY = 6_000_000
MAX_LOOKUPS = 100
SEARCH_CAP = 50

_BODY_TYPES = {
    "EMAIL": "email",
    "PHONENUMBERID": "phone_number_id",
    "EXTERNALID": "external_id",
    "ANONYMOUSID": "anonymous_id",
}
_NEITHER_OR_BOTH = "either 'ids' OR 'delete_all_contacts' should be supplied as query param"


def comma_list(text: str | None) -> list[str]:
    """The ids of a query parameter; the documentation's own example has a space behind the comma."""
    return [part for part in (part.strip() for part in (text or "").split(",")) if part]


def body_object(incoming: Incoming) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    body = json_object(incoming.json())
    if body is None:
        raise refuse(400, "invalid json")
    return body


class Contacts:
    """`/v3/marketing/contacts` without its imports and exports."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        root = "/v3/marketing/contacts"
        yield Operation("PUT", root, self.upsert)
        yield Operation("DELETE", root, self.delete)
        yield Operation("GET", root, self.sample)
        yield Operation("GET", f"{root}/count", self.count)
        yield Operation("POST", f"{root}/batch", self.batch)
        yield Operation("POST", f"{root}/search", self.search)
        yield Operation("POST", f"{root}/search/emails", self.search_emails)
        yield Operation("POST", f"{root}/search/identifiers/{{kind}}", self.search_identifiers)
        yield Operation("DELETE", f"{root}/{{id}}/identifiers", self.delete_identifier)
        yield Operation("GET", f"{root}/{{id}}", self.get)

    def upsert(self, incoming: Incoming) -> Response:
        """Queue an upsert; what is wrong with the request itself is said at once."""
        if len(incoming.body) > MAX_BODY:
            raise Refused(html(413, "Request Entity Too Large"))
        body = body_object(incoming)
        items = normalized(self._account, body.get("contacts"), body.get("list_ids"))

        def effect(due: datetime) -> Results:
            return apply_items(self._account, items, due)

        return self._account.accept("upsert_contacts", len(items), effect)

    def delete(self, incoming: Incoming) -> Response:
        """Queue the deletion of some contacts, or of all."""
        ids = comma_list(incoming.query.get("ids"))
        everything = incoming.query.get("delete_all_contacts") == "true"
        if bool(ids) == everything:
            raise refuse_flat(400, _NEITHER_OR_BOTH, "ids/delete_all_contacts")
        chosen = list(self._store.contacts) if everything else list(dict.fromkeys(ids))
        return self._account.accept("delete_contacts", len(chosen), self._account.deletion(chosen))

    def delete_identifier(self, incoming: Incoming) -> Response:
        """Queue the removal of one identifier; the last one is refused by the job, not by this answer."""
        body = body_object(incoming)
        kind, value = _BODY_TYPES.get(str(body.get("identifier_type"))), body.get("identifier_value")
        if kind is None:
            raise refuse(400, "identifier_type is not valid", "identifier_type")
        if not isinstance(value, str) or not value:
            raise refuse(400, "identifier_value is required", "identifier_value")
        contact_id = incoming.params["id"]
        if contact_id not in self._store.contacts:
            raise refuse(404, "contact not found")

        def effect(due: datetime) -> Results:
            results = Results(1)
            try:
                self._store.remove_identifier(self._store.contacts[contact_id], kind, value, due)
                results.deleted = 1
            except (KeyError, ValueError) as problem:
                results.errors.append((value, str(problem)))
            return results

        return self._account.accept("delete_identifier", 1, effect)

    def sample(self, incoming: Incoming) -> Response:
        """Up to 50 recent contacts, sorted by email; no paging."""
        recent = sorted(self._store.contacts.values(), key=lambda contact: contact.updated_at)[-SEARCH_CAP:]
        recent.sort(key=lambda contact: contact.identifiers.get("email", ""))
        shown = [shapes.sampled_contact(self._store, contact, incoming.base_url) for contact in recent]
        self._hold_back(shown)
        return json_response(_results(incoming, shown, len(self._store.contacts)))

    def get(self, incoming: Incoming) -> Response:
        """One contact; the 404 has no body."""
        contact = self._store.contacts.get(incoming.params["id"])
        if contact is None:
            raise refuse_empty(404)
        shape = self._shape(contact, incoming)
        self._hold_back([shape], one=True)
        self._account.shown([contact.id])
        return json_response(shape)

    def batch(self, incoming: Incoming) -> Response:
        """Contacts by id; unknown ids are left out."""
        ids = self._looked_up(incoming, "ids")
        known = [
            self._store.contacts[contact_id] for contact_id in dict.fromkeys(ids) if contact_id in self._store.contacts
        ]
        shown = [self._shape(contact, incoming) for contact in known]
        self._hold_back(shown)
        self._account.shown([contact.id for contact in known])
        return json_response({"result": shown})

    def count(self, incoming: Incoming) -> Response:
        """Counts; deleted contacts stay in the billable one."""
        counts = {"contact_count": len(self._store.contacts), "billable_count": self._store.billable}
        return json_response({**counts, "identifier_counts": self._store.identifier_counts()})

    def search(self, incoming: Incoming) -> Response:
        """SGQL; at most 50 contacts come back, and the count is of all that match."""
        body = body_object(incoming)
        if "page_size" in body:
            raise refuse(400, "page_size is not supported", "page_size")
        text = body.get("query")
        if not isinstance(text, str):
            raise refuse(400, "query is required", "query")
        try:
            query = sgql.parse(text, self._field_types(), self._account.clock.now())
        except sgql.SgqlError as problem:
            raise refuse(400, f"invalid query: {problem}", "query") from None
        if query.email is not None:
            found = [contact] if (contact := self._store.find("email", query.email)) else []
        else:
            found = [contact for contact in self._store.contacts.values() if query.matches(self._lookup(contact))]
        found = self._account.faults.look_up(found, self._store.contacts.values(), query.texts, _values)
        first = found[:SEARCH_CAP]
        if query.email is not None:
            shown = [{**self._shape(contact, incoming), "segment_ids": None} for contact in first]
        else:
            shown = [shapes.searched_contact(self._store, contact, incoming.base_url) for contact in first]
        self._hold_back(shown)
        self._account.shown([contact.id for contact in first])
        return json_response(_results(incoming, shown, len(found)))

    def search_emails(self, incoming: Incoming) -> Response:
        """By primary or alternate email; the result is keyed in lower case."""
        emails = self._looked_up(incoming, "emails")
        for email in emails:
            if not valid_email(email):
                raise refuse(400, f"email '{email}' is not valid", "emails")
        found = self._looked_over({email.lower(): self._store.find_by_any_email(email.lower()) for email in emails})
        if not any(found.values()):
            raise refuse(404, "contacts not found")
        return self._found(found, incoming)

    def search_identifiers(self, incoming: Incoming) -> Response:
        """By one kind of identifier; failures are flat here."""
        kind = incoming.params["kind"]
        if kind not in IDENTIFIERS:
            raise refuse_flat(400, f"invalid identifier type '{kind}'", "identifier_type")
        values = self._looked_up(incoming, "identifiers", flat=True)
        if kind == "email":
            values = [value.lower() for value in values]
        found = self._looked_over({value: self._store.find(kind, value) for value in values}, kind)
        if not any(found.values()):
            raise refuse_flat(404, "contacts not found", "identifiers")
        return self._found(found, incoming)

    def _looked_up(self, incoming: Incoming, name: str, *, flat: bool = False) -> list[str]:
        values = json_array(body_object(incoming).get(name))
        if not values or not all(isinstance(value, str) and value for value in values):
            message = f"{name} must be an array of strings"
        elif len(values) > MAX_LOOKUPS:
            message = f"{name} must hold at most {MAX_LOOKUPS} items"
        else:
            return values
        raise refuse_flat(400, message, name) if flat else refuse(400, message, name)

    def _looked_over(self, found: dict[str, Contact | None], kind: str = "email") -> dict[str, Contact | None]:
        """A look-up by value as it is, or with others in it where a fault says so: also under values not asked for."""
        exact = [contact for contact in found.values() if contact]
        shown = self._account.faults.look_up(exact, self._store.contacts.values(), found, _values)
        if shown == exact:
            return found
        others = {value: contact for contact in shown if (value := contact.identifiers.get(kind))}
        return {value: others.get(value) or next(iter(shown), None) for value in found} | others

    def _found(self, found: dict[str, Contact | None], incoming: Incoming) -> Response:
        contacts = {value: self._shape(contact, incoming) for value, contact in found.items() if contact}
        self._hold_back(list(contacts.values()))
        self._account.shown([contact.id for contact in found.values() if contact])
        result = {
            value: {"contact": contacts[value]} if value in contacts else {"error": "contact not found"}
            for value in found
        }
        return json_response({"result": result})

    def _hold_back(self, shown: list[shapes.Json], *, one: bool = False) -> None:
        self._account.faults.hold_back(shown, shapes.RELATIONS, one=one)

    def _shape(self, contact: Contact, incoming: Incoming) -> shapes.Json:
        return shapes.contact(self._store, contact, incoming.base_url)

    def _field_types(self) -> dict[str, str]:
        types = dict.fromkeys((*IDENTIFIERS, *TEXT_FIELDS, "contact_id"), sgql.STRING)
        types |= dict.fromkeys(("list_ids", "segment_ids", "alternate_emails", "email_domains"), sgql.ARRAY)
        types |= dict.fromkeys(("created_at", "updated_at"), sgql.TIME)
        kinds = {"Text": sgql.STRING, "Number": sgql.NUMBER, "Date": sgql.TIME}
        return types | {field.name: kinds[field.kind] for field in self._store.fields.values()}

    def _lookup(self, contact: Contact) -> sgql.Lookup:
        by_name = {field.name: field for field in self._store.fields.values()}

        def lookup(name: str) -> Any:
            if field := by_name.get(name):
                value = contact.custom.get(field.id)
                return datetime.fromisoformat(value) if field.kind == "Date" and value else value
            return _attribute(contact, name)

        return lookup


def _attribute(contact: Contact, name: str) -> Any:
    match name:
        case "contact_id":
            return contact.id
        case "list_ids":
            return contact.list_ids
        case "segment_ids":
            return ()
        case "alternate_emails":
            return contact.alternate_emails
        case "email_domains":
            emails = (contact.identifiers.get("email", ""), *contact.alternate_emails)
            return [email.partition("@")[2] for email in emails if email]
        case "created_at":
            return contact.created_at
        case "updated_at":
            return contact.updated_at
        case _:
            return contact.identifiers.get(name) or contact.text.get(name) or None


def _values(contact: Contact) -> Iterable[str]:
    return (*contact.identifiers.values(), *contact.alternate_emails)


def _results(incoming: Incoming, shown: list[shapes.Json], count: int) -> shapes.Json:
    link = {"self": f"{incoming.base_url}{incoming.path}"}
    return {"result": shown, "contact_count": count, "_metadata": link}


def apply_items(account: Account, items: list[dict[str, Any]], due: datetime) -> Results:
    """Upsert items one by one; an item that contradicts stored identifiers is an error of that item."""
    results = Results(len(items))
    for item in items:
        try:
            if account.store.upsert(item, account.new_id, due, due - EFFECT_AFTER):
                results.created += 1
            else:
                results.updated += 1
            account.written(item)
        except ValueError as problem:
            named = next((item[kind] for kind in IDENTIFIERS if item.get(kind)), "")
            results.errors.append((named, str(problem)))
    return results
