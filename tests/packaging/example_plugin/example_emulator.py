"""The made-up vendor's emulator, for its own tests."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from contacts_core.emulator import Emulator, Incoming, Operation, Person, Refused, json_response

KEY = "example-emulator-key"


class ExampleEmulator(Emulator):
    """People by id, in memory."""

    name = "example"
    title = "Example"

    def settings(self) -> dict[str, str]:
        return {"api_key": KEY}

    def populate(self, people: Iterable[Person]) -> None:
        self.people = {f"p{number}": person.email for number, person in enumerate(people)}

    def operations(self) -> Iterable[Operation]:
        return [
            Operation("GET", "/people", self.page),
            Operation("GET", "/people/{id}", self.read),
            Operation("DELETE", "/people/{id}", self.remove),
        ]

    def authorize(self, incoming: Incoming) -> None:
        if incoming.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused(self.error(401, "wrong key"))

    def error(self, status: int, message: str) -> Response:
        return json_response({"error": message}, status)

    def known(self, incoming: Incoming) -> str:
        if (key := incoming.params["id"]) not in self.people:
            raise Refused(self.error(404, "no such person"))
        return key

    def page(self, incoming: Incoming) -> Response:
        number, size = int(incoming.query.get("page", "0")), int(incoming.query.get("size", "100"))
        everyone = list(self.people.items())
        shown = everyone[number * size : (number + 1) * size]
        more = str(number + 1) if (number + 1) * size < len(everyone) else None
        return json_response({"people": [{"id": k, "mail": m} for k, m in shown], "next": more})

    def read(self, incoming: Incoming) -> Response:
        key = self.known(incoming)
        return json_response({"id": key, "mail": self.people[key]})

    def remove(self, incoming: Incoming) -> Response:
        del self.people[self.known(incoming)]
        return Response(status_code=204)
