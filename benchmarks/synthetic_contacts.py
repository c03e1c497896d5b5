"""Synthetic contacts in the vendors' own shapes: reserved example domains and fictional phone ranges only."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from contacts_core.emulator.synthetic_contacts import Person, people

Json = dict[str, Any]

SEED = 1
LISTS = [str(UUID(int=7_000 + n, version=4)) for n in range(12)]
WORKSPACE = "00000000-0000-4000-8000-000000000001"
CUSTOM = (("score", "Number"), ("plan", "Text"), ("renewal_date", "Date"))


def _crowd(count: int) -> Iterator[tuple[int, Person, random.Random]]:
    dice = random.Random(SEED)
    for index, person in enumerate(people(count, SEED)):
        yield index, person, dice


def _id(index: int) -> str:
    return str(UUID(int=index + 1, version=4))


def sendgrid(count: int) -> list[Json]:
    """Contacts as SendGrid answers look-ups: about 27 keys, two lists, two or three custom fields."""
    return [_sendgrid(*each) for each in _crowd(count)]


def _sendgrid(index: int, person: Person, dice: random.Random) -> Json:
    custom: Json = {"plan": person.plan or "free", "renewal_date": f"{person.joined}T09:30:00Z"}
    if person.score is not None:
        custom["score"] = person.score
    identifiers = {
        "phone_number_id": person.phone,
        "external_id": person.external_id,
        "anonymous_id": person.anonymous_id,
    }
    contact_id = _id(index)
    return {
        "id": contact_id,
        "email": person.email,
        **{name: value for name, value in identifiers.items() if value},
        "alternate_emails": list(person.further_emails),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "address_line_1": person.address,
        "address_line_2": "",
        "city": person.city,
        "state_province_region": person.region,
        "postal_code": person.postal_code,
        "country": person.country,
        "phone_number": person.phone or "",
        "whatsapp": "",
        "line": "",
        "facebook": "",
        "unique_name": "",
        "list_ids": dice.sample(LISTS, 2),
        "segment_ids": [],
        "custom_fields": custom,
        "created_at": f"{person.joined}T09:30:00Z",
        "updated_at": f"{person.joined}T10:{index % 60:02d}:00Z",
        "_metadata": {"self": f"https://api.sendgrid.com/v3/marketing/contacts/{contact_id}"},
    }


def sendgrid_page(contacts: list[Json]) -> bytes:
    """A page of SendGrid's contacts, as a search finds them."""
    return msgspec.json.encode({"result": contacts, "contact_count": len(contacts)})


def sendgrid_fields() -> Json:
    """SendGrid's field definitions."""
    return {"custom_fields": [{"id": f"e{n}_X", "name": name, "field_type": t} for n, (name, t) in enumerate(CUSTOM)]}


def sendgrid_line(contact: Json) -> bytes:
    """A contact as a line of SendGrid's JSON Lines export: another name for the id, and nothing that is unset."""
    left_out = {"id", "list_ids", "segment_ids", "_metadata"}
    kept = {name: value for name, value in contact.items() if value and name not in left_out}
    return msgspec.json.encode({"contact_id": contact["id"], **kept}) + b"\n"


CSV_COLUMNS = (
    *("email", "first_name", "last_name", "address_line_1", "address_line_2", "city", "state_province_region"),
    *("postal_code", "country", "alternate_emails", "phone_number", "whatsapp", "line", "facebook", "unique_name"),
    *("created_at", "updated_at", "contact_id", "score", "plan", "renewal_date"),
    *("phone_number_id", "external_id", "anonymous_id"),
)
CSV_HEADER = (",".join(f'"{name.upper()}"' for name in CSV_COLUMNS) + "\n").encode()


def sendgrid_row(contact: Json) -> bytes:
    """A contact as a row of SendGrid's CSV export."""
    values = contact | contact["custom_fields"] | {"contact_id": contact["id"]}
    values["alternate_emails"] = ",".join(contact["alternate_emails"])
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([values.get(n, "") for n in CSV_COLUMNS])
    return text.getvalue().replace('""', "").encode()


def bird(count: int) -> list[Json]:
    """Contacts as Bird lists them, with no more identifiers than the two that it features."""
    return [_bird(*each) for each in _crowd(count)]


def _bird(index: int, person: Person, dice: random.Random) -> Json:
    mirrored = {"emailaddress": [person.email]} | ({"phonenumber": [person.phone]} if person.phone else {})
    featured = [{"key": key, "value": value} for key, (value,) in mirrored.items()]
    names = {"firstName": person.first_name, "lastName": person.last_name}
    custom = {"city": person.city, "country": person.country, "plan": person.plan, "score": person.score}
    return {
        "id": _id(index),
        "workspaceId": WORKSPACE,
        "computedDisplayName": f"{person.first_name} {person.last_name}",
        "identifierCount": len(featured),
        "attributes": names | custom | mirrored,
        "isAnonymous": False,
        "createdAt": f"{person.joined}T09:30:00.000Z",
        "updatedAt": f"{person.joined}T10:{index % 60:02d}:00.000Z",
        "featuredIdentifiers": featured,
        "listIds": dice.sample(LISTS, 2),
    }


def user_api(count: int) -> list[Json]:
    """Contacts as user-api lists them with every relation."""
    return [_user_api(*each) for each in _crowd(count)]


def _user_api(index: int, person: Person, dice: random.Random) -> Json:
    unset = ("description", "image_url", "linkedin_slug", "website_url", "x_slug", "facebook_slug", "instagram_slug")
    custom: list[tuple[str, str, object]] = [
        ("score", "NUMERIC", person.score),
        ("plan", "SINGLE_LINE_TEXT", person.plan),
        ("renewal_date", "DATE", f"{person.joined}"),
        ("stage", "SINGLE_SELECT", {"id": "option_2", "value": "active"}),
    ]
    emails = [person.email, *person.further_emails]
    return {
        "id": f"contact_{index}",
        "full_name": f"{person.first_name} {person.last_name}",
        "first_name": person.first_name,
        "last_name": person.last_name,
        "title": person.title,
        "location": f"{person.city}, {person.country}",
        **dict.fromkeys(unset),
        **dict.fromkeys(("birthday_day", "birthday_month", "birthday_year", "last_team_interaction")),
        "is_starred": False,
        "ignore_merge": False,
        "created_at": f"{person.joined}T09:30:00Z",
        "updated_at": f"{person.joined}T10:{index % 60:02d}:00Z",
        "emails": [
            {"id": f"email_{index}_{n}", "email_address": email, "is_primary": n == 0} for n, email in enumerate(emails)
        ],
        "phone_numbers": [
            {"id": f"phone_{index}", "phone_number": person.phone, "country_code": "", "is_primary": True}
            for _ in range(bool(person.phone))
        ],
        "companies": [
            {"id": "company_1", "name": person.company, "title": person.title, "is_active": True}
            for _ in range(bool(person.company))
        ],
        "tags": [{"tag": {"id": f"tag_{tag}", "name": tag}} for tag in person.tags],
        "lists": [{"list": {"id": f"list_{n}", "name": f"List {n}"}} for n in dice.sample(range(12), 2)],
        "notes": [],
        "custom_fields": [
            {"id": f"field_{n}", "name": name, "field_type": kind, "value": value}
            for n, (name, kind, value) in enumerate(custom)
        ],
    }


BLOCK = 1_000  # contacts in a block of an export file
NUMBER = b"#######"  # where the number of the block goes


def export_block(file_type: str) -> bytes:
    """A thousand contacts of an export file, with `NUMBER` in each id and address for the block's own number."""
    line: Callable[[Json], bytes] = sendgrid_row if file_type == "csv" else sendgrid_line
    contacts = sendgrid(BLOCK)
    for index, contact in enumerate(contacts):
        number = f"{NUMBER.decode()}{index:03d}"
        contact["id"] = f"a3c5f1e2-5b8d-4c1f-9e70-7f{number}"
        contact["email"] = f"person{number}@example.com"
    return b"".join(map(line, contacts))
