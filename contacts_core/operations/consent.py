"""Read, look up and write statements of consent; erase what is kept of sent mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from attrs import evolve

from contacts_core.errors import IncompleteExport, Interrupted, InvalidInput, ProviderError, Rejected, UnexpectedPayload
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    Failure,
    FoundConsent,
    Identifier,
    IdentifierKind,
    LossCode,
    Outcome,
    merge_consent,
)
from contacts_core.operations.checks import require, several
from contacts_core.operations.outcomes import completed
from contacts_core.operations.upserting import WriteGuard
from contacts_core.provider import (
    Blocking,
    ConsentPreview,
    CreatesConsentScopes,
    Emit,
    ErasesMailData,
    FindsConsent,
    Flow,
    LiftsSuppressions,
    Provider,
    ReadsConsent,
    Stream,
    WritesConsent,
    absent,
    done,
    failed,
    flows,
    preview_consent,
)

__all__ = [
    "can_name_scope",
    "cannot_erase_mail_data",
    "consent",
    "ensure_consent_scopes",
    "erase_mail_data",
    "find_consent",
    "lift_suppression",
    "write_consent",
]

OPERATION = "write_consent"
LIFTED_BY_DEFAULT = (None, ConsentReason.UNSUBSCRIBE, ConsentReason.MANUAL)
"""What the person or the sender said, not what mail servers and complaints said."""
ACCEPTABLE: Mapping[LossCode, Collection[str]] = {
    LossCode.REASON_LOST: ("reason",),
    LossCode.DATE_LOST: ("at",),
    LossCode.NO_PLACE: ("scope", "evidence"),
    LossCode.RETYPED: ("coverage",),
}
"""Losses that a caller can accept, each with the fields that it is about."""
IN_WORDS = {
    "reason": "the reason",
    "at": "the date",
    "scope": "the scope, so that it would cover everything on the channel",
    "evidence": "the evidence",
    "coverage": "the coverage, so that it would cover other messages as well",
}


# -- reading


def consent(provider: Provider) -> Stream[Consent]:
    """Read every statement of the account, page by page.

    Raises:
        IncompleteExport: The vendor tells a total, and there were fewer statements.
    """
    able = require(provider, ReadsConsent)
    cursors = flows.Cursors(able.http.max_pages, most_empty=None)  # a page of contacts may hold no statement
    cursor: str | None = None
    count = 0
    while True:
        page = yield from able.consent_page(cursor)
        count += len(page.items)
        if page.items:
            yield Emit([evolve(statement, provider=able.name) for statement in page.items])
        if (cursor := cursors.after(page)) is None:
            break
    if page.total is not None and count < page.total:
        raise IncompleteExport(count, page.total)


def find_consent(provider: Provider, identifiers: Iterable[Identifier]) -> Flow[FoundConsent]:
    """Look up the statements about identifiers; statements about others than they are said to answer are left out."""
    able = require(provider, FindsConsent)
    everything = list(dict.fromkeys(identifiers))
    unasked = {each: reason for each in everything if (reason := _cannot_find(able, each))}
    found: dict[Identifier, list[Consent]] = {each: [] for each in everything if each not in unasked}
    mismatched: dict[Identifier, int] = {}
    look_ups = [able.find_consent(part) for part in flows.chunks(found, able.consent_find_batch_size)]
    for end in (yield from flows.run_together(look_ups, able.concurrency)):
        if end.error:  # also `NotFound`: an endpoint that is not there says nothing about anybody
            raise end.error
        for identifier, statement in end.value or ():
            if identifier in found and statement.identifier == identifier:
                found[identifier].append(evolve(statement, provider=able.name))
            else:
                mismatched[identifier] = mismatched.get(identifier, 0) + 1
    return FoundConsent({each: tuple(dict.fromkeys(said)) for each, said in found.items()}, unasked, mismatched)


def _cannot_find(provider: FindsConsent, identifier: Identifier) -> str:
    if not identifier.value.strip():
        return "the identifier is blank"
    if identifier.kind not in provider.consent_find_kinds:
        return f"{provider.title or provider.name} keeps no statements about this kind of identifier"
    return provider.cannot_find_consent(identifier)


# -- writing


def write_consent(
    provider: Provider, statements: Iterable[Consent], accept: Iterable[str] = (), guard: WriteGuard | None = None
) -> Flow[Outcome]:
    """Write statements of consent, and nothing of those that would lose more than the caller accepts.

    Args:
        provider: The account's provider.
        statements: The statements. Where the vendor keeps one about each thing, they are merged first, and counted as
            what is left of them.
        accept: Losses that are accepted: codes of `preview_consent`, each with a field behind a colon or without.
        guard: Called where a statement may create a contact; it is as that of `upsert_contacts`.

    Raises:
        InvalidInput: ``accept`` has something that is no such loss; nothing was sent.
        Interrupted: It stopped half-way.
    """
    able = require(provider, WritesConsent)
    accepted = _accepted(accept)
    given = list(dict.fromkeys(statements))
    kept = given if able.keeps_history else list(merge_consent(given))
    reasons: dict[Consent, str] = {}
    if not able.keeps_history:
        standing = {statement.about: statement for statement in kept}
        for statement in given:
            if statement.state is not standing[statement.about].state:
                reasons[statement] = f"a statement that counts more is {standing[statement.about].state.value}"
    previews = {statement: preview_consent(able, statement) for statement in kept}
    reasons |= {each: why for each in kept if (why := _not_sent(able, each, previews[each], accepted))}
    left = [statement for statement in kept if statement not in reasons]
    if guard is not None and able.consent_creates_contacts and left:
        contacts = [Contact(identifiers=(statement.identifier,)) for statement in left]
        answers = yield from Blocking(partial(guard, contacts))
        reasons |= {each: f"it is held back, {why}" for each, why in zip(left, answers, strict=True) if why}
        left = [statement for statement in left if statement not in reasons]
    # A vendor may keep statements about contacts, so that a refusal of one address is a refusal of all of its contact.
    # Grants come last, and are held back by the refusals that were just written.
    in_order = able.keeps_history
    first = [each for each in left if in_order or each.state is ConsentState.REVOKED]
    last = [each for each in left if not in_order and each.state is not ConsentState.REVOKED]
    outcome = _unsent(able, reasons)
    sending = first
    try:
        outcome = yield from _send(able, first, outcome)
        sending = []
        reasons = yield from _grants_to_hold_back(able, last)
    except Exception as error:
        if not (first and last):
            raise
        before = Outcome(operation=OPERATION, provider=able.name) if isinstance(error, Interrupted) else outcome
        names = [[_name(statement) for statement in part] for part in (sending, last)]
        raise flows.continued(error, before, *names) from error
    last = [statement for statement in last if statement not in reasons]
    outcome = Outcome.merge(OPERATION, able.name, [outcome, _unsent(able, reasons)])
    if last:
        outcome = yield from _send(able, last, outcome)
    lost = {f"{each.field} ({each.code.value})" for statement in (*first, *last) for each in previews[statement].losses}
    return evolve(outcome, dropped_fields=tuple(sorted({*outcome.dropped_fields, *lost})))


def _send(provider: WritesConsent, statements: Sequence[Consent], besides: Outcome) -> Flow[Outcome]:
    def write(chunk: Sequence[Consent]) -> Flow[Outcome]:
        flow = provider.write_consent(chunk)
        return completed(provider, WritesConsent, OPERATION, flow, [_name(statement) for statement in chunk])

    size, limit = provider.consent_batch_size, provider.concurrency
    return (yield from flows.in_chunks(OPERATION, provider.name, statements, size, limit, write, _name, besides))


def _unsent(provider: Provider, reasons: Mapping[Consent, str]) -> Outcome:
    failures = tuple(Failure(_name(each), f"not sent: {why}") for each, why in reasons.items())
    return Outcome(operation=OPERATION, provider=provider.name, requested=len(failures), failed=failures)


def _name(statement: Consent) -> str:
    return statement.identifier.value


def _accepted(accept: Iterable[str]) -> set[tuple[LossCode, str]]:
    """The code and the field of each loss that is accepted."""
    if isinstance(accept, str):
        raise InvalidInput("expected a list of losses, got a str", hint="put it into a list")
    accepted: set[tuple[LossCode, str]] = set()
    for each in accept:
        text, _, name = each.partition(":")
        code = LossCode.__members__.get(text)
        fields = ACCEPTABLE.get(code, ()) if code else ()
        if not code or not fields or (name and name not in fields):
            known = ", ".join(f"{code.value}:{name}" for code, names in ACCEPTABLE.items() for name in names)
            raise InvalidInput(f"{each[:40]!r} is no loss that can be accepted", hint=f"these can: {known}")
        accepted |= {(code, field) for field in ([name] if name else fields)}
    return accepted


def _not_sent(
    provider: WritesConsent, statement: Consent, preview: ConsentPreview, accepted: Collection[tuple[LossCode, str]]
) -> str:
    """Return why a statement is not sent; empty if it is."""
    if not statement.identifier.value.strip():
        return "the identifier is blank"
    if preview.shown is None:
        return "; ".join(f"{each.code.value}: {each.detail}" for each in preview.losses)
    missing = [each for each in preview.losses if (each.code, each.field) not in accepted]
    if missing:
        words = ", ".join(f"{IN_WORDS[each.field]} ({each.code.value})" for each in missing)
        return f"it would lose {words}, which was not accepted"
    return provider.cannot_write_consent(statement)


def _grants_to_hold_back(provider: WritesConsent, statements: Sequence[Consent]) -> Flow[dict[Consent, str]]:
    """Return the grants that must not take the place of what the vendor has, each with the reason."""
    grants = [statement for statement in statements if statement.state is not ConsentState.REVOKED]
    if not grants or provider.keeps_history:
        return {}
    if not isinstance(provider, FindsConsent):
        return dict.fromkeys(grants, "what it would overrule cannot be looked up here")
    found = yield from find_consent(provider, [statement.identifier for statement in grants])
    held: dict[Consent, str] = {}
    for statement in grants:
        identifier = statement.identifier
        if identifier not in found or identifier in found.mismatched:
            held[statement] = "what it would overrule could not be looked up"
            continue
        known = [each for each in found[identifier] if each.about == statement.about]
        (counts,) = merge_consent([*known, statement])
        if counts.state is not statement.state:
            held[statement] = f"the vendor has a statement that it must not overrule ({counts.state.value})"
    return held


# -- scopes


def ensure_consent_scopes(provider: Provider, names: Iterable[str]) -> Flow[tuple[str, ...]]:
    """Create the scopes that are missing, and return their names. Repeating it creates nothing more.

    Raises:
        InvalidInput: A name is blank or too long; nothing was created.
    """
    able = require(provider, CreatesConsentScopes)
    wanted = list(dict.fromkeys(several(names)))
    if bad := [name for name in wanted if not can_name_scope(able, name)]:
        fewest, most = able.scope_name_lengths
        raise InvalidInput(f"the name of a scope has {fewest} to {most} characters here, and {bad[0][:40]!r} has not")
    if not wanted:
        return ()
    known = set((yield from able.consent_scopes()))
    missing = [name for name in wanted if name not in known]
    for name in missing:
        try:
            yield from able.create_consent_scope(name)
        except ProviderError as error:  # it may be there all the same, or somebody else was faster
            if not (error.unclear or isinstance(error, Rejected)):
                raise
            if name not in ((yield from flows.optional(able.consent_scopes())) or ()):
                raise
    return tuple(missing)


def can_name_scope(provider: CreatesConsentScopes, name: str) -> bool:
    """Return whether a scope can have this name."""
    fewest, most = provider.scope_name_lengths
    return bool(name.strip()) and fewest <= len(name) <= most


# -- lifting


def lift_suppression(
    provider: Provider,
    identifier: Identifier,
    evidence: str,
    channel: Channel = Channel.EMAIL,
    scope: str = "",
    reasons: Iterable[ConsentReason | None] = LIFTED_BY_DEFAULT,
) -> Flow[Outcome]:
    """Lift the suppressions of one identifier, and check that they are gone. Only what is named is lifted.

    Args:
        provider: The account's provider.
        identifier: The address or number.
        evidence: What shows that the person asked to be written to again.
        channel: The channel.
        scope: The scope; empty for the suppression of everything, which leaves those of scopes as they are.
        reasons: Suppressions for other reasons than these stay.

    Raises:
        InvalidInput: There is no evidence, or the identifier cannot be looked up; nothing was sent.
        UnexpectedPayload: The vendor answered with statements about others; nothing was lifted.
    """
    able, finding = require(provider, LiftsSuppressions), require(provider, FindsConsent)
    if not evidence.strip():
        raise InvalidInput("lifting needs evidence", hint="say what shows that the person asked to be written to again")
    wanted = set(reasons)
    operation, item = "lift_suppression", identifier.value

    def standing() -> Flow[list[Consent]]:
        found = yield from find_consent(finding, [identifier])
        if identifier in found.unasked:
            raise InvalidInput(f"not sent: {found.unasked[identifier]}")
        if found.mismatched:
            raise UnexpectedPayload("the answer has statements about others", provider=able.name, operation=operation)
        revoked = [each for each in found[identifier] if each.state is ConsentState.REVOKED]
        return [each for each in revoked if (each.channel, each.scope) == (channel, scope) and each.reason in wanted]

    suppressions = yield from standing()
    if not suppressions:
        return (yield from completed(able, LiftsSuppressions, operation, _answer(absent(item)), [item]))
    if stuck := [each for each in suppressions if each.reason not in able.lifted_reasons]:
        named = ", ".join(sorted(each.reason.value if each.reason else "unknown" for each in stuck))
        refused = failed(item, f"not sent: {able.title or able.name} lifts no suppression of this reason ({named})")
        return (yield from completed(able, LiftsSuppressions, operation, _answer(refused), [item]))

    def lift() -> Flow[Outcome]:
        for statement in suppressions:
            outcome = yield from able.lift_suppression(statement, evidence)
            if outcome.failed:
                return failed(item, outcome.failed[0].reason)
        left = yield from standing()
        return failed(item, "it was accepted, and a look-up still shows the suppression") if left else done(item)

    return (yield from completed(able, LiftsSuppressions, operation, lift(), [item]))


def _answer(outcome: Outcome) -> Flow[Outcome]:
    yield from ()
    return outcome


# -- sent mail


def erase_mail_data(provider: Provider, identifiers: Iterable[Identifier]) -> Flow[Outcome]:
    """Erase what is kept of the mail that was sent to addresses. Those that must not be sent become failures."""
    able = require(provider, ErasesMailData)
    wanted = list(dict.fromkeys(identifiers))
    reasons = {each: why for each in wanted if (why := cannot_erase_mail_data(able, each))}
    failures = tuple(Failure(each.value, f"not sent: {why}") for each, why in reasons.items())
    operation = "erase_mail_data"

    def erase(chunk: Sequence[Identifier]) -> Flow[Outcome]:
        return completed(able, ErasesMailData, operation, able.erase_mail_data(chunk), [each.value for each in chunk])

    return (
        yield from flows.in_chunks(
            operation,
            able.name,
            [each for each in wanted if each not in reasons],
            able.mail_data_batch_size,
            able.concurrency,
            erase,
            lambda identifier: identifier.value,
            Outcome(requested=len(failures), failed=failures),
        )
    )


def cannot_erase_mail_data(provider: ErasesMailData, identifier: Identifier) -> str:
    """Return why mail data of this identifier is not erased; empty if it can be."""
    if identifier.kind is not IdentifierKind.EMAIL:
        return "it is no e-mail address"
    if not identifier.certain:
        return "it is not clearly one e-mail address"
    return provider.cannot_erase_mail_data(identifier)
