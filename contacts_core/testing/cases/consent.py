"""Cases: statements of consent, and the data of sent mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from attrs import evolve

from contacts_core.errors import InvalidInput
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    Identifier,
    IdentifierKind,
    Outcome,
    OutcomeState,
    merge_consent,
)
from contacts_core.provider import (
    CreatesConsentScopes,
    DeletesContacts,
    ErasesMailData,
    FindsConsent,
    FindsContacts,
    LiftsSuppressions,
    ReadsConsent,
    UpsertsContacts,
    WritesConsent,
    preview_consent,
)
from contacts_core.testing.cases.shared import Cases, case
from contacts_core.testing.harness import Harness

__all__ = ["ConsentCases"]

EVERY_LOSS = ("REASON_LOST", "DATE_LOST", "NO_PLACE", "RETYPED")
SCOPE = "Kit news"
DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = (
    "kit+consent@example.com",
    "o'kit@example.com",
    "kit/../x@example.com",
    "kit%40x@example.com",
    "k?t@example.com",
)
MOST_WRITTEN = 2100  # statements, so that a case stays short whatever the size of a page


class ConsentCases(Cases):
    """What statements of consent promise: none is lost or about somebody else, and no refusal is shown as a grant."""

    # -- what is written is read

    @case(ReadsConsent, WritesConsent, contacts=0, one_client=True)
    def test_consent_that_was_written_is_read(self, harness: Harness) -> None:
        assert issubclass(self.provider, ReadsConsent)
        assert issubclass(self.provider, WritesConsent)
        number = min(2 * self.provider.consent_page_size + 1, MOST_WRITTEN)
        wanted = [self.revocation(harness, position) for position in range(number)]
        self.write(harness, wanted)
        self.eventually(
            harness, lambda: len(set(self.shown(harness)) & _identifiers(wanted)) == number, f"all {number} are shown"
        )
        states = self.states(harness.client.consent(), wanted)
        assert states == {each.identifier.value: {"revoked"} for each in wanted}, (
            f"{number} revocations were written, and reading shows {len(states)} of them: {_odd(states)}"
        )

    @case(FindsConsent, WritesConsent, contacts=0)
    def test_find_consent_gives_what_was_written(self, harness: Harness) -> None:
        wanted = [self.revocation(harness, position) for position in range(3)]
        other, unknown = self.revocation(harness, 3), self.revocation(harness, 4).identifier
        self.write(harness, [*wanted, other])
        asked = [*(each.identifier for each in wanted), unknown]
        self.eventually(
            harness,
            lambda: all(harness.client.find_consent(asked)[each.identifier] for each in wanted),
            "all are found",
        )
        found = harness.client.find_consent([*asked, Identifier.email(" ")])
        assert found.mismatched == {}, f"statements about others were given: {dict(found.mismatched)}"
        assert [each.value for each in found.unasked] == [" "], f"a blank identifier was looked up: {found.unasked}"
        states = {each.value: {said.state.value for said in found[each]} for each in found}
        assert states == {each.value: set() if each == unknown else {"revoked"} for each in asked}, (
            f"{len(wanted)} revocations were written, and the look-up gives {states}"
        )

    @case(FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_find_consent_takes_an_address_as_a_whole(self, harness: Harness) -> None:
        revoked = self.revocation(harness)
        kind, value = revoked.identifier.kind, revoked.identifier.value
        others = [evolve(revoked.identifier, value=text) for text in _resembling(kind, value)]
        self.write(harness, [revoked])
        self.found(harness, revoked.identifier)
        found = harness.client.find_consent([*others, revoked.identifier])
        assert found.mismatched == {}, (
            f"asked for {value} and what resembles it: {dict(found.mismatched)} answers of others"
        )
        answers = {each.value: len(found[each]) for each in found if each != revoked.identifier}
        assert not any(answers.values()), f"{value} is revoked, and others have statements: {answers}"

    @case(ReadsConsent, FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_reading_and_finding_consent_agree(self, harness: Harness) -> None:
        wanted = [self.revocation(harness, position) for position in range(3)]
        self.write(harness, wanted)
        self.eventually(harness, lambda: _identifiers(wanted) <= set(self.shown(harness)), "all are shown")
        read = self.states(harness.client.consent(), wanted)
        found = harness.client.find_consent([each.identifier for each in wanted])
        looked_up = self.states((said for each in found for said in found[each]), wanted)
        assert read == looked_up, f"reading shows {read}, the look-up {looked_up}"

    # -- what is said of a write

    @case(FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_a_statement_is_held_as_its_preview_says(self, harness: Harness) -> None:
        assert isinstance(harness.provider, WritesConsent)
        for statement in self.variants(harness):
            expected = preview_consent(harness.provider, statement)
            outcome = harness.client.write_consent([statement], accept=EVERY_LOSS)
            if expected.shown is None:
                assert outcome.state is OutcomeState.FAILED, (
                    f"{_told(statement)} cannot be held, and it was written: {outcome}"
                )
                continue
            self.wait_done(harness, outcome)
            codes = {f"{each.field} ({each.code.value})" for each in expected.losses}
            assert codes <= set(outcome.dropped_fields), (
                f"{sorted(codes)} lost, and the outcome names {outcome.dropped_fields}"
            )
            identifier = statement.identifier
            found = self.found(harness, identifier)
            shown = {_told(each, dated=harness.provider.keeps_dates) for each in found}
            wanted = _told(expected.shown, dated=harness.provider.keeps_dates)
            assert wanted in shown, f"{_told(statement)} was written; expected {wanted}, found {sorted(shown)}"

    @case(WritesConsent, contacts=0, one_client=True, proves=False)
    def test_a_loss_that_is_not_accepted_keeps_a_statement_unsent(self, harness: Harness) -> None:
        assert isinstance(harness.provider, WritesConsent)
        losing = [each for each in self.variants(harness) if preview_consent(harness.provider, each).losses]
        for statement in losing:
            before = harness.requests
            outcome = harness.client.write_consent([statement])
            codes = {each.code.value for each in preview_consent(harness.provider, statement).losses}
            assert outcome.state is OutcomeState.FAILED, (
                f"{_told(statement)} would lose {codes}, and it was written: {outcome}"
            )
            assert harness.requests == before, f"{_told(statement)} would lose {codes}, and something was sent"
            assert any(code in outcome.failed[0].reason for code in codes), (
                f"the reason names none of {codes}: {outcome.failed}"
            )

    @case(FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_a_grant_without_evidence_overrules_no_revocation(self, harness: Harness) -> None:
        revoked = self.revocation(harness)
        self.write(harness, [revoked])
        identifier = revoked.identifier
        self.found(harness, identifier)
        harness.client.write_consent([evolve(revoked, state=ConsentState.GRANTED, reason=None)], accept=EVERY_LOSS)
        harness.time.sleep(120)
        standing = [
            each
            for each in merge_consent(harness.client.find_consent([identifier])[identifier])
            if each.about == revoked.about
        ]
        states = {each.state.value for each in standing}
        assert states == {"revoked"}, (
            f"a grant without evidence was written over a revocation, and what counts is {states}"
        )

    @case(FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_odd_addresses_stay_in_their_place(self, harness: Harness) -> None:
        assert issubclass(self.provider, WritesConsent)
        if IdentifierKind.EMAIL not in self.provider.consent_channels.get(Channel.EMAIL, ()):
            return
        standing = self.revocation(harness)
        self.write(harness, [standing])
        statements = [evolve(standing, identifier=Identifier.email(value)) for value in HOSTILE]
        outcome = harness.client.write_consent(statements, accept=EVERY_LOSS)
        refused = {failure.item for failure in outcome.failed}
        harness.time.sleep(30)
        found = harness.client.find_consent([each.identifier for each in statements])
        assert found.mismatched == {}, f"odd addresses are answered with others: {dict(found.mismatched)}"
        written = {each.value for each in found if found[each]}
        assert written == set(HOSTILE) - refused, f"refused: {sorted(refused)}, found afterwards: {sorted(written)}"

    @case(FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_writing_consent_again_changes_nothing(self, harness: Harness) -> None:
        revoked, other = self.revocation(harness), self.revocation(harness, 1)
        self.write(harness, [revoked, other])
        identifiers = [revoked.identifier, other.identifier]
        self.eventually(harness, lambda: all(harness.client.find_consent(identifiers).values()), "both are found")
        before = harness.client.find_consent(identifiers)
        self.write(harness, [revoked])
        after = harness.client.find_consent(identifiers)
        shown = {each.value: sorted(map(_told, after[each])) for each in after}
        wanted = {each.value: sorted(map(_told, before[each])) for each in before}
        assert shown == wanted, f"a revocation was written again, and the look-up gives {shown}, before it was {wanted}"

    @case(FindsConsent, WritesConsent, UpsertsContacts, contacts=0, one_client=True)
    def test_writing_a_contact_keeps_its_refusal(self, harness: Harness) -> None:
        revoked = self.revocation(harness)
        contact = self.person(harness, identifiers=(revoked.identifier,))
        self.write(harness, [revoked])
        identifier = revoked.identifier
        self.found(harness, identifier)
        for first_name in ("Ada", "Grace"):
            self.wait_done(harness, harness.client.upsert_contacts([evolve(contact, first_name=first_name)]))
        harness.time.sleep(120)
        found = harness.client.find_consent([identifier])[identifier]
        states = {each.state.value for each in found if each.about == revoked.about}
        assert states == {"revoked"}, (
            f"{identifier.value} was revoked; after the contact was written it is {states or 'nothing'}"
        )

    @case(DeletesContacts, FindsContacts, FindsConsent, WritesConsent, UpsertsContacts, contacts=0, one_client=True)
    def test_consent_is_deleted_with_a_contact_or_outlasts_it_as_the_provider_says(self, harness: Harness) -> None:
        assert issubclass(self.provider, DeletesContacts)
        revoked = self.revocation(harness)
        identifier = revoked.identifier
        self.wait_done(harness, harness.client.upsert_contacts([self.person(harness, identifiers=(identifier,))]))
        self.write(harness, [revoked])
        self.found(harness, identifier)
        self.eventually(harness, lambda: harness.client.find([identifier])[identifier], "the contact is found")
        contact = harness.client.find([identifier])[identifier]
        self.wait_done(harness, harness.client.delete_contacts([contact.id]))
        harness.time.sleep(120)
        found = harness.client.find_consent([identifier])[identifier]
        stays = any(each.about == revoked.about and each.state is ConsentState.REVOKED for each in found)
        assert stays is not self.provider.deletes_consent, (
            f"deletes_consent is {self.provider.deletes_consent}; the contact was deleted, and {identifier.value} has "
            f"{sorted(map(_told, found)) or 'no statement'}"
        )

    # -- lifting, and scopes

    @case(LiftsSuppressions, FindsConsent, WritesConsent, contacts=0)
    def test_a_suppression_is_lifted_and_nobody_elses(self, harness: Harness) -> None:
        revoked, other = self.revocation(harness), self.revocation(harness, 1)
        like = evolve(revoked, identifier=self.alike(revoked.identifier))
        self.write(harness, [revoked, other, like])
        identifiers = [each.identifier for each in (revoked, other, like)]
        self.eventually(harness, lambda: all(harness.client.find_consent(identifiers).values()), "all are found")
        outcome = self.lift(harness, revoked, "asked by mail")
        assert outcome.confirmed == (revoked.identifier.value,), f"it was lifted, and the outcome is {outcome}"
        harness.time.sleep(120)
        found = harness.client.find_consent(identifiers)
        states = {each.value: {said.state.value for said in found[each]} for each in identifiers}
        assert "revoked" not in states[revoked.identifier.value], f"it was lifted, and the look-up gives {states}"
        kept = {each.identifier.value: states[each.identifier.value] for each in (other, like)}
        assert all(each == {"revoked"} for each in kept.values()), f"another one was lifted, and these are {kept}"
        again = self.lift(harness, revoked, "asked by mail")
        assert again.absent == (revoked.identifier.value,), f"there was nothing to lift any more, and it says {again}"

    @case(LiftsSuppressions, FindsConsent, WritesConsent, contacts=0, one_client=True)
    def test_a_scope_stays_suppressed_when_everything_is_lifted(self, harness: Harness) -> None:
        revoked = self.revocation(harness)
        assert isinstance(harness.provider, WritesConsent)
        if not harness.provider.keeps_scopes:
            return
        if isinstance(harness.provider, CreatesConsentScopes):
            harness.client.ensure_consent_scopes([SCOPE])
        scoped = evolve(revoked, scope=SCOPE)
        self.write(harness, [revoked, scoped])
        self.eventually(harness, lambda: len(self.found(harness, revoked.identifier)) == 2, "both are found")
        self.wait_done(harness, self.lift(harness, revoked, "asked by mail"))
        harness.time.sleep(120)
        left = [each.scope for each in self.found(harness, revoked.identifier)]
        assert left == [SCOPE], f"the suppression of everything was lifted, and those of these scopes stay: {left}"
        self.wait_done(harness, self.lift(harness, scoped, "asked by mail"))
        harness.time.sleep(120)
        after = harness.client.find_consent([revoked.identifier])[revoked.identifier]
        assert [each for each in after if each.state is ConsentState.REVOKED] == [], "the scope stays suppressed"

    @case(LiftsSuppressions, FindsConsent, WritesConsent, contacts=0, one_client=True, proves=False)
    def test_nothing_is_lifted_without_evidence(self, harness: Harness) -> None:
        revoked = self.revocation(harness)
        self.write(harness, [revoked])
        self.found(harness, revoked.identifier)
        before = harness.requests
        for evidence in ("", "  "):
            with pytest.raises(InvalidInput, match="evidence"):
                self.lift(harness, revoked, evidence)
        assert harness.requests == before, "something was sent without evidence"

    @case(CreatesConsentScopes, contacts=0)
    def test_a_scope_is_created_once(self, harness: Harness) -> None:
        created = harness.client.ensure_consent_scopes([SCOPE, SCOPE])
        assert created == (SCOPE,), f"one scope was missing, and these were created: {created}"
        again = harness.client.ensure_consent_scopes([SCOPE])
        assert again == (), f"the scope is there, and these were created again: {again}"
        if not isinstance(harness.provider, WritesConsent):
            return
        revoked = evolve(self.revocation(harness), scope=SCOPE)
        self.write(harness, [revoked])
        scopes = {each.scope for each in self.found(harness, revoked.identifier)}
        assert scopes == {SCOPE}, f"a statement about {SCOPE} was written, and these are shown: {scopes}"

    # -- sent mail

    @case(ErasesMailData, contacts=0)
    def test_mail_data_is_erased_address_by_address(self, harness: Harness) -> None:
        good = [Identifier.email(f"{harness.case.replace('_', '-')}-{number}@example.com") for number in (1, 2)]
        wrong = [Identifier.email("no address"), Identifier.phone("+12025550123")]
        outcome: Outcome = harness.client.wait(harness.client.erase_mail_data([*good, *wrong]), timeout=600)
        assert {failure.item for failure in outcome.failed} == {each.value for each in wrong}, (
            f"{len(wrong)} of {outcome.requested} are no addresses, and these failed: {outcome.failed}"
        )
        assert outcome.requested == len(good) + len(wrong), f"{outcome.requested} were counted"
        assert outcome.jobs or set(outcome.confirmed) == {each.value for each in good}, (
            f"neither a job nor a confirmation for {len(good)} addresses: {outcome}"
        )
        before = harness.requests
        harness.client.erase_mail_data([])
        harness.client.erase_mail_data(wrong)
        assert harness.requests == before, "something was sent for no addresses"

    # -- what the cases share

    def revocation(self, harness: Harness, number: int = 0) -> Consent:
        """A revocation about somebody whom no other case knows, which loses nothing at this vendor."""
        assert issubclass(self.provider, WritesConsent)
        channel, kinds = next(iter(self.provider.consent_channels.items()))
        reasons = list(self.provider.keeps_reasons)
        return Consent(
            _identifier(next(iter(kinds)), harness.case.replace("_", "-"), number),
            channel,
            ConsentState.REVOKED,
            reason=ConsentReason.UNSUBSCRIBE if ConsentReason.UNSUBSCRIBE in reasons else next(iter(reasons), None),
            coverage=self.provider.keeps_coverages[0],
            at=DAY + timedelta(seconds=number) if self.provider.keeps_dates else None,
        )

    def variants(self, harness: Harness) -> list[Consent]:
        """Statements of many kinds, each about somebody else; what this vendor cannot hold is among them."""
        plain = [
            (ConsentState.REVOKED, None, Coverage.ALL),
            *((ConsentState.REVOKED, reason, Coverage.ALL) for reason in ConsentReason),
            (ConsentState.REVOKED, ConsentReason.UNSUBSCRIBE, Coverage.NON_TRANSACTIONAL),
            (ConsentState.GRANTED, None, Coverage.ALL),
            (ConsentState.GRANTED, None, Coverage.NON_TRANSACTIONAL),
            (ConsentState.PENDING, None, Coverage.ALL),
        ]
        base = self.revocation(harness)
        made = [
            Consent(
                _identifier(base.identifier.kind, f"{harness.case.replace('_', '-')}-variant", number),
                base.channel,
                state,
                reason=reason,
                coverage=coverage,
                at=DAY if number % 2 else None,
                evidence="confirmed by mail" if number % 3 == 0 else "",
            )
            for number, (state, reason, coverage) in enumerate(plain)
        ]
        kinds = dict.fromkeys(Channel, (IdentifierKind.EMAIL, IdentifierKind.PHONE))
        for channel, kind in ((channel, kind) for channel, of in kinds.items() for kind in of):
            someone = _identifier(kind, f"{harness.case.replace('_', '-')}-{channel.value}", len(made))
            made.append(Consent(someone, channel, ConsentState.REVOKED))
        return made

    def found(self, harness: Harness, identifier: Identifier) -> tuple[Consent, ...]:
        """The statements about somebody, of whom there are some, sooner or later."""

        def look_up() -> tuple[Consent, ...]:
            statements: tuple[Consent, ...] = harness.client.find_consent([identifier])[identifier]
            return statements

        self.eventually(harness, look_up, f"there are statements about {identifier.value}")
        return look_up()

    def alike(self, identifier: Identifier) -> Identifier:
        """Somebody else whose identifier looks like this one."""
        return evolve(identifier, value=_resembling(identifier.kind, identifier.value)[0])

    def lift(self, harness: Harness, statement: Consent, evidence: str) -> Outcome:
        """Lift the suppression that a statement stands for."""
        outcome: Outcome = harness.client.lift_suppression(
            statement.identifier,
            evidence=evidence,
            channel=statement.channel,
            scope=statement.scope,
            reasons=[statement.reason],
        )
        return outcome

    def write(self, harness: Harness, statements: Iterable[Consent]) -> None:
        """Write statements that lose nothing."""
        self.wait_done(harness, harness.client.write_consent(list(statements)))

    def shown(self, harness: Harness) -> list[Identifier]:
        """Whom the statements of the account are about."""
        return [statement.identifier for statement in harness.client.consent()]

    def states(self, statements: Iterable[Consent], wanted: Sequence[Consent]) -> dict[str, set[str]]:
        """The states by identifier, of statements about the same things as these."""
        about = {each.about: each.identifier.value for each in wanted}
        states: dict[str, set[str]] = {}
        for statement in statements:
            if statement.about in about:
                states.setdefault(about[statement.about], set()).add(statement.state.value)
        return states


def _identifiers(statements: Iterable[Consent]) -> set[Identifier]:
    return {each.identifier for each in statements}


def _odd(states: dict[str, set[str]]) -> dict[str, set[str]]:
    """Some of those that are not revoked."""
    return dict(islice(((value, each) for value, each in states.items() if each != {"revoked"}), 3))


def _identifier(kind: IdentifierKind, stem: str, number: int) -> Identifier:
    """Somebody of this kind whom nobody else is; only the numbers of phones are few."""
    if kind is IdentifierKind.PHONE:
        return Identifier.phone(f"+1{212 + number // 100 % 700}55501{number % 100:02}")
    if kind is IdentifierKind.EMAIL:
        return Identifier.email(f"{stem}-{number}@example.com")
    return Identifier(kind, f"{stem}-{number}", key="kit")


def _resembling(kind: IdentifierKind, value: str) -> list[str]:
    if kind is IdentifierKind.EMAIL:
        return [f"x{value}", value[1:], f"{value}.example", value.replace("@", "x@")]
    return [value[:-1] + str((int(value[-1], 36) + 1) % 10)]


def _told(statement: Consent, *, dated: bool = False) -> str:
    """A statement in words, without its identifier; with its date where that is kept."""
    parts = [
        statement.channel.value,
        statement.state.value,
        statement.reason.value if statement.reason else "no reason",
        statement.scope or "everything",
        statement.coverage.value,
        *([statement.at.isoformat() if statement.at else "undated"] if dated else []),
    ]
    return " ".join(parts)
