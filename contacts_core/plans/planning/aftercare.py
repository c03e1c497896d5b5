"""What follows the deletion of contacts, if it was asked for: suppressions that are kept, and mail data that is erased.

Both come after the deletion was verified. A suppression keeps an address in order not to write to that person again;
the plan and its receipt say so, and for how many addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from attrs import define, field

from contacts_core import operations
from contacts_core.errors import UnsupportedOperation
from contacts_core.models import Consent, Identifier
from contacts_core.operations.keeping import suppressions_to_keep
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.account import WriteConsent, consent_change
from contacts_core.plans.change_operations.mail_data import EraseMailData, mail_data_change
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.rows import IdentifierTable, PlanRows
from contacts_core.provider import ErasesMailData, FindsConsent, Provider, WritesConsent, flows

__all__ = ["KEPT", "MAIL_DATA", "NOT_KEPT", "Aftercare"]

CHUNK_SIZE = 500  # contacts, or people, looked at together
KEPT = "kept suppressions"
"""The name under which the data that remain tell of suppressions that were asked for."""
NOT_KEPT = "suppressions that cannot be kept"
MAIL_DATA = "mail data that cannot be erased"


@define
class Aftercare:
    """Plans what follows deletions.

    Attributes:
        keep_suppressions: Whether the identifiers of the deleted contacts stay suppressed, or become so.
        mail_data: Whether what is kept of sent mail is erased as well.
        residual_data: What remains because of that, by account: what, and why.
        stages: The operations of the stages after the deletion, each with the number of its changes, by account.
    """

    keep_suppressions: bool
    mail_data: bool
    residual_data: dict[str, dict[str, str]] = field(factory=dict[str, dict[str, str]])
    stages: dict[str, list[tuple[str, int]]] = field(factory=dict[str, list[tuple[str, int]]])

    def add(self, rows: PlanRows, providers: Mapping[str, Provider]) -> PlanGenerator[None]:
        """Add the changes, account by account, to rows that have the deletions.

        Raises:
            UnsupportedOperation: No account can do what was asked for.
        """
        for capability, wanted in ((WritesConsent, self.keep_suppressions), (ErasesMailData, self.mail_data)):
            if wanted and not any(isinstance(each, capability) for each in providers.values()):
                what = "keep suppressions" if capability is WritesConsent else "erase mail data"
                raise UnsupportedOperation(f"none of these accounts can {what}")
        for part, (name, provider) in enumerate(providers.items()):
            self.residual_data[name], self.stages[name] = {}, []
            deletions = len(rows.changes(part))
            if self.keep_suppressions:
                yield from self._keep(rows, part, name, provider)
            if self.mail_data:
                self._erase(rows, part, name, provider, deletions)
        rows.flush()

    def _keep(self, rows: PlanRows, part: int, name: str, provider: Provider) -> PlanGenerator[None]:
        there = written = 0
        refused: Counter[str] = Counter()
        known, now = IdentifierTable(), datetime.now(UTC)
        for chunk in flows.chunks(rows.changes(part).window(0, len(rows.changes(part))), CHUNK_SIZE):
            owners = {each: people for each, people in _owners(chunk).items() if known.find(each) is None}
            found: Mapping[Identifier, Sequence[Consent]] = {}
            if isinstance(provider, FindsConsent):
                found = (yield {name: operations.find_consent(provider, owners)})[name]
            kept = suppressions_to_keep(provider, owners, found, now)
            there += len({each.identifier for each in kept.there} - {each.identifier for each in kept.write})
            refused.update(kept.refused.values())
            for identifier, several in groupby(kept.write, lambda each: each.identifier):
                rows.add_change(part, consent_change([*several], owners[identifier], "its suppression is kept"))
                written += 1
            for identifier in owners:
                known.add(identifier)
        if written:
            self.stages[name].append((WriteConsent.name, written))
        if there or written:
            self.residual_data[name][KEPT] = (
                f"asked for: {there + written} identifier(s) stay at the vendor as suppressions, so that these people "
                "are not written to again"
            )
        if refused:
            words = [f"{count} identifier(s): {reason}" for reason, count in refused.items()]
            self.residual_data[name][NOT_KEPT] = "; ".join(words)

    def _erase(self, rows: PlanRows, part: int, name: str, provider: Provider, deletions: int) -> None:
        if not isinstance(provider, ErasesMailData):
            self.residual_data[name][MAIL_DATA] = f"{provider.title or provider.name} offers no way to erase it"
            return
        count = refused = 0
        known = IdentifierTable()
        for identifier, people in _everybody(rows, part, deletions):
            if known.find(identifier) is not None:
                continue
            known.add(identifier)
            if operations.cannot_erase_mail_data(provider, identifier):
                refused += 1
                continue
            rows.add_change(part, mail_data_change(identifier, people))
            count += 1
        if count:
            self.stages[name].append((EraseMailData.name, count))
        if refused:
            self.residual_data[name][MAIL_DATA] = f"{refused} identifier(s) are not clearly one e-mail address each"


def _owners(changes: Sequence[Change]) -> dict[Identifier, tuple[int, ...]]:
    """Return the identifiers of contacts, each with the people that the contacts are deleted for."""
    owners: dict[Identifier, dict[int, None]] = {}
    for change in changes:
        for identifier in change.identifiers:
            owners.setdefault(identifier, {}).update(dict.fromkeys(change.people))
    return {identifier: tuple(people) for identifier, people in owners.items()}


def _everybody(rows: PlanRows, part: int, deletions: int) -> Iterator[tuple[Identifier, tuple[int, ...]]]:
    """Yield the identifiers of the people, and of the contacts that are deleted for them."""
    for person in rows.people:
        for identifier in person.identifiers:
            yield identifier, (person.number,)
    for chunk in flows.chunks(rows.changes(part).window(0, deletions), CHUNK_SIZE):
        yield from _owners(chunk).items()
