"""SendGrid Marketing Contacts as an ASGI emulator: its operations, key and default content."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Any, ClassVar

from starlette.responses import Response

from contacts_core.emulator import (
    Clock,
    Emulator,
    Faults,
    Incoming,
    Operation,
    Person,
    Refused,
    Truth,
    json_response,
    truth,
)
from contacts_sendgrid.emulator import errors, shapes
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.contacts import Contacts
from contacts_sendgrid.emulator.jobs import Jobs
from contacts_sendgrid.emulator.lists import Lists
from contacts_sendgrid.emulator.store import Contact, ContactList, Field, second
from contacts_sendgrid.emulator.suppressions import Suppressions

API_KEY = "SG.sandbox"
USER_ID = 180_001
MAX_REQUEST_LINE = 8192
RATE = 600
SEARCH_RATE = 200
_WINDOW = 60


_NAMES = {"email": "email", "phone": "phone_number_id", "external_id": "external_id", "anonymous_id": "anonymous_id"}


class SendGridEmulator(Emulator):
    """A SendGrid account with Marketing Campaigns."""

    name = "sendgrid"
    title = "SendGrid Marketing Contacts"
    tells_truth = True
    own_faults: ClassVar = {"suppressions-cut": "the list of all groups' suppressions ends after ten, without a word"}

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        super().__init__(clock=clock, faults=faults, base_url=base_url, seed=seed, enforce_rates=enforce_rates)
        self.account = Account(clock, faults, self.new_uuid, self.shown)
        self.suppressions = Suppressions(self.account)
        self.account.written = self._written
        self.contacts = Contacts(self.account)
        self.jobs = Jobs(self.account)
        self.lists = Lists(self.account)
        self._used: dict[tuple[int, bool], int] = {}

    def settings(self) -> dict[str, str]:
        """The key that is accepted."""
        return {"api_key": API_KEY}

    def operations(self) -> Iterable[Operation]:
        """Everything that the service answers."""
        # Imports and exports first: `/contacts/{id}` would take their names for ids.
        user = Operation("GET", "/v3/user/username", self._user)
        groups = (self.jobs, self.contacts, self.lists, self.suppressions)
        return chain([user], *(group.operations() for group in groups))

    def _written(self, item: dict[str, Any]) -> None:
        if self.faults.take("resubscribes"):
            emails = (item.get("email"), *(item.get("alternate_emails") or ()))
            self.suppressions.lift([email for email in emails if email])

    def _user(self, _: Incoming) -> Response:
        return json_response({"username": "sandbox", "user_id": USER_ID})

    def settle(self, now: datetime) -> None:
        """Let due jobs take effect."""
        self.account.schedule.settle(now)

    def authorize(self, incoming: Incoming) -> None:
        """Refuse all but the one key."""
        if incoming.headers.get("authorization") != f"Bearer {API_KEY}":
            raise Refused(errors.error(401, "authorization grant is invalid, expired, or revoked"))

    def error(self, status: int, message: str) -> Response:
        """The usual shape of failures."""
        return errors.error(status, message)

    def unknown_path(self, incoming: Incoming) -> Response:
        """A path that does not exist is answered with an empty 404."""
        return Response(status_code=404)

    def limit(self, incoming: Incoming) -> None:
        """Refuse request lines that the web server in front would, and requests beyond the rate if enforced."""
        if incoming.request_line_length > MAX_REQUEST_LINE:
            raise Refused(errors.html(414, "Request-URI Too Large"))
        window = self._window(incoming)
        used = self._used.get(window, 0) + 1
        self._used = {key: count for key, count in self._used.items() if key[0] == window[0]} | {window: used}
        if self.enforce_rates and used > _rate(incoming):
            raise Refused(errors.error(429, "too many requests"))

    def finish(self, incoming: Incoming, response: Response) -> None:
        """Add the rate headers; windows are fixed, and marketing endpoints count down the seconds."""
        used = self._used.get(self._window(incoming), 0)
        response.headers["x-ratelimit-limit"] = str(_rate(incoming))
        response.headers["x-ratelimit-remaining"] = str(max(_rate(incoming) - used, 0))
        response.headers["x-ratelimit-reset"] = str(_WINDOW - self.clock.now().second)

    def _window(self, incoming: Incoming) -> tuple[int, bool]:
        return int(self.clock.now().timestamp()) // _WINDOW, _is_search(incoming)

    def _ids(self) -> Iterable[str]:
        store = self.account.store
        return [contact_id for contact_id in store.contacts if contact_id not in store.gone]

    def _truth(self, contact_id: str) -> Truth:
        contact = self._contact(contact_id)
        kinds = {name: kind for kind, name in _NAMES.items()}
        identifiers = [(kinds[name], value) for name, value in contact.identifiers.items()]
        identifiers += [("email", value) for value in contact.alternate_emails]
        rest = shapes.contact(self.account.store, contact, "")
        identifying = (*kinds, "alternate_emails", "list_ids")
        others = {name: value for name, value in rest.items() if name not in identifying}
        return truth(contact.id, identifiers, contact.list_ids, others)

    def _create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        contact = Contact(self.new_uuid(), self.clock.now(), self.clock.now())
        self.account.store.contacts[contact.id] = contact
        self._mutate(contact.id, identifiers, None, None)
        return contact.id

    def _mutate(
        self,
        contact_id: str,
        identifiers: Sequence[tuple[str, str]] | None,
        lists: Sequence[str] | None,
        first_name: str | None,
    ) -> None:
        contact, store = self._contact(contact_id), self.account.store
        if identifiers is not None:
            emails = [value.lower() for kind, value in identifiers if kind == "email"]
            primary = {_name(kind): value for kind, value in identifiers if kind != "email"}
            store.identify(contact, primary | ({"email": emails[0]} if emails else {}), emails[1:])
        if lists is not None:
            for list_id in list(contact.list_ids):
                store.leave(list_id, [contact.id])
            for list_id in lists:
                store.join(list_id, contact)
        if first_name is not None:
            contact.text["first_name"] = first_name
        contact.updated_at = self.clock.now()

    def _delete(self, contact_id: str) -> None:
        self.account.store.delete([self._contact(contact_id).id])

    def _contact(self, contact_id: str) -> Contact:
        if contact_id in self.account.store.gone:
            raise KeyError(contact_id)
        return self.account.store.contacts[contact_id]

    def populate(self, people: Iterable[Person]) -> None:
        """Three lists, three custom fields, and these people."""
        now = self.clock.now()
        score, plan, renewal = (
            self.lists.add_field(name, kind, now - timedelta(days=365))
            for name, kind in (("score", "Number"), ("plan", "Text"), ("renewal_date", "Date"))
        )
        lists = [self.lists.add(name) for name in ("Newsletter", "Customers", "Press")]
        people = list(people)
        self.suppressions.populate(people)
        for index, person in enumerate(people):
            item = _item(person, score, plan, renewal, _lists_of(person, index, lists))
            self.account.store.upsert(item, self.new_uuid, _joined(person))


def _name(kind: str) -> str:
    """The service's name of a kind of identifier."""
    if kind not in _NAMES:
        raise ValueError(f"no identifiers of the kind {kind} here")
    return _NAMES[kind]


def _is_search(incoming: Incoming) -> bool:
    return incoming.path == "/v3/marketing/contacts/search"


def _rate(incoming: Incoming) -> int:
    return SEARCH_RATE if _is_search(incoming) else RATE


def _joined(person: Person) -> datetime:
    return datetime.combine(person.joined, time(9, 30), UTC)


def _lists_of(person: Person, index: int, lists: list[ContactList]) -> list[str]:
    newsletter, customers, press = (stored.id for stored in lists)
    chosen = {newsletter: index % 2 == 0, customers: "customer" in person.tags, press: "press" in person.tags}
    return [list_id for list_id, on_it in chosen.items() if on_it]


def _item(person: Person, score: Field, plan: Field, renewal: Field, list_ids: list[str]) -> dict[str, Any]:
    return {
        "email": person.email,
        "phone_number_id": person.phone,
        "external_id": person.external_id,
        "anonymous_id": person.anonymous_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "alternate_emails": list(person.further_emails),
        "address_line_1": person.address,
        "city": person.city,
        "state_province_region": person.region,
        "postal_code": person.postal_code,
        "country": person.country,
        "phone_number": person.phone,
        "custom_fields": {
            score.id: person.score,
            plan.id: person.plan,
            renewal.id: second(_joined(person) + timedelta(days=365)) if person.plan else None,
        },
        "list_ids": list_ids,
    }
