"""Checks before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from contacts_core.errors import InvalidInput, UnsupportedOperation
from contacts_core.models import Failure, Outcome
from contacts_core.provider import Provider

T = TypeVar("T")
C = TypeVar("C", bound=Provider)


def require(provider: Provider, capability: type[C]) -> C:
    """Return the provider as one that has the capability.

    Raises:
        UnsupportedOperation: It does not declare it.
    """
    if isinstance(provider, capability):
        return provider
    what = (capability.__doc__ or capability.__name__).splitlines()[0].rstrip(".").lower()
    raise UnsupportedOperation(
        f"{provider.name} cannot {what}", hint="`contacts providers` shows what each provider can do"
    )


def check_id(provider: Provider, id: str) -> None:
    """Refuse an id that must not be sent.

    Raises:
        InvalidInput: The id cannot be one of this vendor's.
    """
    if reason := provider.validate_id(id):
        raise InvalidInput(f"not sent: {reason}", hint="pass the id as the vendor gave it")


def sort_out(provider: Provider, ids: Iterable[str]) -> tuple[list[str], Outcome]:
    """Return the ids that may be sent, each once, and an outcome in which the others have failed."""
    wanted = list(dict.fromkeys(several(ids)))
    reasons = {id: reason for id in wanted if (reason := provider.validate_id(id))}
    failed = tuple(Failure(id, f"not sent: {reason}") for id, reason in reasons.items())
    good = [id for id in wanted if id not in reasons]
    return good, Outcome(requested=len(failed), failed=failed)


def several(values: Iterable[T]) -> Iterable[T]:
    """Return the values, unless they are a text, whose characters would each be taken for an id.

    Raises:
        InvalidInput: They are a text.
    """
    if isinstance(values, str):
        raise InvalidInput("expected a list of ids, got a str", hint="put it into a list")
    return values
