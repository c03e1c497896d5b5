"""The end of the demo: everybody moved from one vendor to another, with what people said about being written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from contacts_core.cli.commands.demo import WAIT, Check, failure, own_storage

if TYPE_CHECKING:
    from contacts_core.client import Contacts
    from contacts_core.emulator import Running
    from contacts_core.plans import Plan, Receipt

__all__ = ["move"]


def move(server: Running, names: list[str]) -> Iterator[Check]:
    """Copy everybody from the last vendor that keeps consent to the first one that does, and try what it claims."""
    from contacts_core.client import Contacts
    from contacts_core.config import plugins
    from contacts_core.provider import ReadsConsent, WritesConsent
    from contacts_core.storage.tombstones import guard

    kinds = {name: plugins.provider_class(name) for name in names}
    able = [name for name, kind in kinds.items() if issubclass(kind, ReadsConsent) and issubclass(kind, WritesConsent)]
    if len(able) < 2:
        return
    with ExitStack() as opened:
        opened.enter_context(own_storage())
        new, *_, old = (
            opened.enter_context(Contacts(kinds[name](**server.settings(name)), name=name, guard=guard(None)))
            for name in able
        )
        moving = _Move(old, new)
        try:
            yield from moving.checks()
        except Exception as error:  # noqa: BLE001 - the demo tells of it
            yield Check(moving.title, "copy", "everybody", failure(error), "", False)


class _Move:
    def __init__(self, old: Contacts[Any], new: Contacts[Any]) -> None:
        self._old, self._new = old, new
        self.title = f"{old.name} → {new.name}"

    def checks(self) -> Iterator[Check]:
        from contacts_core.cli.commands.apply import bars
        from contacts_core.plans import LossesNotAccepted

        before = {contact.id for contact in self._new.export()}
        accepted: list[str] = []
        told = "no losses"
        try:
            plan = self._plan(accepted)
        except LossesNotAccepted as error:
            accepted = [row.name for row in error.losses]
            told = f"refused: {len(error.left)} kinds of loss, such as {error.left[0].name} ({error.left[0].count})"
            plan = self._plan(accepted)
        unchanged = {contact.id for contact in self._new.export()} == before
        found = "nothing was written" if unchanged else "something was written"
        yield Check(self.title, "losses first", "copy everybody", told, found, unchanged and bool(accepted))
        with bars() as watch:
            receipt = plan.apply([self._old, self._new], timeout=WAIT, watch=watch)
        yield self._copied(plan, receipt)
        yield self._refusals()
        yield self._compared()
        again = self._plan(accepted)
        said = f"{again.contacts} changes"
        yield Check(self.title, "copy again", "what is missing", said, "", not again.contacts)

    def _plan(self, accepted: list[str]) -> Plan:
        from contacts_core.plans import SafetyLimits, plan_copy

        return plan_copy(
            self._old,
            self._new,
            create_fields=True,
            create_lists=True,
            accept_losses=accepted,
            limits=SafetyLimits(share=1),
        )

    def _copied(self, plan: Plan, receipt: Receipt) -> Check:
        """Consent first, then contacts: as the receipt has the requests in their order."""
        operations = list(dict.fromkeys(step["operation"] for step in receipt.of("step")))
        order = [operations.index(each) for each in ("write_consent", "upsert_contacts") if each in operations]
        first = "consent was read back before contacts were written" if order == sorted(order) else "WRONG order"
        said = f"{receipt.state}: {receipt.present} present, {receipt.absent} absent, {receipt.unknown} unknown"
        return Check(
            self.title, "copy", f"{len(plan.people)} people", said, first, receipt.complete and order == sorted(order)
        )

    def _refusals(self) -> Check:
        """Whoever refused everything at the old vendor, as the new one shows them."""
        from contacts_core.models import ConsentState

        def refused(client: Contacts[Any]) -> set[Any]:
            return {
                (each.identifier, each.channel)
                for each in client.consent()
                if each.state is ConsentState.REVOKED and not each.scope
            }

        wanted, there = refused(self._old), refused(self._new)
        said = f"{len(wanted)} refusals at the old vendor"
        left = f"{len(wanted - there)} of them are missing at the new one"
        return Check(self.title, "consent", "who must not be written to", said, left, bool(wanted) and wanted <= there)

    def _compared(self) -> Check:
        from contacts_core.plans import check

        found = check(self._old, self._new)
        numbers = {status.value: number for status, number in found.counts.items() if number}
        said = ", ".join(f"{number} {status}" for status, number in numbers.items())
        return Check(self.title, "check", "compare both", said, "", set(numbers) == {"equal"})
