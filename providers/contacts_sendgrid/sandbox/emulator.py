"""SendGrid Marketing Contacts as an ASGI emulator: the front door, and the default content."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Any

from starlette.responses import Response

from contacts_core.sandbox import Clock, Emulator, Faults, Incoming, Operation, Person, Refused
from contacts_sendgrid.sandbox import errors
from contacts_sendgrid.sandbox.account import Account
from contacts_sendgrid.sandbox.contacts import Contacts
from contacts_sendgrid.sandbox.jobs import Jobs
from contacts_sendgrid.sandbox.lists import Lists
from contacts_sendgrid.sandbox.store import ContactList, Field, second

API_KEY = "SG.sandbox"
MAX_REQUEST_LINE = 8192
RATE = 600
SEARCH_RATE = 200
_WINDOW = 60


class SendGridEmulator(Emulator):
    """A SendGrid account with Marketing Campaigns."""

    name = "sendgrid"
    title = "SendGrid Marketing Contacts"

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        super().__init__(clock=clock, faults=faults, base_url=base_url, seed=seed, enforce_rates=enforce_rates)
        self.account = Account(clock, faults, self.new_uuid)
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
        return chain(self.jobs.operations(), self.contacts.operations(), self.lists.operations())

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

    def populate(self, people: Iterable[Person]) -> None:
        """Three lists, three custom fields, and these people."""
        now = self.clock.now()
        score, plan, renewal = (
            self.lists.add_field(name, kind, now - timedelta(days=365))
            for name, kind in (("score", "Number"), ("plan", "Text"), ("renewal_date", "Date"))
        )
        lists = [self.lists.add(name) for name in ("Newsletter", "Customers", "Press")]
        for index, person in enumerate(people):
            item = _item(person, score, plan, renewal, _lists_of(person, index, lists))
            self.account.store.upsert(item, self.new_uuid, _joined(person))


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
        "alternate_emails": list(person.alternate_emails),
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
