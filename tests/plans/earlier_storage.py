"""A storage as the library wrote it before its schema had a version: schema 1, filled."""

from __future__ import annotations

import json
import zlib
from typing import Any

import sqlalchemy as sa

from contacts_core import Identifier
from contacts_core.storage.database import Storage
from contacts_core.storage.encryption import encrypt, new_run_key
from contacts_core.storage.pseudonyms import PseudonymKey
from tests.plans.samples import AT, text

JANE, JOHN = Identifier.email("jane@example.com"), Identifier.phone("+12025550123")
PLAN = {
    "kind": "erase",
    "made_at": AT,
    "people": [
        {"number": 1, "asked": [{"kind": "email", "value": "Jane@Example.com", "primary": True}]},
        {"number": 2, "asked": [], "followed": [{"kind": "phone", "value": "2025550123", "country_code": "+1"}]},
    ],
    "accounts": [
        {
            "account": "crm",
            "provider": "acme",
            "targets": [
                {"contact": "c-1", "identifiers": [], "people": [1], "reason": ""},
                {"contact": "c-2", "identifiers": [], "people": [2], "reason": ""},
            ],
        }
    ],
    "format": 2,
}

metadata = sa.MetaData()
runs = sa.Table(
    "contacts_runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("accounts", sa.Text, nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("key", sa.String(16), nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("begun_at", sa.String(40), nullable=False),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("plan", sa.LargeBinary),
    sa.Column("receipt", sa.LargeBinary),
)
keys = sa.Table(
    "contacts_run_keys",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
)
events = sa.Table(
    "contacts_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(64), nullable=False, index=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("begun_at", sa.String(40), nullable=False),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
progress = sa.Table(
    "contacts_progress",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(255), primary_key=True),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
tombstones = sa.Table(
    "contacts_tombstones",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(16), nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
)


def write(storage: Storage, receipt: str = "") -> None:
    """A finished run with this receipt; and an unfinished erasure, in which one of two contacts was touched."""
    key = storage.key()
    engine = storage.engine()
    metadata.create_all(engine)
    secret, encrypted_key = new_run_key("erase-2", key)
    plan = encrypt(secret, zlib.compress(json.dumps(PLAN).encode(), 1), "plan of erase-2")
    touched = {"round": 1, "step": 1, "contacts": 1, "touched": [key.contact("crm", "c-1")]}
    with engine.begin() as connection:
        packed = zlib.compress((receipt or text()).encode(), 1)
        finished = _run("erase-1", key, state="incomplete", ended_at=AT, receipt=packed)
        connection.execute(runs.insert(), finished)
        connection.execute(runs.insert(), _run("erase-2", key, state="interrupted", plan=plan))
        connection.execute(keys.insert(), {"run": "erase-2", "key": encrypted_key})
        body = zlib.compress(json.dumps(touched).encode(), 1)
        event = {"run": "erase-2", "account": "crm", "type": "step", "begun_at": AT, "body": body}
        connection.execute(events.insert(), event)
        state = {"run": "erase-2", "account": "crm", "phase": "working", "done": 0, "total": 2, "detail": ""}
        connection.execute(progress.insert(), state)
        tombstone = {"hash": key.identifier(Identifier.email("joe@example.com")), "key": key.id, "run": "x", "at": AT}
        connection.execute(tombstones.insert(), tombstone)


def _run(id: str, key: PseudonymKey, **values: Any) -> dict[str, Any]:
    about = {"kind": "erase", "accounts": '["crm"]', "people": 2, "checksum": "0" * 64, "key": key.id}
    return {"id": id, "options": "{}", "reason": "", "round": 1, "begun_at": AT, **about, **values}
