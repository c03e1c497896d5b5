"""Whether a target shows what people said at a source: whoever refused there has to be refused here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import chain

from attrs import frozen

from contacts_core.models import Consent, ConsentState, Identifier, Loss
from contacts_core.operations.losses import AcceptedLosses, accepts
from contacts_core.plans.comparing.consent import ConsentComparison
from contacts_core.plans.comparing.consent_marks import WITHOUT_CONTACT

__all__ = ["ConsentCheck", "ConsentDifference", "ConsentStatus"]


class ConsentStatus(Enum):
    """What is wrong with a statement of consent.

    Attributes:
        MISSING: The source has it, and the target does not show it.
        NOT_KEPT: The source has a refusal that the target cannot hold.
        ONLY_IN_TARGET: The target has a refusal of somebody who refused nothing on this channel at the source. That is
            no fault: people go on refusing, and no copy takes a refusal away.
    """

    MISSING = "missing"
    NOT_KEPT = "not_kept"
    ONLY_IN_TARGET = "only_in_target"


@frozen
class ConsentDifference:
    """A statement that one account has and the other one has not.

    Attributes:
        status: What is wrong.
        statement: The statement; one that is missing, as the target would hold it.
        loss: What would be lost, if the target cannot hold it.
    """

    status: ConsentStatus
    statement: Consent
    loss: Loss | None = None


class ConsentCheck:
    """What two accounts say about consent, compared. It is on disk, as long as it is used.

    Attributes:
        counts: How many statements there are, by what is wrong with them.
    """

    def __init__(self, found: ConsentComparison, has_contact: Callable[[Identifier], bool] | None = None) -> None:
        """Take what was found.

        Args:
            found: It.
            has_contact: Tells who is a contact, if the target keeps consent on its contacts; None if it needs none.
        """
        self._found, self._has_contact = found, has_contact
        counts = Counter(each.status for each in self.rows())
        self.counts: Mapping[ConsentStatus, int] = {each: counts[each] for each in ConsentStatus}

    def is_complete(self, accepted: AcceptedLosses = ()) -> bool:
        """Return whether the target shows everything.

        Args:
            accepted: Losses that are accepted. A refusal that the target cannot hold counts as missing without them.
        """
        return not self.counts[ConsentStatus.MISSING] and not any(
            each.loss and not accepts(accepted, each.loss.code, each.loss.field)
            for each in self.rows(ConsentStatus.NOT_KEPT)
        )

    def rows(self, *statuses: ConsentStatus) -> Iterator[ConsentDifference]:
        """Iterate over what differs, or over what differs in one of these ways."""
        for status in ConsentStatus:
            if not statuses or status in statuses:
                yield from self._rows(status)

    def _rows(self, status: ConsentStatus) -> Iterator[ConsentDifference]:
        match status:
            case ConsentStatus.MISSING:
                for statement in self._missing():
                    if self._has_place(statement):
                        yield ConsentDifference(status, statement)
            case ConsentStatus.NOT_KEPT:
                for held in self._found.held():
                    if held.statement.state is not ConsentState.GRANTED:
                        yield ConsentDifference(status, held.statement, held.loss)
                for statement in self._missing():
                    if not self._has_place(statement):
                        yield ConsentDifference(status, statement, WITHOUT_CONTACT)
            case ConsentStatus.ONLY_IN_TARGET:
                for statement in self._found.refused_only_in_target():
                    yield ConsentDifference(status, statement)

    def _missing(self) -> Iterator[Consent]:
        return (each.statement for each in chain(self._found.before_contacts(), self._found.after_contacts()))

    def _has_place(self, statement: Consent) -> bool:
        """Return whether the target has a place for a statement: some vendors keep consent on contacts only."""
        return self._has_contact is None or self._has_contact(statement.identifier)

    def __repr__(self) -> str:
        """Show only numbers, because the rest is personal data."""
        told = ", ".join(f"{number} {status.value}" for status, number in self.counts.items() if number)
        return f"<ConsentCheck: {told or 'nothing differs'}>"
