"""Cases: what is said before a write is what is there after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import ClassVar

from attrs import evolve

from contacts_core.models import Contact, Outcome, Preview, Shape, differences
from contacts_core.models.losses import PARTS, flattened
from contacts_core.provider import CreatesLists, FindsContacts, GetsContacts, ReadsLists, UpsertsContacts
from contacts_core.testing.cases.shared import Cases, case
from contacts_core.testing.harness import Harness

__all__ = ["PreviewCases", "unlike"]

AT_ONCE = 7  # contacts
COMPARED = {"first_name", "last_name", "organization", "title", "tags", *(f"address.{name}" for name in PARTS)}


def unlike(given: Contact, preview: Preview, read: Contact | None) -> Iterator[str]:
    """What a preview did not say about a contact that was written, or said and was not so.

    Args:
        given: The contact that was written.
        preview: What was said of it.
        read: What a read shows of it now.
    """
    who = given.display_id
    shown = preview.shown
    if shown is None:
        if read is not None:
            yield f"{who} is there, although the preview says that it is refused: {preview.refusal}"
        return
    named = [loss.field for loss in preview.losses]
    differing = differences(given, shown)
    for name in sorted(differing - set(named)):
        was, now = _value(given, name), _value(shown, name)
        yield f"the preview shows {name} of {who} as {now}, which was given as {was}, and names no loss"
    cleared = {f"custom.{name}" for name, value in given.custom.items() if value is None}
    for name in sorted(set(named) - differing - cleared):
        yield f"the preview names {name} of {who} as lost, and shows it as it was given: {_value(given, name)}"
    if len(named) > len(set(named)):
        yield f"the preview names a field of {who} twice: {sorted(named)}"
    if read is None:
        yield f"{who} is not there, although the preview shows it"
        return
    for name in sorted(differences(shown, read)):
        yield f"{name} of {who} is {_value(read, name)}, and the preview shows {_value(shown, name)}"
    rest = evolve(read, extra={}, custom={})
    for name in sorted(differences(rest, shown)):
        if name in COMPARED or name.startswith("lists."):
            yield f"{name} of {who} is {_value(read, name)}, of which the preview says nothing"
    more = set(read.identifiers) - set(shown.identifiers)
    if more:
        yield f"{who} has the identifiers {sorted(each.value for each in more)}, of which the preview says nothing"


def _value(contact: Contact, name: str) -> str:
    of_kind = [each.value for each in contact.identifiers if name in {each.kind.value, f"other.{each.key}"}]
    return repr(of_kind or flattened(contact).get(name))[:200]


def is_settled(harness: Harness, preview: Preview, shape: Shape) -> bool:
    """Whether the preview of what is written shows the same, and loses no more."""
    assert preview.written is not None
    again: Preview = harness.client.preview(preview.written, shape)
    return (again.shown, again.losses) == (preview.shown, ())


class PreviewCases(Cases):
    """What a preview promises.

    Attributes:
        generated_batches: How many times seven contacts are written. Default 3; lower it for a server that is slow.
    """

    generated_batches: ClassVar[int] = 3

    @case(UpsertsContacts, FindsContacts, one_client=True, contacts=0)
    def test_what_is_shown_beforehand_is_there_afterwards(self, harness: Harness) -> None:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st

        from contacts_core.testing.strategies import contacts

        if issubclass(self.provider, CreatesLists) and issubclass(self.provider, ReadsLists):
            harness.client.create_list("Contract kit: shown")
        shape = harness.client.shape()
        numbers = count(1)
        batches: list[list[Contact]] = []

        @settings(
            max_examples=self.generated_batches,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
        )
        @given(st.data())
        def generate(data: st.DataObject) -> None:
            batches.append([data.draw(contacts(next(numbers), shape)) for _ in range(AT_ONCE)])

        generate()
        for people in batches:
            self.write_and_compare(harness, people)

    def write_and_compare(self, harness: Harness, people: Sequence[Contact]) -> None:
        """Write contacts whom the account does not have yet, and fail unless a read shows what the preview said."""
        shape = harness.client.shape()
        previews: list[Preview] = [harness.client.preview(contact, shape) for contact in people]
        changed = [each.shown.display_id for each in previews if each.shown and not is_settled(harness, each, shape)]
        assert changed == [], f"what is written of {changed} is shown differently when it is previewed again"
        refused = [contact for contact, each in zip(people, previews, strict=True) if each.shown is None]
        outcome: Outcome = harness.client.wait(harness.client.upsert_contacts(people), timeout=600)
        failed = sorted(failure.item for failure in outcome.failed)
        assert failed == sorted(each.display_id for each in refused), (
            f"the preview refuses {len(refused)} of {len(people)} contacts, and the write {failed}: {outcome.failed}"
        )
        dropped = {loss.field for each in previews for loss in each.losses if not loss.code.is_kept} - {"contact"}
        assert dropped <= set(outcome.dropped_fields), (
            f"the preview names {sorted(dropped)} as lost, the outcome only {outcome.dropped_fields}"
        )
        everybody = "a look-up finds everybody whom the preview shows"
        self.eventually(harness, lambda: all(self.whom_reads_show(harness, previews)), everybody)
        read = iter(self.whom_reads_show(harness, previews))
        problems = [
            problem
            for contact, each in zip(people, previews, strict=True)
            for problem in unlike(contact, each, next(read) if each.shown else None)
        ]
        assert problems == [], "; ".join(problems[:10])

    def whom_reads_show(self, harness: Harness, previews: Sequence[Preview]) -> list[Contact | None]:
        """What a read shows of everybody whom a preview shows."""
        first = [each.shown.identifiers[0] for each in previews if each.shown]
        answers = harness.client.find(first)
        found: list[Contact | None] = [answers[identifier] for identifier in first]
        if not issubclass(self.provider, GetsContacts) or not all(found):
            return found
        by_id = harness.client.get_contacts([each.id for each in found if each])
        return [each and by_id[each.id] for each in found]
