"""What contacts would lose in an account: counted, with masked samples, and accepted by name. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeAlias

from attrs import Factory, define

from contacts_core.errors import InvalidInput
from contacts_core.models import Contact, Loss, LossCode
from contacts_core.models.identifiers import mask
from contacts_core.models.losses import flattened, identifier_field

__all__ = ["AcceptedLosses", "LossRow", "LossTable", "accepted_losses", "accepts", "unaccepted"]

SAMPLES = 3
MOST_FIELDS = 1000  # of one section that are lost for one reason: further ones count as the section
NEED_A_FIELD = (LossCode.REFUSED, LossCode.NO_CONSENT)
HINTS = {
    LossCode.NO_PLACE: "map it to a custom field, or accept the loss",
    LossCode.NO_FIELD: "create the field, map it to another one, or accept the loss",
    LossCode.NO_LIST: "create the list, map it to another one, or accept the loss",
    LossCode.RETYPED: "name the type in the map, or accept the other form",
    LossCode.TRUNCATED: "shorten it in the source, or accept the loss",
    LossCode.RESPELLED: "look at the samples, and accept the other form",
    LossCode.TOO_MANY: "remove some in the source, or accept the loss",
    LossCode.READ_ONLY: "leave the field out in the map, or accept the loss",
    LossCode.REASON_LOST: "keep an export of the source, and accept the loss",
    LossCode.DATE_LOST: "keep an export of the source, and accept the loss",
    LossCode.NO_CONSENT: "keep consent in a field or tag, or leave these contacts out",
    LossCode.REFUSED: "correct the value in the source, or accept the loss by code and field",
}
LEFT_ALONE = "nothing: these people are left alone, and the plan names them"

AcceptedLosses: TypeAlias = Sequence[tuple[LossCode, str]]
"""Losses that are accepted: a code, and the field, or an empty text for all fields."""


@define
class LossRow:
    """One kind of loss.

    Attributes:
        stage: The part of a copy that meets it, such as ``contacts``.
        field: What is lost; see `Loss.field`.
        code: Why.
        detail: More on it, of the first contact.
        count: How many contacts lose it.
        samples: Up to three of them, masked: who, and the value.
        held: Whether those who would lose it are left alone instead, so that nobody has to accept it.
    """

    stage: str
    field: str
    code: LossCode
    detail: str
    count: int = 0
    samples: list[str] = Factory(list[str])
    held: bool = False

    @property
    def name(self) -> str:
        """How it is accepted: ``CODE:FIELD``."""
        return f"{self.code.value}:{self.field}"

    @property
    def hint(self) -> str:
        """What can be done about it."""
        return LEFT_ALONE if self.held else HINTS[self.code]


class LossTable:
    """The losses of many contacts, each kind once.

    Attributes:
        contacts: How many contacts there are.
        unchanged: How many of them lose nothing.
    """

    def __init__(self) -> None:
        """Begin without contacts."""
        self.contacts = self.unchanged = 0
        self._rows: dict[tuple[str, str, LossCode], LossRow] = {}
        self._sections: Counter[tuple[str, str, LossCode]] = Counter()

    def add_contact(self, contact: Contact, losses: Sequence[Loss]) -> None:
        """Count what a contact loses, which may be nothing."""
        self.contacts += 1
        self.unchanged += not losses
        for loss in losses:
            self.add("contacts", loss, partial(_sample, contact, loss))

    def add(self, stage: str, loss: Loss, sample: object) -> None:
        """Count one loss.

        Args:
            stage: The part of a copy that meets it.
            loss: The loss.
            sample: Who loses it, masked: a text, or a function that returns one if it is needed.
        """
        row = self._row(stage, loss)
        row.count += 1
        if len(row.samples) < SAMPLES:
            row.samples.append(str(sample() if callable(sample) else sample))

    def _row(self, stage: str, loss: Loss) -> LossRow:
        key = stage, loss.field, loss.code
        if (known := self._rows.get(key)) is not None:
            return known
        section, _, part = loss.field.partition(".")
        whole = stage, section, loss.code
        if part and self._sections[whole] >= MOST_FIELDS:
            return self._rows.setdefault(whole, LossRow(stage, section, loss.code, loss.detail))
        self._sections[whole] += 1
        return self._rows.setdefault(key, LossRow(stage, loss.field, loss.code, loss.detail))

    @property
    def rows(self) -> tuple[LossRow, ...]:
        """The losses by stage, the most frequent ones first."""
        stages = {stage: n for n, stage in enumerate(dict.fromkeys(stage for stage, _, _ in self._rows))}
        return tuple(
            sorted(self._rows.values(), key=lambda row: (stages[row.stage], -row.count, row.field, row.code.value))
        )


def accepted_losses(values: Iterable[str] | None) -> AcceptedLosses:
    """Read which losses are accepted, each as ``CODE`` or ``CODE:FIELD``.

    ``NO_FIELD:custom`` accepts it of every custom field. `LossCode.REFUSED` and `LossCode.NO_CONSENT` are accepted with
    a field only.

    Raises:
        InvalidInput: One is no code, or has no field although its code needs one.
    """
    found: list[tuple[LossCode, str]] = []
    for value in values or ():
        code, _, name = value.partition(":")
        if code not in LossCode.__members__:
            known = ", ".join(LossCode.__members__)
            raise InvalidInput(f"a loss is accepted as CODE or CODE:FIELD; the codes are {known}")
        if LossCode[code] in NEED_A_FIELD and not name:
            raise InvalidInput(f"{code} is accepted with a field only", hint=f"it needs a field, such as {code}:email")
        found.append((LossCode[code], name))
    return found


def accepts(accepted: AcceptedLosses, code: LossCode, field: str) -> bool:
    """Return whether a loss is among those that are accepted."""
    return any(
        code is each and (field == name or field.startswith(f"{name}.") if name else code not in NEED_A_FIELD)
        for each, name in accepted
    )


def unaccepted(rows: Iterable[LossRow], accepted: AcceptedLosses) -> list[LossRow]:
    """Return the losses that nobody accepted, without those of people who are left alone."""
    return [row for row in rows if not row.held and not accepts(accepted, row.code, row.field)]


def _sample(contact: Contact, loss: Loss) -> str:
    who = contact.identifiers[0].masked if contact.identifiers else mask(contact.display_id)
    of_kind = [each.value for each in contact.identifiers if identifier_field(each) == loss.field]
    value = of_kind[-1] if of_kind else flattened(contact).get(loss.field)
    return who if value is None else f"{who}: {mask(str(value))}"
