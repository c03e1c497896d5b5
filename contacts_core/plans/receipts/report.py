"""A receipt as one HTML page, which loads nothing from elsewhere, fits a phone and prints well.

What the page claims is computed from the results. The page is produced as a stream: lines of the receipt are read type
by type, and only those of listed people are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self

from attrs import define, field, frozen

from contacts_core.formats.pages import page
from contacts_core.models import LossCode
from contacts_core.plans.change_operations import repetition_warning
from contacts_core.plans.kinds import KINDS
from contacts_core.plans.receipts.format import STATES
from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["ReportSource", "html", "html_parts"]

TEMPLATES = Path(__file__).with_name("templates")
MAX_LISTED_PEOPLE = 500  # of more people, those who are absent everywhere are only counted
MAX_LISTED_STEPS = 500  # of more steps, those that ended as they should are only counted
SHOWN_DIGITS = 12  # of a hash

Line = Mapping[str, Any]


@frozen
class ReportSource:
    """What a page needs of a receipt that was checked.

    Attributes:
        head: The first line.
        end: The last line.
        line_count: How many lines there are.
        of_type: Returns the lines of one type in their order; it is called several times for the same type.
    """

    head: Line
    end: Line
    line_count: int
    of_type: Callable[[str], Iterable[Line]]

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return the source of a receipt in memory."""
        return cls(receipt.lines[0], receipt.lines[-1], len(receipt.lines), receipt.of)


@frozen
class State:
    """A state as it is shown: its word, and the class of its colour."""

    label: str
    mark: str


@frozen
class Wording:
    """How a page talks about one kind of receipt.

    Attributes:
        title: What people call the kind.
        done: What is said when nothing is left to do.
        complete_with: The states that such a receipt may have then.
        states: How each state is shown.
        meanings: What the words of the states mean.
        scope: What is said before the list of what is not covered.
        nowhere: What is said of people who are not listed if there are many.
        quiet: The state that these people have in every account.
    """

    title: str
    done: str
    complete_with: Collection[str] = ("absent",)
    states: Mapping[str, State] = {
        "absent": State("absent", "good"),
        "present": State("present", "bad"),
        "unknown": State("unknown", "doubt"),
    }
    meanings: Mapping[str, str] = {
        "absent": "read again after the work, in every way the vendor offers, and not found",
        "present": "still found by at least one of these reads",
        "unknown": "not verified, so nothing is claimed",
    }
    scope: str = "Deleting contacts leaves this behind. Where it matters, it has to be removed separately."
    nowhere: str = "absent everywhere"
    quiet: str = "absent"


ADDED: tuple[Any, ...] = (
    ("present",),
    {
        "absent": State("absent", "bad"),
        "present": State("present", "good"),
        "unknown": State("unknown", "doubt"),
    },
    {
        "present": "read again after the work, and there",
        "absent": "not there when it was read again, or there was no such contact",
        "unknown": "not verified, so nothing is claimed",
    },
    "",
    "present everywhere",
    "present",
)
TAKEN_BACK: tuple[Any, ...] = (
    ("absent",),
    {
        "absent": State("taken back", "good"),
        "present": State("not taken back", "bad"),
        "unknown": State("unknown", "doubt"),
    },
    {
        "taken back": "read again after the work: what the run had written is gone, or is as it was before",
        "not taken back": "what the run had written was still there when it was read again",
        "unknown": "not verified, so nothing is claimed",
    },
    "Deleting contacts leaves this behind. Where it matters, it has to be removed separately.",
    "as they were before, everywhere,",
    "absent",
)
ACCESS = Wording(
    "Access to personal data",
    "Every account was read completely.",
    ("absent", "present"),
    {
        "absent": State("nothing found", "good"),
        "present": State("data found", "good"),
        "unknown": State("unknown", "doubt"),
    },
    {
        "data found": "at least one contact of the person was found; the archive contains it",
        "nothing found": "looked up in every account, and not found",
        "unknown": "not everything could be read, so nothing is claimed",
    },
    "The archive contains contacts. Vendors keep other data as well, which has to be asked for separately.",
    "not found anywhere",
)


def _wording(kind: str) -> Wording:
    """Return how a page talks about a kind of plan, or of receipt."""
    if kind == "access":
        return ACCESS
    if kind not in KINDS:
        return Wording(kind, "")
    rules = KINDS[kind]
    if rules.goal != "absent":
        return Wording(rules.title, rules.done, *ADDED)
    return Wording(rules.title, rules.done) if rules.about_people else Wording(rules.title, rules.done, *TAKEN_BACK)


STATE_SENTENCES = {
    "incomplete": "Not everything is verified.",
    "refused": "The run was refused.",
    "cancelled": "The run was cancelled. What was done before stays done.",
    "failed": "The run failed.",
}
OPERATIONS = {
    "add_to_list": "Addition to a list",
    "change_contact": "Change of fields",
    "confirm_consent": "Confirmation of consent",
    "create_custom_field": "Creation of a custom field",
    "create_field": "Creation of a custom field",
    "create_list": "Creation of a list",
    "delete": "Deletion of contacts",
    "delete_contacts": "Deletion of contacts",
    "ensure_consent_scopes": "Creation of a scope of consent",
    "erase_mail_data": "Erasure of data of sent mail",
    "remove_from_list": "Removal from a list",
    "remove_identifier": "Removal of an identifier",
    "suppress": "Suppression of identifiers",
    "upsert": "Writing of contacts",
    "upsert_contacts": "Writing of contacts",
    "write_consent": "Writing of consent",
}
LOSSES = {
    LossCode.NO_PLACE.value: "the vendor has nothing of this kind",
    LossCode.NO_FIELD.value: "the account has no field for it",
    LossCode.NO_LIST.value: "the account has no such list",
    LossCode.RETYPED.value: "kept as a value of another type",
    LossCode.TRUNCATED.value: "too long, and cut",
    LossCode.RESPELLED.value: "kept in another form",
    LossCode.TOO_MANY.value: "the vendor keeps fewer of them",
    LossCode.READ_ONLY.value: "only the vendor writes it",
    LossCode.REASON_LOST.value: "the reason of a statement is not kept",
    LossCode.DATE_LOST.value: "the time of a statement is not kept",
    LossCode.NO_CONSENT.value: "consent, or its withdrawal, is not kept",
    LossCode.REFUSED.value: "the vendor would refuse it",
}
UNSUBSCRIBED = {
    "keep": "copied, with their refusal, which was written and read back before any contact",
    "skip": "not copied",
}
STEP_STATES = {
    "accepted": "accepted by the vendor",
    "cut off": "cut off",
    "done": "done",
    "failed": "failed",
    "partial": "partly done",
}
COUNTS = {
    "confirmed": "confirmed",
    "absent": "already gone",
    "failed": "failed",
    "unconfirmed": "not confirmed one by one",
}


def html(receipt: Receipt, *, title: str = "", sealed: bool = False) -> str:
    """Return the page of a receipt; see `html_parts`."""
    return "".join(html_parts(ReportSource.of(receipt), title=title, sealed=sealed))


def html_parts(source: ReportSource, *, title: str = "", sealed: bool = False) -> Iterator[str]:
    """Yield the text of the page, in parts.

    Args:
        source: The receipt.
        title: Title of the page; by default the kind of plan.
        sealed: Whether its seal was checked with the receipt key (`Receipt.sealed_by`).

    Raises:
        ConfigurationError: The extra ``plans`` is missing.
    """
    summary = Summary.of(source)
    people = People.of(source, summary)
    words = summary.words
    yield from page(
        TEMPLATES,
        "receipt.html.jinja",
        title=title or f"{words.title}: receipt",
        verdict=_verdict(source, summary),
        facts=_facts(source, words),
        state_heads=[f"#{words.states[state].label.capitalize()}" for state in STATES],
        accounts=_accounts(source, summary),
        people=people.lines,
        unlisted=people.unlisted,
        other_people=people.others(),
        stages=_stages(source),
        known=list(_known(source)),
        leftovers=_wording_of_leftovers(words),
        steps=_steps(source, summary),
        scope_sentence=words.scope,
        scopes=_scopes(source),
        proof=_proof(source, sealed=sealed),
        proven=sealed or bool(source.end["signature"]),
        meanings=list(words.meanings.items()),
        accepted_note=words is not ACCESS,
    )


@define
class Summary:
    """The numbers of a receipt, from one pass over its results and one over its steps.

    Attributes:
        words: How the page talks about it.
        counts: Results by account and state.
        found: Contacts found, by account.
        people: Numbers of the people whose results are not all absent.
        steps: How many attempts at steps there are.
        plain_steps: How many of them ended as they should.
        cut_off: Whether an attempt was cut off.
    """

    words: Wording
    counts: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    found: Counter[str] = field(factory=Counter[str])
    people: dict[int, None] = field(factory=dict[int, None])
    steps: int = 0
    plain_steps: int = 0
    cut_off: bool = False

    @classmethod
    def of(cls, source: ReportSource) -> Self:
        """Read what there is to count."""
        kind = str(source.head["kind"])
        summary = cls(_wording(kind))
        for line in source.of_type("result"):
            summary.counts[line["account"], line["state"]] += 1
            summary.found[line["account"]] += line["found"]
            if line["state"] != summary.words.quiet:
                summary.people[line["person"]] = None
        for line in source.of_type("step"):
            summary.steps += 1
            summary.plain_steps += _as_it_should(line)
            summary.cut_off = summary.cut_off or line["ended_at"] is None
        return summary

    def total(self, state: str) -> int:
        """Return the number of results with this state, in all accounts."""
        return sum(count for (_, found), count in self.counts.items() if found == state)

    def state(self, state: str) -> State:
        """Return how a state is shown."""
        return self.words.states[state]


def _verdict(source: ReportSource, summary: Summary) -> Mapping[str, Any]:
    state, words = str(source.end["state"]), summary.words
    complete = state == "done" and all(summary.total(other) == 0 for other in set(STATES) - set(words.complete_with))
    sentence = words.done if complete else STATE_SENTENCES.get(state, STATE_SENTENCES["incomplete"])
    if words is ACCESS and not complete:
        sentence = "Not everything could be read."
    elif state == "refused" and not summary.steps:
        sentence = "The run was refused before anything was changed."
    numbers = ", ".join(f"{summary.total(each)} {words.states[each].label}" for each in STATES)
    return {
        "complete": complete,
        "sentence": sentence or state,
        "reason": str(source.end["reason"]),
        "numbers": numbers,
    }


def _facts(source: ReportSource, words: Wording) -> list[tuple[str, object]]:
    head = source.head
    return [
        ("Run", head["run"]),
        ("Kind", words.title),
        ("People", head["people"]),
        ("Accounts", len(head["accounts"])),
        ("Planned", _time(head["made_at"])),
        ("Begun", _time(head["begun_at"])),
        ("Ended", _time(source.end["ended_at"])),
    ]


def _accounts(source: ReportSource, summary: Summary) -> Iterator[Mapping[str, Any]]:
    for account in source.head["accounts"]:
        name = account["account"]
        counts = [
            {"label": summary.state(state).label.capitalize(), "number": summary.counts[name, state]}
            for state in STATES
        ]
        yield {"name": name, "vendor": account["title"], "found": summary.found[name], "counts": counts}


@frozen
class People:
    """The lines about people: in full for some, in short for the others who are not absent.

    Attributes:
        lines: The results of listed people, person by person.
        unlisted: How many people are not listed, and why.
    """

    lines: Sequence[Mapping[str, Any]]
    unlisted: Mapping[str, Any]
    _source: ReportSource
    _summary: Summary
    _others: Collection[int]

    @classmethod
    def of(cls, source: ReportSource, summary: Summary) -> Self:
        """Choose whom to list, and read their lines."""
        number = source.head["people"]
        many = number > MAX_LISTED_PEOPLE
        listed = set(islice(summary.people, MAX_LISTED_PEOPLE))
        others = summary.people.keys() - listed if many else set[int]()
        results = [line for line in source.of_type("result") if not many or line["person"] in listed]
        results.sort(key=lambda line: line["person"])  # the accounts of each person stay in their order
        work = _work(source, results)
        lines = [
            _result(line, summary)
            | {
                "work": "; ".join(work.get((line["account"], line["person"]), ())) or "nothing",
                "identifiers": [
                    {"kind": i["kind"], "hash": i["hash"][:SHOWN_DIGITS], "state": summary.state(i["state"])}
                    for i in line["identifiers"]
                ],
            }
            for line in results
        ]
        unlisted = {
            "absent": number - len(summary.people) if many else 0,
            "people": number,
            "others": len(others),
            "word": summary.words.nowhere,
        }
        return cls(lines, unlisted, source, summary, others)

    def others(self) -> Iterator[Mapping[str, Any]]:
        """Yield the results of people who are neither listed nor absent."""
        for line in self._source.of_type("result"):
            if line["state"] != self._summary.words.quiet and line["person"] in self._others:
                yield _result(line, self._summary)


def _result(line: Line, summary: Summary) -> dict[str, Any]:
    state = summary.state(line["state"])
    return {name: line[name] for name in ("person", "account", "found", "reason")} | {"state": state}


def _work(source: ReportSource, results: Sequence[Line]) -> dict[tuple[str, int], dict[str, None]]:
    """Return what was done for the people of these results in each account, in words."""
    people = {line["person"] for line in results}
    persons: dict[tuple[str, str], list[int]] = {}  # of a contact or an identifier, by account and pseudonym
    for line in results:
        for identifier in line["identifiers"]:
            persons.setdefault((line["account"], identifier["hash"]), []).append(line["person"])
    for line in source.of_type("found"):
        if line["person"] in people:
            for contact in line["contacts"]:
                persons.setdefault((line["account"], contact), []).append(line["person"])
    work: dict[tuple[str, int], dict[str, None]] = {}
    for line in source.of_type("step"):
        state = STEP_STATES.get(line["state"], line["state"])
        words = f"{_operation(line)} (step {line['step']}, attempt {line['attempt']}: {state})"
        for contact in line["touched"]:
            for person in persons.get((line["account"], contact), ()):
                work.setdefault((line["account"], person), {})[words] = None
    return work


def _operation(line: Line) -> str:
    """Return the name of an operation in words."""
    name = str(line["operation"])
    return OPERATIONS.get(name) or name.replace("_", " ").capitalize()


def _as_it_should(step: Line) -> bool:
    return bool(step["ended_at"]) and step["state"] in {"done", "accepted"} and not (step["failed"] or step["reasons"])


def _steps(source: ReportSource, summary: Summary) -> Mapping[str, Any]:
    unlisted = summary.plain_steps if summary.steps > MAX_LISTED_STEPS else 0
    lines = (_step(line) for line in source.of_type("step") if not (unlisted and _as_it_should(line)))
    return {"total": summary.steps, "unlisted": unlisted, "lines": lines, "cut_off": summary.cut_off}


def _stages(source: ReportSource) -> list[Mapping[str, Any]]:
    """Return the stages of the latest round of each account, with the numbers of what was verified."""
    latest: dict[str, list[Line]] = {}
    for line in source.of_type("stage"):
        known = latest.setdefault(line["account"], [])
        if known and known[0]["round"] < line["round"]:
            known.clear()
        known.append(line)
    return [
        {
            "account": line["account"],
            "number": line["stage"],
            "work": _operation(line),
            "changes": line["changes"],
            "verified": line["verified"],
            "rest": "; ".join([*_shortfall(line), *line["reasons"]]),
        }
        for lines in latest.values()
        for line in lines
    ]


def _shortfall(stage: Line) -> list[str]:
    return [f"{stage[name]} {word}" for name, word in (("unmade", "not made"), ("unknown", "unknown")) if stage[name]]


def _step(line: Line) -> Mapping[str, Any]:
    attempt = f", attempt {line['attempt']}" if line["attempt"] > 1 else ""
    after = f", round {line['round']}" if line["round"] > 1 else ""
    contacts = "1 contact" if line["contacts"] == 1 else f"{line['contacts']} contacts"
    counts = ", ".join(f"{line[name]} {word}" for name, word in COUNTS.items() if line[name])
    state = STEP_STATES.get(line["state"], str(line["state"]))
    jobs = [f"job {job['id'][:SHOWN_DIGITS]}" for job in line["jobs"]]
    return {
        "account": line["account"],
        "number": line["step"],
        "work": f"{_operation(line)}{attempt}{after}: {contacts}",
        "result": "; ".join([f"{state}: {counts}" if counts else state, *line["reasons"], *jobs]),
        "ended": _time(line["ended_at"], zone="") if line["ended_at"] else "",
    }


def _scopes(source: ReportSource) -> Iterator[Mapping[str, Any]]:
    for line in source.of_type("scope"):
        yield {"account": line["account"], "unreached": [(item["what"], item["why"]) for item in line["unreached"]]}


def _known(source: ReportSource) -> Iterator[Mapping[str, Any]]:
    """Yield what was known of each account before the work, if anything was."""
    for line in source.of_type("scope"):
        facts = [(name, value) for name, value in _origin(line) if value]
        losses = [
            {"what": LOSSES.get(loss["code"], loss["code"]), "field": loss["field"], "count": loss["count"]}
            for loss in line.get("losses", ())
        ]
        warning = repetition_warning(line.get("non_idempotent", ()))
        if facts or losses or line.get("held") or warning:
            about = {"account": line["account"], "held": line.get("held", ()), "warning": warning}
            yield {**about, "facts": facts, "losses": losses}


def _origin(scope: Line) -> list[tuple[str, str]]:
    unsubscribed = str(scope.get("unsubscribed", ""))
    return [
        ("Copied from", str(scope.get("source", ""))),
        ("People who refused", UNSUBSCRIBED.get(unsubscribed, unsubscribed)),
    ]


def _wording_of_leftovers(words: Wording) -> str:
    return "Not taken back" if words.states["absent"].label == "taken back" else "Left alone"


def _proof(source: ReportSource, *, sealed: bool) -> list[tuple[str, str]]:
    head, end = source.head, source.end
    seal = f"with the receipt key {head['key']}, checked when this page was made"
    if not sealed:
        seal = f"the file names the receipt key {head['key']}; not checked when this page was made"
    signature = "not signed"
    if end["signature"]:
        signature = f"by the Ed25519 key {end['public_key']}; check that it is the key you expect"
    return [
        ("Chain", f"complete: {source.line_count} lines, each with the hash of the one before"),
        ("Last hash", end["hash"]),
        ("Archive" if head["kind"] == "access" else "Plan", f"checksum {head['plan']}"),
        ("Seal", seal),
        ("Signature", signature),
    ]


def _time(written: str, zone: str = " UTC") -> str:
    return datetime.fromisoformat(written).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + zone
