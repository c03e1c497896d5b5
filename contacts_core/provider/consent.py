"""What a vendor would hold of a statement of consent, from the facts that its provider states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import evolve, field, frozen

from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    IdentifierKind,
    Loss,
    LossCode,
)
from contacts_core.provider.capabilities import WritesConsent

__all__ = ["ConsentFacts", "ConsentPreview", "preview_consent"]


@frozen
class ConsentFacts:
    """What some place can hold of statements of consent: a vendor, or a field of its contacts.

    Attributes:
        title: What the place is called, for people.
        states: See `WritesConsent.consent_states`, and likewise for the others.
        channels: The channels, each with the kinds of identifiers that it takes.
        reasons: Reasons that are kept.
        dates: Whether dates are kept.
        scopes: Whether scopes are kept.
        known_scopes: The scopes that the account has; None if any scope can be written.
        coverages: Coverages that are kept; of others the first one takes the place.
        evidence: Whether evidence is kept.
    """

    title: str
    states: Collection[ConsentState]
    channels: Mapping[Channel, Collection[IdentifierKind]]
    reasons: Collection[ConsentReason] = ()
    dates: bool = False
    scopes: bool = False
    known_scopes: Collection[str] | None = None
    coverages: Sequence[Coverage] = (Coverage.ALL,)
    evidence: bool = False

    @classmethod
    def of(cls, provider: WritesConsent) -> ConsentFacts:
        """Return the facts that a provider states."""
        return cls(
            provider.title or provider.name,
            provider.consent_states,
            provider.consent_channels,
            provider.keeps_reasons,
            provider.keeps_dates,
            provider.keeps_scopes,
            None,
            provider.keeps_coverages,
            provider.keeps_evidence,
        )


@frozen
class ConsentPreview:
    """What a vendor would hold of a statement.

    Attributes:
        shown: The statement as it would be read afterwards, without a date where the vendor sets one of its own. None
            if the vendor cannot hold it.
        losses: What would be lost, each field once: ``REASON_LOST`` of the ``reason``, ``DATE_LOST`` of ``at``,
            ``NO_PLACE`` of ``scope`` or ``evidence``, ``RETYPED`` of the ``coverage``. Where the vendor cannot hold the
            statement, there is one ``NO_CONSENT`` alone, of the state and the channel, such as ``revoked.sms``.
        written: The statement with the scope and the coverage that it is written with. None if it is not written.
    """

    shown: Consent | None
    losses: tuple[Loss, ...] = field(default=())
    written: Consent | None = None


def preview_consent(place: WritesConsent | ConsentFacts, statement: Consent) -> ConsentPreview:
    """Return what a vendor would hold of a statement, from the facts that its provider states. Nothing is sent.

    A revocation may become a wider one; that is a loss to be accepted. A grant never does: it cannot be held then.
    """
    facts = place if isinstance(place, ConsentFacts) else ConsentFacts.of(place)
    if statement.state not in facts.states:
        return _unheld(statement, f"{facts.title} holds no {statement.state.value} consent")
    if statement.channel not in facts.channels:
        return _unheld(statement, f"{facts.title} holds no consent on this channel")
    if statement.identifier.kind not in facts.channels[statement.channel]:
        return _unheld(statement, f"{facts.title} holds no consent of this kind of identifier on this channel")
    losses: list[Loss] = []
    coverage, scope = statement.coverage, statement.scope
    if coverage not in facts.coverages:
        coverage = facts.coverages[0]
        losses.append(Loss("coverage", LossCode.RETYPED, f"it would cover {coverage.value} messages"))
    if scope and not (facts.scopes and (facts.known_scopes is None or scope in facts.known_scopes)):
        what = "the account has no such scope; one may be created" if facts.scopes else "there are no scopes"
        losses.append(Loss("scope", LossCode.NO_PLACE, f"{what}, so it would cover everything on the channel"))
        scope = ""
    if losses and statement.state is not ConsentState.REVOKED:
        return _unheld(statement, "the consent would become a wider one")
    reason = statement.reason
    if reason not in facts.reasons:
        given = list(facts.reasons) if statement.state is ConsentState.REVOKED else []
        instead = given[0] if len(given) == 1 else None
        if reason:
            detail = f"it becomes {instead.value}" if instead else "reasons are not kept"
            losses.append(Loss("reason", LossCode.REASON_LOST, detail))
        reason = instead
    if statement.at and not facts.dates:
        losses.append(Loss("at", LossCode.DATE_LOST, "dates are not kept"))
    if statement.evidence and not facts.evidence:
        losses.append(Loss("evidence", LossCode.NO_PLACE, "evidence is not kept"))
    written = evolve(statement, scope=scope, coverage=coverage)
    shown = evolve(
        written,
        reason=reason,
        at=statement.at if facts.dates else None,
        evidence=statement.evidence if facts.evidence else "",
        provider=place.name if isinstance(place, WritesConsent) else "",
    )
    return ConsentPreview(shown, tuple(losses), written)


def _unheld(statement: Consent, detail: str) -> ConsentPreview:
    name = f"{statement.state.value}.{statement.channel.value}"
    return ConsentPreview(None, (Loss(name, LossCode.NO_CONSENT, detail),))
