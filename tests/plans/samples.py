"""A receipt to try things on, of people and a vendor that do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contacts_core import Identifier
from contacts_core.plans.receipts.receipt import write
from contacts_core.storage.pseudonyms import PseudonymKey

KEY = PseudonymKey(b"a key for tests, of no other use")
JANE = Identifier.email("jane@example.com")
JOHN = Identifier.email("john@example.org")
PHONE = Identifier.phone("+12025550123")
AT = "2026-01-02T03:04:05.678+00:00"


def exchange(method: str = "DELETE", status: int | None = 202) -> dict[str, Any]:
    """One request and its answer, as digests."""
    digest = KEY.digest(b"sample", method.encode())
    return {"method": method, "request": digest, "status": status, "answer": digest, "request_id": "r-1", "at": AT}


def events(state: str = "incomplete", reason: str = "", title: str = "Acme contacts") -> Iterator[dict[str, Any]]:
    """Two people in two accounts; one of them is still in one."""
    yield {
        "type": "run",
        "format": 2,
        "run": "erase-1",
        "plan": "0" * 64,
        "kind": "erase",
        "made_at": AT,
        "begun_at": AT,
        "accounts": [
            {"account": "marketing", "provider": "acme", "title": title, "account_id": "a" * 64},
            {"account": "crm", "provider": "bare", "title": "Bare", "account_id": "b" * 64},
        ],
        "people": 2,
        "key": KEY.id,
        "library": "contacts-core 0",
    }
    left = [{"what": "backups", "why": "out of reach"}]
    yield {"type": "scope", "account": "marketing", "provider": "acme", "unreached": left}
    yield {"type": "scope", "account": "crm", "provider": "bare", "unreached": []}
    people = {1: [(JANE, True), (PHONE, False)], 2: [(JOHN, True)]}
    for number, identifiers in people.items():
        hashed = [{"kind": i.kind.value, "hash": KEY.identifier(i), "asked": asked} for i, asked in identifiers]
        yield {"type": "person", "person": number, "identifiers": hashed}
    for account in ("marketing", "crm"):
        for number in people:
            contacts = [KEY.contact(account, f"c{number}")] if (account, number) != ("crm", 2) else []
            by = ["email"] if contacts else []
            yield {"type": "found", "account": account, "person": number, "contacts": contacts, "by": by}
    step = {
        "type": "step",
        "account": "marketing",
        "round": 1,
        "step": 1,
        "operation": "delete_contacts",
        "contacts": 2,
    }
    touched = [KEY.contact("marketing", "c1"), KEY.contact("marketing", "c2")]
    nothing = {"confirmed": 0, "absent": 0, "failed": 0, "unconfirmed": 0, "reasons": [], "jobs": [], "exchanges": []}
    yield {**step, "touched": touched, "attempt": 1, "begun_at": AT, "ended_at": None, "state": "cut off", **nothing}
    done = {"unconfirmed": 2, "jobs": [{"id": "j1", "state": "pending"}], "exchanges": [exchange()]}
    yield {
        **step,
        "touched": touched,
        "attempt": 2,
        "begun_at": AT,
        "ended_at": AT,
        "state": "accepted",
        **nothing,
        **done,
    }
    job = {"id": "j1", "state": "done", "requested": 2, "succeeded": 2, "failed": None}
    yield {
        "type": "jobs",
        "account": "marketing",
        "round": 1,
        "at": AT,
        "jobs": [job],
        "exchanges": [exchange("GET", 200)],
    }
    read = {"type": "read", "account": "marketing", "round": 1, "at": AT, "path": "get", "asked": 2, "error": ""}
    yield {**read, "shown": [KEY.contact("marketing", "c2")], "exchanges": [exchange("POST", None)]}
    for account in ("marketing", "crm"):
        for number, identifiers in people.items():
            there = (account, number) == ("marketing", 2)
            state_ = "present" if there else "absent"
            said = "1 of 1 contacts still there" if there else "not found any more: by id and by look-up"
            yield {
                "type": "result",
                "account": account,
                "person": number,
                "found": 0 if (account, number) == ("crm", 2) else 1,
                "state": state_,
                "reason": said,
                "identifiers": [
                    {"kind": i.kind.value, "hash": KEY.identifier(i), "state": state_, "reason": ""}
                    for i, _ in identifiers
                ],
            }
    yield {
        "type": "end",
        "run": "erase-1",
        "state": state,
        "reason": reason,
        "ended_at": AT,
        "absent": 3,
        "present": 1,
        "unknown": 0,
    }


def text(**changes: Any) -> str:
    """The receipt as it stands in its file."""
    return "".join(write(events(**changes), KEY))
