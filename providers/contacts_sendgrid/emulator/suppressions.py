"""Operations on suppressions (unsubscribes, groups, bounces, blocks, invalid emails, spam reports) and on mail data."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, define
from starlette.responses import Response

from contacts_core.emulator import Incoming, Operation, Person, json_array, json_object, json_response
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.errors import refuse
from contacts_sendgrid.emulator.store import valid_email

Json = dict[str, Any]
GROUPS = "/v3/asm/groups"
SUPPRESSIONS = "/v3/asm/suppressions"
MAX_PAGE = 500
MAX_RECIPIENTS = 1000  # the document has no number; so many were never seen to be refused [unverified]
MAX_ERASED = 5000
MAX_ERASED_BYTES = 256 * 1024
CUT_TO = 10  # suppressions that the fault leaves of a longer list


@define(eq=False)
class Group:
    """An unsubscribe group; its suppressions by address, each with its time in Unix seconds."""

    id: int
    name: str
    description: str
    is_default: bool = False
    members: dict[str, int] = Factory(dict[str, int])

    def shape(self) -> Json:
        """The group as the service prints it."""
        return {**self.short(), "unsubscribes": len(self.members)}

    def short(self) -> Json:
        """The group without its counter."""
        return {"id": self.id, "name": self.name, "description": self.description, "is_default": self.is_default}


class Suppressions:
    """`/v3/asm`, `/v3/suppression` and `/v3/recipients/erasejob`.

    Attributes:
        groups: The unsubscribe groups by id.
        unsubscribes: Addresses that are suppressed everywhere, each with its time in Unix seconds.
        records: Bounces, blocks, invalid emails and spam reports, by the name in the path and by address.
        erased: Addresses whose mail data was erased.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.groups: dict[int, Group] = {}
        self.unsubscribes: dict[str, int] = {}
        self.records: dict[str, dict[str, Json]] = {
            name: {} for name in ("bounces", "blocks", "invalid_emails", "spam_reports")
        }
        self.erased: set[str] = set()

    def operations(self) -> Iterator[Operation]:
        """The operations of this group. Addresses may hold a slash, which the server has decoded by now."""
        one = f"{GROUPS}/{{id}}"
        yield Operation("GET", GROUPS, self.list_groups)
        yield Operation("POST", GROUPS, self.create_group)
        yield Operation("GET", one, self.get_group)
        yield Operation("PATCH", one, self.update_group)
        yield Operation("DELETE", one, self.delete_group)
        yield Operation("GET", f"{one}/suppressions", self.members)
        yield Operation("POST", f"{one}/suppressions", self.add_members)
        yield Operation("POST", f"{one}/suppressions/search", self.search_members)
        yield Operation("DELETE", f"{one}/suppressions/{{email:path}}", self.remove_member)
        yield Operation("POST", f"{SUPPRESSIONS}/global", self.unsubscribe)
        yield Operation("GET", f"{SUPPRESSIONS}/global/{{email:path}}", self.unsubscribed)
        yield Operation("DELETE", f"{SUPPRESSIONS}/global/{{email:path}}", self.resubscribe)
        yield Operation("GET", SUPPRESSIONS, self.all_members)
        yield Operation("GET", f"{SUPPRESSIONS}/{{email:path}}", self.groups_of)
        yield Operation("GET", "/v3/suppression/unsubscribes", self.list_unsubscribes)
        for name in self.records:
            yield Operation("GET", f"/v3/suppression/{name}", self._listing(name))
            yield Operation("DELETE", f"/v3/suppression/{name}", self._clearing(name))
            yield Operation("GET", f"/v3/suppression/{name}/{{email:path}}", self._reading(name))
            yield Operation("DELETE", f"/v3/suppression/{name}/{{email:path}}", self._deletion(name))
        yield Operation("POST", "/v3/recipients/erasejob", self.erase)

    # -- what happens by itself

    def populate(self, people: Iterable[Person]) -> None:
        """Two groups, and some of these people in each kind of suppression; besides, some who are no contacts."""
        news = self.add_group("Weekly news", "News of the week", is_default=True)
        offers = self.add_group("Offers", "Offers and discounts")
        now = int(self._account.clock.now().timestamp())
        for index, person in enumerate(people):
            created = now - (index % 300 + 1) * 86_400
            if index % 10 == 3:
                self.unsubscribes[person.email] = created
            if index % 10 == 5:
                (news if index % 20 == 5 else offers).members[person.email] = created
            if index % 20 == 7:
                self.record("bounces", person.email, created)
            if index % 40 == 11:
                self.record("blocks", person.email, created)
            if index % 40 == 13:
                self.record("spam_reports", person.email, created)
        if self.unsubscribes:
            self.unsubscribes["long.gone@example.com"] = now - 400 * 86_400
            self.record("invalid_emails", "nobody@nowhere.example", now - 30 * 86_400)

    def add_group(self, name: str, description: str, *, is_default: bool = False) -> Group:
        """Add a group, as the account's owner would."""
        group = Group(max(self.groups, default=100) + 1, name, description, is_default)
        self.groups[group.id] = group
        return group

    def record(self, name: str, email: str, created: int) -> None:
        """Note a bounce, a block, an invalid address or a spam report, as the service does by itself."""
        rest: Mapping[str, Json] = {
            "bounces": {"reason": "550 5.1.1 The email account does not exist", "status": "5.1.1"},
            "blocks": {"reason": "451 4.7.1 Try again later", "status": "4.7.1"},
            "invalid_emails": {"reason": "Mail domain mentioned in email address is unknown"},
            "spam_reports": {"ip": "192.0.2.7"},
        }
        self.records[name][email.lower()] = {"created": created, "email": email, **rest[name]}

    def lift(self, emails: Iterable[str]) -> None:
        """Forget that these addresses unsubscribed, as the fault ``resubscribes`` does."""
        for email in emails:
            self.unsubscribes.pop(email, None)
            for group in self.groups.values():
                group.members.pop(email, None)

    # -- groups

    def list_groups(self, incoming: Incoming) -> Response:
        """All groups, or those that are named."""
        wanted = incoming.query.getlist("id")
        return json_response([g.shape() for g in self.groups.values() if not wanted or str(g.id) in wanted])

    def create_group(self, incoming: Incoming) -> Response:
        """Create a group."""
        name, description, is_default = self._described(incoming)
        if not (name and description):
            raise refuse(400, "name and description are required", "name")
        if any(group.name == name for group in self.groups.values()):
            raise refuse(400, "each group must have a unique name", "name")
        return json_response(self.add_group(name, description, is_default=is_default).short(), 201)

    def get_group(self, incoming: Incoming) -> Response:
        """One group."""
        return json_response(self._group(incoming).shape())

    def update_group(self, incoming: Incoming) -> Response:
        """Rename a group."""
        group = self._group(incoming)
        name, description, is_default = self._described(incoming)
        group.name, group.description = name or group.name, description or group.description
        group.is_default = is_default or group.is_default
        return json_response(group.shape(), 201)

    def delete_group(self, incoming: Incoming) -> Response:
        """Delete a group, which lifts its suppressions."""
        del self.groups[self._group(incoming).id]
        return Response(status_code=204)

    def members(self, incoming: Incoming) -> Response:
        """The addresses of a group, all at once and without times."""
        return json_response(list(self._group(incoming).members))

    def add_members(self, incoming: Incoming) -> Response:
        """Add addresses to a group; where there is none, to the global suppressions."""
        emails = self._recipients(incoming)
        group = self._known(incoming)
        if not self._account.faults.take("consent-ignored"):
            self._note(self.unsubscribes if group is None else group.members, emails)
        return json_response({"recipient_emails": emails}, 201)

    def search_members(self, incoming: Incoming) -> Response:
        """Those of the addresses that are in the group."""
        group = self._group(incoming)
        return json_response([email for email in self._recipients(incoming) if email.lower() in group.members])

    def remove_member(self, incoming: Incoming) -> Response:
        """Take an address out of a group."""
        self._group(incoming).members.pop(incoming.params["email"].lower(), None)
        return Response(status_code=204)

    # -- all suppressions

    def all_members(self, incoming: Incoming) -> Response:
        """The suppressions of all groups; the document knows no pages."""
        shown = [
            {"email": email, "group_id": group.id, "group_name": group.name, "created_at": created}
            for group in self.groups.values()
            for email, created in group.members.items()
        ]
        if len(shown) > CUT_TO and self._account.faults.take("suppressions-cut"):
            shown = shown[:CUT_TO]
        return json_response(shown)

    def groups_of(self, incoming: Incoming) -> Response:
        """Every group, and whether it has this address."""
        email = incoming.params["email"].lower()
        groups = [{**group.short(), "suppressed": email in group.members} for group in self.groups.values()]
        return json_response({"suppressions": groups})

    def unsubscribe(self, incoming: Incoming) -> Response:
        """Suppress addresses everywhere; the times and reasons of others cannot be given."""
        emails = self._recipients(incoming)
        if not self._account.faults.take("consent-ignored"):
            self._note(self.unsubscribes, emails)
        return json_response({"recipient_emails": emails}, 201)

    def unsubscribed(self, incoming: Incoming) -> Response:
        """An address that is suppressed everywhere, or an empty object."""
        email = incoming.params["email"]
        return json_response({"recipient_email": email} if email.lower() in self.unsubscribes else {})

    def resubscribe(self, incoming: Incoming) -> Response:
        """Lift a global suppression."""
        self.unsubscribes.pop(incoming.params["email"].lower(), None)
        return Response(status_code=204)

    def list_unsubscribes(self, incoming: Incoming) -> Response:
        """A page of the addresses that are suppressed everywhere."""
        everything = [{"created": created, "email": email} for email, created in self.unsubscribes.items()]
        return json_response(_page(incoming, everything))

    # -- what the service notes by itself

    def _listing(self, name: str) -> Callable[[Incoming], Response]:
        return lambda incoming: json_response(_page(incoming, list(self.records[name].values())))

    def _reading(self, name: str) -> Callable[[Incoming], Response]:
        def read(incoming: Incoming) -> Response:
            found = self.records[name].get(incoming.params["email"].lower())
            return json_response([found] if found else [])

        return read

    def _clearing(self, name: str) -> Callable[[Incoming], Response]:
        def clear(incoming: Incoming) -> Response:
            body = json_object(incoming.json()) or {}
            emails = json_array(body.get("emails"))
            if (emails is None) == (body.get("delete_all") is not True):
                raise refuse(400, "either emails or delete_all is required")
            for email in list(self.records[name]) if emails is None else emails:
                self.records[name].pop(str(email).lower(), None)
            return Response(status_code=204)

        return clear

    def _deletion(self, name: str) -> Callable[[Incoming], Response]:
        def delete(incoming: Incoming) -> Response:
            if self.records[name].pop(incoming.params["email"].lower(), None) is None and name == "spam_reports":
                raise refuse(404, "email not found")  # elsewhere it is 204
            return Response(status_code=204)

        return delete

    # -- mail data

    def erase(self, incoming: Incoming) -> Response:
        """Queue the erasure of what is kept of sent mail; no endpoint tells what becomes of the job."""
        body = json_object(incoming.json()) or {}
        emails = json_array(body.get("email_addresses"))
        if not emails or len(emails) > MAX_ERASED or len(incoming.body) > MAX_ERASED_BYTES:
            raise refuse(400, f"email_addresses must hold 1 to {MAX_ERASED} addresses", "email_addresses")
        for email in emails:
            if not valid_email(email):
                raise refuse(400, f"Email_address {email} is not valid", "email_addresses")
        self.erased.update(str(email).lower() for email in emails)
        return json_response({"job_id": self._account.new_id()}, 202)

    # -- requests

    def _note(self, place: dict[str, int], emails: Iterable[str]) -> None:
        now = int(self._account.clock.now().timestamp())
        for email in emails:
            place.setdefault(email.lower(), now)

    def _known(self, incoming: Incoming) -> Group | None:
        text = incoming.params["id"]
        return self.groups.get(int(text)) if re.fullmatch("[0-9]{1,9}", text) else None

    def _group(self, incoming: Incoming) -> Group:
        if (group := self._known(incoming)) is None:
            raise refuse(404, "suppression group not found", "group_id")
        return group

    def _described(self, incoming: Incoming) -> tuple[str, str, bool]:
        body = json_object(incoming.json())
        if body is None:
            raise refuse(400, "invalid json")
        name, description = body.get("name", ""), body.get("description", "")
        if not isinstance(name, str) or not isinstance(description, str) or len(name) > 30 or len(description) > 100:
            raise refuse(400, "name or description is too long", "name")
        return name, description, body.get("is_default") is True

    def _recipients(self, incoming: Incoming) -> list[str]:
        body = json_object(incoming.json()) or {}
        emails = json_array(body.get("recipient_emails"))
        if emails is None or not emails:
            raise refuse(400, "recipient_emails is required", "recipient_emails")
        if len(emails) > MAX_RECIPIENTS:
            raise refuse(413, "too many recipient_emails", "recipient_emails")
        for email in emails:
            if not valid_email(email):
                raise refuse(400, f"'{email}' is not a valid email", "recipient_emails")
        return [str(email) for email in emails]


def _page(incoming: Incoming, everything: list[Json]) -> list[Json]:
    """One page; ``email`` matches how an address begins, with ``%`` for anything."""
    limit = _number(incoming, "limit", MAX_PAGE, MAX_PAGE)
    offset = _number(incoming, "offset", 0, 10**9)
    since, until = (_number(incoming, name, at, 10**12) for name, at in (("start_time", 0), ("end_time", 10**12)))
    begin = incoming.query.get("email", "").lower()
    pattern = re.compile(".*".join(map(re.escape, begin.split("%"))))
    found = [
        each
        for each in everything
        if since <= each["created"] <= until and (not begin or pattern.match(each["email"].lower()))
    ]
    return found[offset : offset + limit]


def _number(incoming: Incoming, name: str, default: int, most: int) -> int:
    text = incoming.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,13}", text) or int(text) > most:
        raise refuse(400, f"{name} must be a number up to {most}", name)
    return int(text)
