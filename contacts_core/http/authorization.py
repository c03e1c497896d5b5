"""Keys that expire: when a provider's `authorize` is run, and what its result means for requests.

Pure but for the flow that it hands out. A transport makes sure that only one runs at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from contacts_core.errors import Cancelled, ContactsError, Forbidden, NotFound, Rejected, Unauthenticated
from contacts_core.http.exchange import authorizing
from contacts_core.provider import Authorization, Flow, Provider, Request, number
from contacts_core.provider.secrets import add_secret_values, secret_words

__all__ = ["Authorizer"]

MARGIN = 0.1  # of its time, for which an authorization is no longer used
MOST_MARGIN_S = 60.0
LONGEST_S = 10**9  # what is longer lasts as long


class Authorizer:
    """What authorizes the requests of one client at present.

    Attributes:
        turn: How often `authorize` was run.
    """

    def __init__(self, provider: Provider, check: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Begin without an authorization.

        Args:
            provider: Whose requests they are.
            check: Returns headers that can be sent, or raises `ConfigurationError`.
        """
        self._provider, self._check = provider, check
        self._needed = type(provider).authorize is not Provider.authorize
        self.turn = 0
        self._authorization: Authorization | None = None
        self._until = 0.0
        self._error: ContactsError | None = None

    def applies_to(self, request: Request[Any]) -> bool:
        """Return whether a request needs an authorization; those that `authorize` itself sends do not."""
        return self._needed and request.authorized and not any(each is self for each in authorizing.get())

    def current(self, now: float) -> Authorization | None:
        """Return the authorization, if there is one and it has not expired."""
        return self._authorization if self._authorization and now < self._until else None

    def since(self, turn: int) -> Authorization | None:
        """Return what another request has got since this turn; None if nobody has tried.

        Raises:
            ContactsError: It has failed.
        """
        if turn == self.turn:
            return None
        if self._error:
            raise copy.copy(self._error)
        return self._authorization

    def drop(self, used: Authorization) -> None:
        """Use this authorization no more: the vendor refused it."""
        if self._authorization is used:
            self._authorization = None

    def renew(self, monotonic: Callable[[], float]) -> Flow[Authorization]:
        """Run the provider's `authorize`.

        Raises:
            ContactsError: There is no authorization. A refusal is `Unauthenticated`, whatever its status, because it
                concerns every request; and no error is unclear, because the request itself was not sent.
        """
        begun = monotonic()
        outer = authorizing.get()
        authorizing.set((*outer, self))
        try:
            found = yield from self._provider.authorize()
            add_secret_values(word for value in found.headers.values() for word in secret_words(value))
            self._check(found.headers)
        except Cancelled:
            raise
        except ContactsError as error:
            self._error = _failure(error)
            self.turn += 1
            raise copy.copy(self._error) from error
        finally:
            authorizing.set(outer)
        self._authorization, self._error = found, None
        told = number(found.expires_in)  # vendors also send it as a text
        lasts = float("inf") if told is None else float(min(told, LONGEST_S))
        self._until = begun + lasts - min(MARGIN * lasts, MOST_MARGIN_S)
        self.turn += 1
        return found


def _failure(error: ContactsError) -> ContactsError:
    if isinstance(error, (Rejected, NotFound, Forbidden)):
        refused = Unauthenticated(str(error.args[0]), hint="check the key of the account")
        for name in ("provider", "operation", "status", "request_id"):
            setattr(refused, name, getattr(error, name))
        return refused
    failure = copy.copy(error)
    failure.unclear = False
    return failure
