"""Which list of a target a list of a source is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import evolve

from contacts_core.errors import InvalidInput
from contacts_core.models import ContactList, Loss, LossCode, Shape
from contacts_core.operations.previewing import LISTS
from contacts_core.plans.comparing.field_map import FieldMap
from contacts_core.provider import CreatesLists, Provider

__all__ = ["ListMap"]

MOST_NAMED = 10_000  # different lists that contacts name
OF_ACCOUNT = ""


class ListMap:
    """The lists of a source in a target: found by name, or created under that name.

    Attributes:
        new: Names of the lists that are still to be created. In contacts their id is their name.
        wanted: Ids of the target's lists that contacts of the source are on.
    """

    def __init__(
        self, names: Mapping[str, str] | None, target: Provider, shape: Shape, field_map: FieldMap, *, create: bool
    ) -> None:
        """Take what is known of both sides.

        Args:
            names: The names of the source's lists by id; None if the source is no account: then contacts name lists
                of the target, unless they are another vendor's.
            target: The provider of the target.
            shape: What the target has room for.
            field_map: It may rename lists, and leave some out.
            create: Whether lists that the target lacks are to be created.
        """
        self._names, self._target, self._map = names, target, field_map
        self._known = shape.lists
        self._shared = {name for name, count in Counter((names or {}).values()).items() if count > 1}
        self._creates = create and isinstance(target, CreatesLists)
        self._resolved: dict[tuple[str, str], str | Loss | None] = {}
        self.new: dict[str, None] = {}
        self.wanted: dict[str, None] = {}

    def name(self, list_: str) -> str:
        """Return the name of a list of the source; what is no id of it stays as it is."""
        return list_ if self._names is None else self._names.get(list_, list_)

    def resolve(self, list_: str, provider: str) -> str | Loss | None:
        """Return the id of a list in the target, or why it is lost; None if the map leaves it out.

        Args:
            list_: The list as a contact of the source has it.
            provider: The provider that the contact was read from; empty if there is none.

        Raises:
            InvalidInput: Contacts name more lists than any account has.
        """
        key = list_, (provider if self._names is None else OF_ACCOUNT)
        if key not in self._resolved:
            if len(self._resolved) >= MOST_NAMED:
                raise InvalidInput(f"the contacts name more than {MOST_NAMED} lists", hint="is this the right file?")
            found = self._resolved[key] = self._find(*key)
            if isinstance(found, str):
                self.wanted[found] = None
        return self._resolved[key]

    def _find(self, list_: str, provider: str) -> str | Loss | None:
        own = self.name(list_)
        name = self._map.list_name(own)
        if name is None:
            return None
        if own in self._shared and own not in self._map.lists:
            detail = "several lists of the source have this name, and would become one: name it in the map for that"
            return Loss(f"lists.{name}", LossCode.NO_LIST, detail)
        if not isinstance(self._target, LISTS):
            return Loss(f"lists.{name}", LossCode.NO_PLACE, "the vendor has no lists")
        if provider not in {"", self._target.name} and list_ not in self._map.lists:
            return Loss(f"lists.{name}", LossCode.NO_LIST, f"a list of {provider}, of which only the id is known")
        ids = {each.id for each in self._known or () if each.name == name}
        if len(ids) == 1:
            return ids.pop()
        if self._names is None and any(each.id == name for each in self._known or ()):
            return name
        if not ids and self._creates and self._is_valid(name):
            self.new[name] = None
            return name
        detail = "several lists of the account have this name" if ids else "the account has no such list"
        return Loss(f"lists.{name}", LossCode.NO_LIST, detail)

    def _is_valid(self, name: str) -> bool:
        if not isinstance(self._target, CreatesLists) or any(each.id == name for each in self._known or ()):
            return False
        fewest, most = self._target.list_name_lengths
        return bool(name.strip()) and fewest <= len(name) <= most

    def extended(self, shape: Shape) -> Shape:
        """Return the shape of the target with the lists that are still to be created."""
        new = [ContactList(self._target.name, name, name) for name in self.new]
        return evolve(shape, lists=(*(shape.lists or ()), *new)) if new else shape

    def ids(self, lists: Sequence[str], provider: str) -> tuple[tuple[str, ...], list[Loss]]:
        """Return the ids of a contact's lists in the target, and the lists that are lost."""
        found = [self.resolve(each, provider) for each in lists]
        losses = {each.field: each for each in found if isinstance(each, Loss)}
        return tuple(dict.fromkeys(each for each in found if isinstance(each, str))), list(losses.values())
