"""The user-api service as an ASGI emulator: its operations, key and default content."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any, ClassVar

from starlette.responses import Response

from contacts_core.emulator import Clock, Emulator, Faults, Incoming, Operation, Person, Truth, truth
from contacts_user_api.emulator import errors, payloads, shapes
from contacts_user_api.emulator.contacts import Contacts
from contacts_user_api.emulator.records import Records
from contacts_user_api.emulator.store import Contact, Position, Record, Store

API_KEY = "sandbox-user-key"
KEY_HEADER = "x-rolodex-api-key"


class UserApiEmulator(Emulator):
    """One workspace of the user-api service."""

    name = "user-api"
    title = "user-api (Rolodex CRM)"
    tells_truth = True
    own_faults: ClassVar = {
        "flat-lists": "lists, tags and notes of a contact stand without the object that is around them elsewhere",
    }

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        super().__init__(clock=clock, faults=faults, base_url=base_url, seed=seed, enforce_rates=enforce_rates)
        self.store = Store()
        self.contacts = Contacts(self.store, clock, faults, self.shown)
        self.records = Records(self.store, clock, faults)

    def settings(self) -> dict[str, str]:
        """The key that is accepted."""
        return {"api_key": API_KEY}

    def operations(self) -> Iterable[Operation]:
        """Everything that the service answers."""
        return chain(self.contacts.operations(), self.records.operations())

    def settle(self, now: datetime) -> None:
        """Stop showing deleted contacts whose time has come."""
        self.store.settle(now)

    def authorize(self, incoming: Incoming) -> None:
        """Refuse other keys; the key stands alone in its header, without a scheme."""
        if incoming.headers.get(KEY_HEADER) != API_KEY:
            raise errors.refuse(401, "invalid api key")

    def error(self, status: int, message: str) -> Response:
        """A failure, as JSON or as text."""
        return errors.error(status, message)

    def _ids(self) -> Iterable[str]:
        return self.store.living_ids()

    def _truth(self, contact_id: str) -> Truth:
        contact = self.store.existing(contact_id)
        identifiers = [("email", email.email_address) for email in contact.emails]
        identifiers += [("phone", f"{phone.country_code or ''}{phone.phone_number}") for phone in contact.phone_numbers]
        relations = shapes.RELATIONS.keys() - {"emails", "phone_numbers", "lists"}
        return truth(contact.id, identifiers, contact.lists, shapes.contact(self.store, contact, relations))

    def _create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        now = self.clock.now()
        contact = Contact(self.store.new_id("contact"), now, now, {"first_name": "Somebody"})
        self.store.contacts[contact.id] = contact
        self._mutate(contact.id, identifiers, None, None)
        return contact.id

    def _mutate(
        self,
        contact_id: str,
        identifiers: Sequence[tuple[str, str]] | None,
        lists: Sequence[str] | None,
        first_name: str | None,
    ) -> None:
        contact = self.store.existing(contact_id)
        if identifiers is not None:
            if odd := {kind for kind, _ in identifiers} - {"email", "phone"}:
                raise ValueError(f"no identifiers of the kind {', '.join(sorted(odd))} here")
            contact.emails = payloads.emails([value for kind, value in identifiers if kind == "email"], self.store)
            phones = [value for kind, value in identifiers if kind == "phone"]
            contact.phone_numbers = payloads.phone_numbers(phones, self.store)
        if lists is not None:
            self.store.link(contact, "lists", dict.fromkeys(lists))
        if first_name is not None:
            contact.scalars["first_name"] = first_name
        contact.updated_at = self.clock.now()

    def _delete(self, contact_id: str) -> None:
        self.store.delete(self.store.existing(contact_id))

    def populate(self, people: Iterable[Person]) -> None:
        """Lists, tags, companies, custom fields, a note, and these people."""
        content = _Content(self.records)
        crowd = sorted(people, key=lambda person: person.joined)  # contacts are kept in the order of their creation
        for person in crowd:
            self._add(person, content)

    def _add(self, person: Person, content: "_Content") -> None:
        joined = datetime.combine(person.joined, time(9, 30), UTC)
        contact = Contact(self.store.new_id("contact"), joined, joined, _scalars(person))
        self.store.contacts[contact.id] = contact
        contact.emails = payloads.emails([person.email, *person.further_emails], self.store)
        contact.phone_numbers = payloads.phone_numbers([person.phone] if person.phone else [], self.store)
        self.store.link(contact, "companies", content.positions(person))
        self.store.link(contact, "tags", {content.tags[tag].id: None for tag in person.tags})
        self.store.link(contact, "lists", content.lists_of(person))
        self.store.link(contact, "notes", {content.note.id: None} if person.score == 0 else {})
        self.store.link(contact, "custom_fields", content.values(person, joined.date()))


class _Content:
    """What every workspace has, and what of it a person is linked to."""

    def __init__(self, records: Records) -> None:
        lists = ("Newsletter", "Customers", "Press")
        self.lists = [records.add("lists", name=name, description=None, type="CONTACT") for name in lists]
        self.tags = {name: records.add("tags", name=name) for name in ("lead", "customer", "press", "partner")}
        self.note = records.add("notes", body="Met at the sample fair")
        records.add("workspace_users", name="Sample Owner", email="owner@example.com")
        self.score = _field(records, "score", "NUMERIC")
        self.plan = _field(records, "plan", "SINGLE_LINE_TEXT")
        self.renewal = _field(records, "renewal_date", "DATE")
        options = [{"id": f"option_{number}", "value": text} for number, text in enumerate(("new", "active"), 1)]
        self.stage = _field(records, "stage", "SINGLE_SELECT", multi_select_options=options)
        self._companies: dict[str, Record] = {}
        self._records = records

    def positions(self, person: Person) -> dict[str, Position]:
        if person.company is None:
            return {}
        company = self._companies.get(person.company)
        if company is None:
            unset = dict.fromkeys(("description", "website_url", "linkedin_slug", "email"))
            company = self._records.add("companies", name=person.company, **unset, is_starred=False)
            self._companies[person.company] = company
        return {company.id: Position(person.title, start_date=person.joined)}

    def lists_of(self, person: Person) -> dict[str, None]:
        newsletter, customers, press = (record.id for record in self.lists)
        even = person.email.partition("@")[0][-1] in "02468"
        chosen = {newsletter: even, customers: "customer" in person.tags, press: "press" in person.tags}
        return {list_id: None for list_id, on_it in chosen.items() if on_it}

    def values(self, person: Person, joined: date) -> dict[str, Any]:
        renewal = (joined + timedelta(days=365)).isoformat() if person.plan else None
        values = {
            self.score.id: person.score,
            self.plan.id: person.plan,
            self.renewal.id: renewal,
            self.stage.id: "option_2" if "customer" in person.tags else "option_1",
        }
        return {field_id: value for field_id, value in values.items() if value is not None}


def _field(records: Records, name: str, kind: str, **more: Any) -> Record:
    return records.add("custom_fields", name=name, field_type=kind, entity_type="CONTACT", **more)


def _scalars(person: Person) -> dict[str, Any]:
    scalars: dict[str, Any] = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "title": person.title,
        "location": f"{person.city}, {person.country}",
    }
    if person.birthday:
        scalars["birthday_day"] = person.birthday.day
        scalars["birthday_month"] = person.birthday.month
        scalars["birthday_year"] = person.birthday.year
    return scalars
