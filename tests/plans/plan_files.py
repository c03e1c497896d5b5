"""A plan's file as one document to edit, the file of a document with the right checksum, and files with a wrong bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from contacts_core.plans import Plan
from contacts_core.plans.plan_file import spelled

IN_ACCOUNT = {"change": "changes", "unasked": "unasked", "held": "held", "step": "steps"}


def document(plan: Plan) -> Any:
    """The lines of a plan as one document: the head, with the other lines in lists."""
    head, *lines, _ = [json.loads(line) for line in plan.lines()]
    whole: dict[str, Any] = {**head, "people": [], "suggestions": []}
    for account in whole["accounts"]:
        account |= {name: [] for name in IN_ACCOUNT.values()}
    for line in lines:
        what = line.pop("type")
        if what in IN_ACCOUNT:
            name = line.pop("in")
            next(a for a in whole["accounts"] if a["account"] == name)[IN_ACCOUNT[what]].append(line)
        else:
            whole["people" if what == "person" else "suggestions"].append(line)
    return whole


def file_of(whole: Any) -> bytes:
    """The file of a document."""
    lists = {"people", "suggestions"}
    accounts = [
        {name: value for name, value in account.items() if name not in IN_ACCOUNT.values()}
        for account in whole["accounts"]
    ]
    lines: list[Any] = [{**{name: value for name, value in whole.items() if name not in lists}, "accounts": accounts}]
    lines += [{"type": "person", **person} for person in whole["people"]]
    lines += [{"type": "suggestion", **suggestion} for suggestion in whole["suggestions"]]
    changes = 0
    for account in whole["accounts"]:
        for what, name in IN_ACCOUNT.items():
            lines += [{"type": what, "in": account["account"], **line} for line in account[name]]
        changes += len(account["changes"])
    content = b"".join(map(spelled, lines))
    end = {"type": "end", "people": len(whole["people"]), "changes": changes}
    return content + spelled({**end, "checksum": hashlib.sha256(content).hexdigest()})


def flipped(content: bytes) -> Iterator[bytes]:
    """A file with each bit of each byte changed."""
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            yield bytes(changed)
