"""The archive of an access report: a ZIP file with a page for people, JSON for programs, checksums and a receipt.

| file | content |
| --- | --- |
| ``report.html`` | a page that a person can read and print |
| ``report.json`` | what was asked, what every account answered, and what is not covered |
| ``accounts/1-NAME/contact-1.json`` | a contact, its lists by name |
| ``accounts/1-NAME/contact-1.raw.json`` | the same contact as the vendor sends it (``.vcf``, ``.txt``) |
| ``SHA256SUMS`` | the SHA-256 of every file above, as ``sha256sum --check`` reads it |
| ``receipt.jsonl`` | a receipt of the kind ``access``, which names the SHA-256 of ``SHA256SUMS`` |

The same report and the same key give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from contacts_core import __version__
from contacts_core.access.model import AccessReport, AccountAccess, ContactAccess
from contacts_core.access.page import report_page
from contacts_core.formats import plain, private_file
from contacts_core.models import Identifier
from contacts_core.plans.receipts.format import FORMAT, STATES
from contacts_core.plans.receipts.receipt import Receipt, Signer, write
from contacts_core.provider import RawContact
from contacts_core.storage.database import locate_storage
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["archive_files", "save"]

EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that the format can express; the report names its own
OWNER_ONLY = 0o100600 << 16  # a regular file, as the format keeps its mode
UNIX = 3
PERSON = 1
ENDINGS = {"application/json": "json", "text/vcard": "vcf", "text/x-vcard": "vcf"}
SUMS, RECEIPT = "SHA256SUMS", "receipt.jsonl"


def save(report: AccessReport, path: Path, storage: str | Path | None) -> Receipt:
    """Write the archive; see `AccessReport.save`."""
    place = locate_storage(storage)
    pem = place.signing_key()
    files, receipt = archive_files(report, place.key(), Signer.from_pem(pem) if pem else None)
    with private_file(path) as file, ZipFile(file.buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = ZipInfo(name, EARLIEST)
            entry.create_system, entry.external_attr, entry.compress_type = UNIX, OWNER_ONLY, ZIP_DEFLATED
            archive.writestr(entry, content)
    return receipt


def archive_files(
    report: AccessReport, key: PseudonymKey, signer: Signer | None = None
) -> tuple[dict[str, bytes], Receipt]:
    """Return the content of the archive's files by name, and the receipt among them."""
    files = {"report.html": "".join(report_page(report)).encode(), "report.json": _json(_summary(report))}
    for number, account in enumerate(report.accounts, 1):
        folder = f"accounts/{number}-{quote(account.account, safe='')}"
        for place, access in enumerate(account.contacts, 1):
            files[f"{folder}/contact-{place}.json"] = _json(_contact(access))
            if access.raw:
                files[f"{folder}/contact-{place}.raw.{_ending(access.raw)}"] = access.raw.content
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    lines = write(_events(report, hashlib.sha256(sums).hexdigest(), key), key, signer)
    receipt = Receipt.parse("".join(lines))
    return {**files, SUMS: sums, RECEIPT: receipt.text.encode("ascii")}, receipt


def _ending(raw: RawContact) -> str:
    return "json" if raw.media_type.endswith("+json") else ENDINGS.get(raw.media_type, "txt")


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return text.encode("utf-8", "backslashreplace")  # half a character, as JSON spells it


def _contact(access: ContactAccess) -> dict[str, Any]:
    lists = None if access.lists is None else [{"id": id, "name": name} for id, name in access.lists.items()]
    return {"contact": plain(access.contact), "lists": lists}


def _summary(report: AccessReport) -> dict[str, Any]:
    return {
        "made_at": report.made_at.astimezone(UTC).isoformat(timespec="seconds"),
        "library": f"contacts-core {__version__}",
        "complete": report.complete,
        "asked": plain(report.asked),
        "followed": plain(report.followed),
        "not_followed": plain(report.suggestions),
        "accounts": [_account(account) for account in report.accounts],
    }


def _account(account: AccountAccess) -> dict[str, Any]:
    return {
        "account": account.account,
        "provider": account.provider,
        "title": account.title,
        "complete": account.complete,
        "read": account.read,
        "contacts": len(account.contacts),
        "consent": None if account.consent is None else [dict(statement) for statement in account.consent],
        "not_covered": {
            "error": account.error,
            "identifiers": [{"identifier": plain(i), "reason": reason} for i, reason in account.unknown.items()],
            "withheld_contacts": len(account.withheld),
            "gaps": list(account.gaps),
            "kept_elsewhere": dict(account.residual_data),
        },
    }


# -- the receipt


def _events(report: AccessReport, checksum: str, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    """Yield the events of the receipt. Nothing in them names the person."""
    made_at = report.made_at.astimezone(UTC).isoformat(timespec="milliseconds")
    run = f"access-{checksum[:12]}"
    yield {
        "type": "run",
        "format": FORMAT,
        "run": run,
        "plan": checksum,
        "kind": "access",
        "goal": "known",
        "made_at": made_at,
        "begun_at": made_at,
        "accounts": [
            {
                "account": account.account,
                "provider": account.provider,
                "title": account.title,
                "account_id": account.account_id or hashlib.sha256(b"").hexdigest(),
            }
            for account in report.accounts
        ],
        "people": 1,
        "key": key.id,
        "library": f"contacts-core {__version__}",
    }
    for account in report.accounts:
        left = [{"what": what, "why": why} for what, why in account.residual_data.items()]
        yield {"type": "scope", "account": account.account, "provider": account.provider, "unreached": left}
    asked = [{"kind": i.kind.value, "hash": key.identifier(i), "asked": True} for i in report.asked]
    followed = [{"kind": i.kind.value, "hash": key.identifier(i), "asked": False} for i in report.followed]
    yield {"type": "person", "person": PERSON, "identifiers": [*asked, *followed]}
    looked_up = [*report.asked, *report.followed]
    for account in report.accounts:
        having = {i for access in account.contacts for i in access.contact.identifiers}
        yield {
            "type": "found",
            "account": account.account,
            "person": PERSON,
            "contacts": [key.contact(account.account, access.contact.id) for access in account.contacts],
            "by": sorted({i.kind.value for i in looked_up if i in having}),
        }
    results = [_result(account, looked_up, key) for account in report.accounts]
    yield from results
    counts = Counter(result["state"] for result in results)
    yield {
        "type": "end",
        "run": run,
        "state": "done" if report.complete else "incomplete",
        "reason": "",
        "ended_at": made_at,
        **{state: counts[state] for state in STATES},
    }


def _result(account: AccountAccess, looked_up: list[Identifier], key: PseudonymKey) -> dict[str, Any]:
    having = {i for access in account.contacts for i in access.contact.identifiers}
    reason = "; ".join(_reasons(account))
    state = "present" if account.contacts else "absent" if account.complete else "unknown"
    unclear = bool(account.error or account.withheld or account.gaps)
    identifiers: list[Mapping[str, str]] = []
    for identifier in looked_up:
        found = "present" if identifier in having else "absent"
        if found == "absent" and (unclear or identifier in account.unknown):
            found = "unknown"
        why = account.unknown.get(identifier, "") if found == "unknown" else ""
        identifiers.append(
            {"kind": identifier.kind.value, "hash": key.identifier(identifier), "state": found, "reason": why}
        )
    return {
        "type": "result",
        "account": account.account,
        "person": PERSON,
        "found": len(account.contacts),
        "state": state,
        "reason": reason,
        "identifiers": identifiers,
    }


def _reasons(account: AccountAccess) -> Iterator[str]:
    """Yield in words why the account is not covered completely."""
    if account.error:
        yield account.error
    if account.unknown:
        yield f"{len(account.unknown)} identifier(s) not looked up, or without a clear answer"
    if account.withheld:
        yield f"{len(account.withheld)} contact(s) left out, which may be of another person"
    yield from account.gaps
