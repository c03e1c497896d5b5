"""A receipt as one HTML page, which loads nothing from elsewhere and prints well.

What the page claims is computed from the results. Texts are escaped, and invisible characters (controls, marks that
change the direction of the text) are shown as replacement characters.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape as escape_markup
from typing import Any

from contacts_core.plans.kinds import KINDS
from contacts_core.plans.receipts.format import STATES
from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["html"]

MAX_LISTED_PEOPLE = 500  # of more people, those who are absent everywhere are only counted
SHOWN_DIGITS = 12  # of a hash

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 Georgia, 'Times New Roman', serif; color: #1a1a1a; background: #fff; max-width: 62rem;
  margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #1a1a1a; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
.verdict { font-size: 1.1rem; border-left: .4rem solid #555; padding: .5rem 1rem; background: #f4f4f2; }
.verdict.done { border-color: #1e6b3a; } .verdict.open { border-color: #a33018; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ccc; }
thead th { border-bottom: 1px solid #1a1a1a; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.absent { color: #1e6b3a; }
.present { color: #a33018; font-weight: bold; }
.unknown { color: #8a5a00; font-weight: bold; }
code { font: .85em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .5rem 0; }
dt { color: #555; } dd { margin: 0; }
footer { margin-top: 2.5rem; color: #555; font-size: .85rem; }
@page { size: A4; margin: 18mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 10.5pt; } h2, h3 { break-after: avoid; }
  tr, dl, .verdict { break-inside: avoid; } thead { display: table-header-group; } }
"""

STATE_MEANINGS = {
    "absent": "read again after the work, in every way the vendor offers, and not found",
    "present": "still found by at least one of these reads",
    "unknown": "not verified, so nothing is claimed",
}
STATE_SENTENCES = {
    "incomplete": "Not everything is verified.",
    "refused": "The run was refused.",
    "cancelled": "The run was cancelled. What was done before stays done.",
    "failed": "The run failed.",
}
KIND_OF = KINDS
AFTERWORD = """<p>A vendor that accepts a request has not carried it out yet, so an accepted request does not count as
absent. This page says nothing about other systems.</p>
<footer>Made from the receipt file alone. Anyone who has that file can make this page again, and check the file with
<code>contacts receipt verify</code>.</footer>"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"


def html(receipt: Receipt, *, title: str = "", sealed: bool = False) -> str:
    """Return the page.

    Args:
        receipt: A receipt.
        title: Title of the page; by default the kind of plan.
        sealed: Whether its seal was checked with the receipt key (`Receipt.sealed_by`).
    """
    name = title or f"{_kind_title(receipt)}: receipt"
    parts = [
        f"<h1>{escape(name)}</h1>",
        *_verdict(receipt),
        *_proof(receipt, sealed=sealed),
        *_accounts(receipt),
        *_people(receipt),
        *_work(receipt),
        *_residual_data(receipt),
        "<h2>What the words mean</h2>",
        _pairs(STATE_MEANINGS.items()),
        AFTERWORD,
    ]
    return PAGE.format(name=escape(name), policy=POLICY, style=STYLE, body="\n".join(parts))


def _verdict(receipt: Receipt) -> Iterator[str]:
    run, end = receipt.lines[0], receipt.lines[-1]
    kind = "done" if receipt.complete else "open"
    reason = f" <bdi>{escape(receipt.reason)}</bdi>." if receipt.reason else ""
    numbers = f"{receipt.absent} absent, {receipt.present} present, {receipt.unknown} unknown"
    ended = STATE_SENTENCES.get(receipt.state, STATE_SENTENCES["incomplete"])
    if receipt.complete:
        ended = KIND_OF[receipt.kind].done if receipt.kind in KIND_OF else ""
    if receipt.state == "refused" and not receipt.of("step"):
        ended = "The run was refused before anything was changed."
    verdict = f"<strong>{escape(ended or receipt.state)}</strong>{reason} {numbers}, counted per person and account."
    yield f'<p class="verdict {kind}">{verdict}</p>'
    yield _pairs(
        [
            ("Run", run["run"]),
            ("Kind", _kind_title(receipt)),
            ("People", run["people"]),
            ("Planned", _time(run["made_at"])),
            ("Begun", _time(run["begun_at"])),
            ("Ended", _time(end["ended_at"])),
        ]
    )


def _proof(receipt: Receipt, *, sealed: bool) -> Iterator[str]:
    end = receipt.lines[-1]
    yield "<h2>How this file proves itself</h2>"
    seal = f"with the receipt key {receipt.key_id}, checked when this page was made"
    if not sealed:
        seal = f"the file names the receipt key {receipt.key_id}; not checked when this page was made"
    signature = "not signed"
    if receipt.signed:
        signature = f"by the Ed25519 key {receipt.public_key}; check that it is the key you expect"
    yield _pairs(
        [
            ("Chain", f"complete: {len(receipt.lines)} lines, each with the hash of the one before"),
            ("Last hash", end["hash"]),
            ("Plan", f"checksum {receipt.plan}"),
            ("Seal", seal),
            ("Signature", signature),
        ]
    )
    if not (sealed or receipt.signed):
        yield "<p>Nothing that was checked for this page proves who wrote the file: anyone can make such a chain.</p>"


def _accounts(receipt: Receipt) -> Iterator[str]:
    counts = Counter((line["account"], line["state"]) for line in receipt.of("result"))
    found: Counter[str] = Counter()
    for line in receipt.of("result"):
        found[line["account"]] += line["found"]
    yield "<h2>Accounts</h2>"
    rows = [
        [
            _text(account["account"]),
            _text(account["title"]),
            _number(found[account["account"]]),
            *(_number(counts[account["account"], state]) for state in STATES),
        ]
        for account in receipt.lines[0]["accounts"]
    ]
    yield _table(["Account", "Vendor", "#Contacts found", "#Absent", "#Present", "#Unknown"], rows)


def _people(receipt: Receipt) -> Iterator[str]:
    results: dict[int, list[Mapping[str, Any]]] = {}
    for line in receipt.of("result"):
        results.setdefault(line["person"], []).append(line)
    done = _done(receipt)
    yield "<h2>People</h2>"
    yield (
        "<p>No person is named here. Each identifier is shown as the beginning of its pseudonym. The holder of the "
        "receipt key can look one up with <code>contacts receipt find</code>.</p>"
    )
    shown = results
    if len(results) > MAX_LISTED_PEOPLE:
        shown = {n: lines for n, lines in results.items() if any(line["state"] != "absent" for line in lines)}
        yield (
            f"<p>{len(results) - len(shown)} of {len(results)} people are absent everywhere and are not listed here. "
            "The receipt file contains all of them.</p>"
        )
    rows: list[list[str]] = []
    for number, lines in shown.items():
        for line in lines:
            identifiers = "<br>".join(
                f"{escape(i['kind'])} <code>{escape(i['hash'][:SHOWN_DIGITS])}</code> {_state(i['state'])}"
                for i in line["identifiers"]
            )
            rows.append(
                [
                    _number(number),
                    _text(line["account"]),
                    _number(line["found"]),
                    _text("; ".join(done.get((line["account"], number), ())) or "nothing"),
                    f"<td>{_state(line['state'])}<br>{escape(line['reason'])}</td>",
                    f"<td>{identifiers}</td>",
                ]
            )
    if rows:
        yield _table(["#Person", "Account", "#Found", "Done", "Verified", "Identifiers"], rows)


def _kind_title(receipt: Receipt) -> str:
    """Return what people call the kind of plan; a kind that is not known here is called by its name."""
    return KIND_OF[receipt.kind].title if receipt.kind in KIND_OF else receipt.kind


def _steps_of(receipt: Receipt) -> dict[tuple[str, str], list[str]]:
    """Return the steps that changed a contact, by account and pseudonym."""
    steps: dict[tuple[str, str], list[str]] = {}
    for line in receipt.of("step"):
        step = f"{line['operation']} (step {line['step']}, attempt {line['attempt']}: {line['state']})"
        for contact in line["touched"]:
            steps.setdefault((line["account"], contact), []).append(step)
    return steps


def _done(receipt: Receipt) -> dict[tuple[str, int], list[str]]:
    """Return what was done for a person in an account, in words."""
    steps = _steps_of(receipt)
    return {
        (line["account"], line["person"]): list(
            dict.fromkeys(step for contact in line["contacts"] for step in steps.get((line["account"], contact), ()))
        )
        for line in receipt.of("found")
    }


def _work(receipt: Receipt) -> Iterator[str]:
    steps = receipt.of("step")
    yield "<h2>What was done</h2>"
    if not steps:
        yield "<p>Nothing was changed.</p>"
        return
    rows = [
        [
            _text(line["account"]),
            _number(line["round"]),
            _number(line["step"]),
            _number(line["attempt"]),
            _text(line["operation"]),
            *(_number(line[name]) for name in ("contacts", "confirmed", "absent", "failed", "unconfirmed")),
            _text(
                "; ".join(
                    [line["state"], *line["reasons"], *(f"job {job['id'][:SHOWN_DIGITS]}" for job in line["jobs"])]
                )
            ),
            _text(_time(line["ended_at"]) if line["ended_at"] else "cut off: its result is not known"),
        ]
        for line in steps
    ]
    head = [
        "Account",
        "#Round",
        "#Step",
        "#Attempt",
        "Operation",
        "#Contacts",
        "#Confirmed",
        "#Already gone",
        "#Failed",
    ]
    yield _table([*head, "#Unconfirmed", "Outcome", "Ended"], rows)
    if any(line["ended_at"] is None for line in steps):
        yield "<p>An attempt that was cut off was repeated, which changes nothing more.</p>"


def _residual_data(receipt: Receipt) -> Iterator[str]:
    yield "<h2>Residual data</h2>"
    yield "<p>Deleting contacts leaves this behind. Where it matters, it has to be removed separately.</p>"
    for line in receipt.of("scope"):
        yield f"<h3>{escape(line['account'])}</h3>"
        if line["unreached"]:
            yield _pairs((item["what"], item["why"]) for item in line["unreached"])
        else:
            yield "<p>The provider states nothing. That does not mean that nothing is left behind.</p>"


def escape(value: object) -> str:
    """Return text without markup, in which every character is visible."""
    return escape_markup("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)))


def _time(written: str) -> str:
    return datetime.fromisoformat(written).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _state(state: str) -> str:
    return f'<span class="{escape(state)}">{escape(state)}</span>'


def _text(value: object) -> str:
    return f"<td>{escape(value)}</td>"


def _number(value: object) -> str:
    return f'<td class="n">{escape(value)}</td>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table. Heads that begin with # are above numbers."""
    marks = [(' class="n"', name[1:]) if name.startswith("#") else ("", name) for name in head]
    heads = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for mark, name in marks)
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs) + "</dl>"
