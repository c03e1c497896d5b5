"""What a vendor would hold of a statement of consent, from the facts that its provider states."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from contacts_core.models import Consent, ConsentState
from contacts_core.provider.capabilities import WritesConsent

__all__ = ["ConsentPreview", "preview_consent"]

NO_CONSENT, NO_PLACE, RETYPED = "NO_CONSENT", "NO_PLACE", "RETYPED"
REASON_LOST, DATE_LOST = "REASON_LOST", "DATE_LOST"


@frozen
class ConsentPreview:
    """What a vendor would hold of a statement.

    Attributes:
        shown: The statement as it would be read afterwards, without a date where the vendor sets one of its own. None
            if the vendor cannot hold it.
        losses: The code of each loss by the name of the field: ``REASON_LOST``, ``DATE_LOST``, ``NO_PLACE`` (of scope
            or evidence), ``RETYPED`` (of the coverage); ``NO_CONSENT`` where the vendor cannot hold the statement.
    """

    shown: Consent | None
    losses: Mapping[str, str] = field(factory=dict[str, str])


def preview_consent(provider: WritesConsent, statement: Consent) -> ConsentPreview:
    """Return what a vendor would hold of a statement, from the facts that its provider states. Nothing is sent.

    A revocation may become a wider one; that is a loss to be accepted. A grant never does: it cannot be held then.
    """
    kinds = provider.consent_channels.get(statement.channel, ())
    if statement.state not in provider.consent_states:
        return ConsentPreview(None, {"state": NO_CONSENT})
    if statement.identifier.kind not in kinds:
        return ConsentPreview(None, {"channel": NO_CONSENT})
    losses: dict[str, str] = {}
    coverage, scope = statement.coverage, statement.scope
    if coverage not in provider.keeps_coverages:
        losses["coverage"], coverage = RETYPED, provider.keeps_coverages[0]
    if scope and not provider.keeps_scopes:
        losses["scope"], scope = NO_PLACE, ""
    if losses and statement.state is not ConsentState.REVOKED:
        return ConsentPreview(None, dict.fromkeys(losses, NO_CONSENT))
    reason = statement.reason
    if reason not in provider.keeps_reasons:
        losses |= {"reason": REASON_LOST} if reason else {}
        given = list(provider.keeps_reasons) if statement.state is ConsentState.REVOKED else []
        reason = given[0] if len(given) == 1 else None
    if statement.at and not provider.keeps_dates:
        losses["at"] = DATE_LOST
    if statement.evidence and not provider.keeps_evidence:
        losses["evidence"] = NO_PLACE
    shown = Consent(
        statement.identifier,
        statement.channel,
        statement.state,
        reason=reason,
        scope=scope,
        coverage=coverage,
        at=statement.at if provider.keeps_dates else None,
        evidence=statement.evidence if provider.keeps_evidence else "",
        provider=provider.name,
    )
    return ConsentPreview(shown, losses)
