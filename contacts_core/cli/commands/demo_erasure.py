"""The end of the demo: one person erased at every vendor, with a receipt, and each claim of it tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contacts_core.cli.commands.demo import WAIT, Check, failure, own_storage

if TYPE_CHECKING:
    from contacts_core.client import Contacts
    from contacts_core.emulator import Running
    from contacts_core.plans import Plan, Receipt

__all__ = ["erasure"]

EVERYWHERE = "all vendors"
LEAST = 2  # accounts in which somebody has to be, to be worth showing


def erasure(server: Running, names: list[str], *, quiet: bool) -> Iterator[Check]:
    """Plan it, show the plan, apply it, and try what the receipt claims."""
    from contacts_core.client import Contacts
    from contacts_core.config import plugins
    from contacts_core.storage.tombstones import guard

    with ExitStack() as opened:
        folder = opened.enter_context(own_storage())
        clients = {
            name: opened.enter_context(
                Contacts(plugins.provider_class(name)(**server.settings(name)), name=name, guard=guard(None))
            )
            for name in names
        }
        try:
            yield from _Erasure(clients, folder, quiet=quiet).checks()
        except Exception as error:  # noqa: BLE001 - the demo tells of it
            yield Check(EVERYWHERE, "erase", "one person", failure(error), "", False)


class _Erasure:
    def __init__(self, clients: Mapping[str, Contacts[Any]], folder: Path, *, quiet: bool) -> None:
        self._clients = clients
        self._folder = folder
        self._quiet = quiet

    def checks(self) -> Iterator[Check]:
        from contacts_core.cli import output
        from contacts_core.cli.commands.apply import bars
        from contacts_core.cli.commands.plan import show
        from contacts_core.models import Identifier
        from contacts_core.plans import IdentifierExpansion, plan_erasure

        before = {name: list(client.export()) for name, client in self._clients.items()}
        least = min(LEAST, len(before))
        addresses = [{c.email for c in contacts if c.email} for contacts in before.values()]
        everywhere = set[str]().union(*addresses)
        shared = sorted(a for a in everywhere if sum(a in each for each in addresses) >= least)
        person = Identifier.email(shared[0])
        plan = plan_erasure([person], list(self._clients.values()), follow=IdentifierExpansion.ONCE)
        if not self._quiet:
            what = f"Erasure of {person.masked} at {len(self._clients)} vendors; first the plan, which only reads:"
            output.show(["", what, ""])
            show(plan)
        with bars() as watch:
            receipt = plan.apply(list(self._clients.values()), timeout=WAIT, watch=watch)
        yield self._erased(plan, receipt, before)
        yield self._receipt(receipt, person)
        yield self._held_back(person)

    def _erased(self, plan: Plan, receipt: Receipt, before: Mapping[str, Any]) -> Check:
        """What the receipt says, against an export of everything."""
        identifiers = {i for person in plan.people for i in person.identifiers}
        after = {name: list(client.export()) for name, client in self._clients.items()}
        having = sum(not identifiers.isdisjoint(c.identifiers) for contacts in after.values() for c in contacts)
        planned = {(part.account, change.contact) for part in plan.accounts for change in part.changes}
        expected = {(name, c.id) for name, contacts in before.items() for c in contacts} - planned
        left = {(name, c.id) for name, contacts in after.items() for c in contacts}
        return Check(
            EVERYWHERE,
            "erase",
            f"{plan.contacts} contacts in {len(plan.accounts)} accounts",
            f"{receipt.state}: {receipt.absent} absent, {receipt.present} present, {receipt.unknown} unknown",
            f"{having} contacts with these identifiers; all {len(left)} others are there",
            receipt.complete and not having and left == expected,
        )

    def _receipt(self, receipt: Receipt, person: Any) -> Check:
        """Whole, sealed, and it tells its owner what it is asked."""
        from contacts_core.plans import Receipt, ReceiptBroken
        from contacts_core.plans.receipts.report import html
        from contacts_core.storage.database import locate_storage

        path = self._folder / "receipt.jsonl"
        receipt.save(path)
        read = Receipt.load(path)
        key = locate_storage().key()
        absent = [finding.account for finding in read.find([person], key) if finding.state == "absent"]
        changed = bytearray(path.read_bytes())
        changed[len(changed) // 2] ^= 1
        try:
            Receipt.parse(bytes(changed))
            refused = False
        except ReceiptBroken:
            refused = True
        noticed = "refused" if refused else "NOT noticed"
        return Check(
            EVERYWHERE,
            "receipt",
            "verify it, change a byte, ask for the address",
            f"{len(read.lines)} lines, {'sealed' if read.sealed_by(key) else 'NOT sealed'}; "
            f"a report of {len(html(read)):,} bytes",
            f"the address is absent in {len(absent)} accounts; a changed byte is {noticed}",
            read.sealed_by(key) and refused and len(absent) == len(self._clients) and person.value not in read.text,
        )

    def _held_back(self, person: Any) -> Check:
        """An import that would bring them back."""
        from contacts_core.models import Contact

        outcomes = [client.upsert_contacts([Contact(identifiers=(person,))]) for client in self._clients.values()]
        back = sum(outcome.requested - outcome.failed_count for outcome in outcomes)
        reason = next((failure.reason for outcome in outcomes for failure in outcome.failed), "")
        return Check(EVERYWHERE, "import again", "the same person", reason, f"{back} of them came back", back == 0)
