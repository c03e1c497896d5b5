"""Operations on lists, tags, notes, custom fields and companies, which all work alike."""

from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen
from starlette.responses import Response

from contacts_core.emulator import Clock, Faults, Incoming, Operation, json_object, json_response
from contacts_user_api.emulator import payloads, shapes
from contacts_user_api.emulator.errors import refuse
from contacts_user_api.emulator.store import FIELD_TYPES, Record, Store

ENTITY_TYPES = ("CONTACT", "COMPANY")
MAX_NAME, MAX_DESCRIPTION, MAX_TEXT = 50, 150, 10_000
_TEXTS = ("body", "website_url", "linkedin_slug", "email", "country_code", "phone_number")


@frozen
class Kind:
    """What distinguishes one kind of record. No kind can be deleted."""

    plural: str
    path: str
    word: str
    include: tuple[str, ...]
    orders: tuple[str, ...] = ("created_at", "name")
    filters: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET one", "POST", "PUT")


KINDS = (
    Kind("lists", "lists", "list", ("contacts", "companies"), filters=("type",)),
    Kind("tags", "tags", "tag", ("contacts", "companies", "tasks"), methods=("GET one", "POST")),
    Kind("notes", "notes", "note", ("contacts",), ("created_at", "updated_at"), methods=("GET one", "PUT")),
    Kind("custom_fields", "custom-fields", "field", (), filters=("field_type", "entity_type")),
    Kind(
        *("companies", "companies", "company", ("custom_fields", "tags", "lists", "contacts")),
        orders=("created_at", "updated_at", "name"),
        methods=("POST",),
    ),
    Kind("tasks", "tasks", "task", (), ("created_at", "updated_at"), methods=()),
    Kind("workspace_users", "workspace-users", "user", (), methods=()),
)


class Records:
    """Everything of the workspace that is not a contact."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        for kind in KINDS:
            root = f"/user-api/v1/{kind.path}"
            yield Operation("GET", root, self._bind(self.page, kind))
            if "POST" in kind.methods:
                yield Operation("POST", root, self._bind(self.create, kind))
            if "GET one" in kind.methods:
                yield Operation("GET", f"{root}/{{id}}", self._bind(self.get, kind))
            if "PUT" in kind.methods:
                yield Operation("PUT", f"{root}/{{id}}", self._bind(self.update, kind))

    def _bind(self, handler: Callable[[Kind, Incoming], Response], kind: Kind) -> Callable[[Incoming], Response]:
        return lambda incoming: handler(kind, incoming)

    def add(self, plural: str, **values: Any) -> Record:
        """Add a record, as the workspace's owner would."""
        word = next(kind.word for kind in KINDS if kind.plural == plural)
        now = self._clock.now()
        record = Record(self._store.new_id(word), values, now, now)
        self._store.records[plural][record.id] = record
        return record

    def page(self, kind: Kind, incoming: Incoming) -> Response:
        """One page of records."""
        include, page = payloads.include(incoming, kind.include), payloads.page(incoming)
        asked = {name: incoming.query[name] for name in kind.filters if name in incoming.query}
        if asked and (self._faults.take("matches-too-much") or self._faults.take("ignored-filter")):
            asked = {}
        records = [
            record
            for record in self._store.records[kind.plural].values()
            if all(record.values[name] == value for name, value in asked.items())
        ]
        key, descending = payloads.order(incoming, kind.orders, "created_at:asc")
        if key == "name":
            records.sort(key=lambda record: str(record.values.get("name")), reverse=descending)
        elif key == "updated_at":
            records.sort(key=lambda record: record.updated_at, reverse=descending)
        elif descending:
            records.reverse()
        shown = records[page.offset : page.offset + page.limit]
        pagination = {"limit": page.limit, "offset": page.offset, "total": len(records)}
        data = [shapes.record(self._store, record, include) for record in shown]
        return json_response({"pagination": pagination, "data": data})

    def get(self, kind: Kind, incoming: Incoming) -> Response:
        """One record."""
        include = payloads.include(incoming, kind.include)
        return json_response({"data": shapes.record(self._store, self._record(kind, incoming), include)})

    def create(self, kind: Kind, incoming: Incoming) -> Response:
        """Create a record; a list's answer has its members."""
        body = payloads.body_object(incoming)
        values = {**_defaults(kind), **self._values(kind, body)}
        for name in _required(kind):
            if values.get(name) is None:
                raise refuse(422, f"{name} is required")
        wanted = self._contacts(body)
        record = self.add(kind.plural, **values)
        self._link(kind, record, wanted)
        return json_response({"data": shapes.record(self._store, record, _members(kind))}, 201)

    def update(self, kind: Kind, incoming: Incoming) -> Response:
        """Change a record; `contacts`, if sent, replaces all its links. Types cannot be changed."""
        record = self._record(kind, incoming)
        body = payloads.body_object(incoming)
        include = payloads.include(incoming, kind.include)
        values = self._values(kind, body)
        for name in ("type", "field_type", "entity_type"):
            values.pop(name, None)
        wanted = self._contacts(body)
        record.values.update(values)
        record.updated_at = self._clock.now()
        self._link(kind, record, wanted)
        return json_response({"data": shapes.record(self._store, record, include)})

    def _contacts(self, body: dict[str, Any]) -> dict[str, None] | None:
        return payloads.ids(body["contacts"], "contacts", self._store.contacts) if "contacts" in body else None

    def _link(self, kind: Kind, record: Record, wanted: dict[str, None] | None) -> None:
        if wanted is not None and kind.plural in ("lists", "tags", "notes"):
            self._store.relink(kind.plural, record, wanted)

    def _record(self, kind: Kind, incoming: Incoming) -> Record:
        record = self._store.records[kind.plural].get(incoming.params["id"])
        if record is None:
            raise refuse(404, f"{kind.word} not found")
        return record

    def _values(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        values = {name: body[name] for name in _writable(kind) if name in body}
        _check_text(values, "name", 1, MAX_NAME)
        _check_text(values, "description", 0, MAX_DESCRIPTION)
        for name in _TEXTS:
            _check_text(values, name, 0, MAX_TEXT)
        _check_choice(values, "type", ENTITY_TYPES)
        _check_choice(values, "entity_type", ENTITY_TYPES)
        _check_choice(values, "field_type", FIELD_TYPES)
        if "multi_select_options" in values:
            values["multi_select_options"] = self._options(values["multi_select_options"])
        return values

    def _options(self, given: object) -> list[dict[str, str]]:
        options: list[dict[str, str]] = []
        for item in payloads.array(given, "multi_select_options"):
            fields = json_object(item) or {"value": item}
            text = fields.get("value")
            if not isinstance(text, str) or not 1 <= len(text) <= MAX_NAME:
                raise refuse(422, f"an option must have 1 to {MAX_NAME} characters")
            known = fields.get("id")
            if not isinstance(known, str | None):
                raise refuse(422, "the id of an option must be a string")
            options.append({"id": known or self._store.new_id("option"), "value": text})
        return options


def _writable(kind: Kind) -> tuple[str, ...]:
    match kind.plural:
        case "lists":
            return ("name", "description", "type")
        case "tags":
            return ("name",)
        case "notes":
            return ("body",)
        case "custom_fields":
            return ("name", "field_type", "entity_type", "multi_select_options")
        case _:
            return (
                "name",
                "description",
                "website_url",
                "linkedin_slug",
                "email",
                "country_code",
                "phone_number",
            )


def _required(kind: Kind) -> tuple[str, ...]:
    return {"lists": ("name", "type"), "custom_fields": ("name", "field_type", "entity_type")}.get(
        kind.plural, ("name",)
    )


def _defaults(kind: Kind) -> dict[str, Any]:
    match kind.plural:
        case "lists":
            return {"description": None}
        case "companies":
            return {**dict.fromkeys(_writable(kind)), "is_starred": False}
        case _:
            return {}


def _members(kind: Kind) -> tuple[str, ...]:
    return ("contacts",) if kind.plural in ("lists", "tags") else ()


def _check_text(values: dict[str, Any], name: str, shortest: int, longest: int) -> None:
    value = values.get(name)
    if value is not None and not (isinstance(value, str) and shortest <= len(value) <= longest):
        raise refuse(422, f"{name} must have {shortest} to {longest} characters")


def _check_choice(values: dict[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if name in values and values[name] not in choices:
        raise refuse(422, f"{name} must be one of {', '.join(choices)}")
