"""Checks of what an answer is about."""

from __future__ import annotations

from typing import Protocol, TypeVar

from contacts_core.errors import UnexpectedPayload

__all__ = ["about_id"]


class HasId(Protocol):
    """A payload with an id."""

    @property
    def id(self) -> str:
        """The vendor's id."""
        ...


P = TypeVar("P", bound=HasId)


def about_id(found: P, id: str, *, provider: str, what: str = "contact") -> P:
    """Return an answer that is about the id that was asked for.

    Args:
        found: The answer.
        id: The id that was asked for.
        provider: Name of the provider, for the error.
        what: What has this id, for the message.

    Raises:
        UnexpectedPayload: It is about another one.
    """
    if found.id != id:
        raise UnexpectedPayload(f"the answer is about another {what} than the one asked for", provider=provider)
    return found
