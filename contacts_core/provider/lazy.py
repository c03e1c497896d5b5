"""Items that are made when somebody uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast, overload

__all__ = ["LazyItems", "mapped"]

S = TypeVar("S")
T = TypeVar("T")


class LazyItems(Sequence[T], Generic[T]):
    """Items that are made when one of them is first used, all at once; what they are made of is then let go.

    Transports request the page after before they use the items of a page: what is made late is made while that request
    is under way. An error in making them is raised where they are used, and again at each further use.
    """

    __slots__ = ("_items", "_length", "_make")

    def __init__(self, make: Callable[[], Iterable[T]], length: int | None = None) -> None:
        """Prepare the items.

        Args:
            make: Makes them.
            length: How many there are going to be; None if that is known only when they are made.
        """
        self._make: Callable[[], Iterable[T]] | None = make
        self._items: Sequence[T] = ()
        self._length = length

    def _made(self) -> Sequence[T]:
        if self._make is not None:
            made = self._make()
            self._items = cast("Sequence[T]", made) if isinstance(made, list | tuple) else list(made)
            self._make = None
        return self._items

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._made()) if self._length is None else self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: Any) -> Any:
        """Return one of them, or some."""
        items: Any = self._made()
        return items[index]

    def __iter__(self) -> Any:
        """Iterate over them."""
        return iter(self._made())

    def __eq__(self, other: object) -> bool:
        """Compare the items with those of another sequence."""
        return isinstance(other, Sequence) and list(self) == list(cast("Sequence[Any]", other))

    __hash__ = None  # type: ignore[assignment]  # as of a list


def mapped(function: Callable[[S], T], sources: Sequence[S]) -> Sequence[T]:
    """Return the items of a page, each mapped from one of ``sources``, but not before they are used.

    So the next page is requested before this one is mapped: ``token_page(mapped(contact, found.people), found.next)``.
    """
    return LazyItems(partial(map, function, sources), len(sources))
