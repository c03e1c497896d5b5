"""A small fake vendor, for tests: it answers as the vendor does, and keeps people in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from contacts_core.emulator import (
    Emulator,
    Incoming,
    Operation,
    Person,
    Refused,
    Truth,
    json_response,
    truth,
)
from starlette.responses import Response

API_KEY = "acme-emulator-key"
LONGEST_PAGE = 100
IDENTIFIERS = ("email", "phone")

Record = dict[str, str | None]


class AcmeEmulator(Emulator):
    """People by id."""

    name = "acme"
    title = "Acme"
    tells_truth = True

    def settings(self) -> dict[str, str]:
        """Return the settings with which the provider may log in here."""
        return {"api_key": API_KEY}

    def populate(self, people: Iterable[Person]) -> None:
        """Start with these people."""
        self.people: dict[str, Record] = {}
        self.numbers = count(1)
        for person in people:
            id = self.new_id()
            self.people[id] = {
                "id": id,
                "email": person.email,
                "phone": person.phone,
                "first_name": person.first_name,
                "last_name": person.last_name,
            }

    def new_id(self) -> str:
        """Return an id that nobody had."""
        return f"person-{next(self.numbers):06}"

    # -- the vendor's API

    def operations(self) -> Iterable[Operation]:
        """Return what the vendor's API can do."""
        return [
            Operation("GET", "/people", self.page),
            Operation("GET", "/people/{id}", self.read),
            Operation("DELETE", "/people/{id}", self.remove),
        ]

    def authorize(self, incoming: Incoming) -> None:
        """Refuse a request without the right key."""
        if incoming.headers.get("authorization") != f"Bearer {API_KEY}":
            raise Refused(self.error(401, "the key is wrong"))

    def error(self, status: int, message: str) -> Response:
        """Return an error in the vendor's own format."""
        return json_response({"error": message}, status)

    def page(self, incoming: Incoming) -> Response:
        """Answer ``GET /people``: a token is the last id of the page before."""
        limit = incoming.query.get("limit", "")
        if not (limit.isdecimal() and 1 <= int(limit) <= LONGEST_PAGE):
            raise Refused(self.error(400, f"limit must be from 1 to {LONGEST_PAGE}"))
        after = incoming.query.get("after", "")
        rest = [person for id, person in sorted(self.people.items()) if id > after]
        shown = rest[: int(limit)]
        more = shown[-1]["id"] if len(rest) > len(shown) else None
        return json_response({"people": shown, "next": more, "total": len(self.people)})

    def read(self, incoming: Incoming) -> Response:
        """Answer ``GET /people/{id}``."""
        person = self.known(incoming)
        self.shown([incoming.params["id"]])
        return json_response(person)

    def remove(self, incoming: Incoming) -> Response:
        """Answer ``DELETE /people/{id}``."""
        del self.people[f"{self.known(incoming)['id']}"]
        return Response(status_code=204)

    def known(self, incoming: Incoming) -> Record:
        """Return a copy of the person that a path names, or refuse the request."""
        if not (person := self.people.get(incoming.params["id"])):
            raise Refused(self.error(404, "there is no such person"))
        return dict(person)

    # -- what is stored, for tests; see `Emulator`

    def _ids(self) -> Iterable[str]:
        return list(self.people)

    def _truth(self, contact_id: str) -> Truth:
        person = self.people[contact_id]
        identifiers = [(kind, value) for kind in IDENTIFIERS if (value := person.get(kind))]
        rest = {name: value for name, value in person.items() if name not in IDENTIFIERS}
        return truth(contact_id, identifiers, [], rest)

    def _create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        id = self.new_id()
        self.people[id] = {"id": id}
        self._mutate(id, identifiers, None, None)
        return id

    def _mutate(
        self,
        contact_id: str,
        identifiers: Sequence[tuple[str, str]] | None,
        lists: Sequence[str] | None,
        first_name: str | None,
    ) -> None:
        person = self.people[contact_id]
        if identifiers is not None:
            given = dict(identifiers)
            if len(given) < len(identifiers) or given.keys() - set(IDENTIFIERS) or lists:
                raise ValueError("a person here has one email and one phone, and no lists")
            person.update({kind: given.get(kind) for kind in IDENTIFIERS})
        if first_name is not None:
            person["first_name"] = first_name

    def _delete(self, contact_id: str) -> None:
        del self.people[contact_id]
