"""The errors of the library, ordered by what a caller can do about them.

    ContactsError
    ├─ ConfigurationError            wrong or missing settings, unknown account, broken plugin
    ├─ InvalidInput                  a value that must not be sent (also a ``ValueError``)
    ├─ UnsupportedOperation          the provider does not declare the capability
    ├─ IncompleteSearch              the vendor returned only some of the matches
    ├─ IncompleteExport              fewer contacts arrived than the vendor announced
    ├─ Interrupted                   the outcome so far, and what was not sent
    ├─ Cancelled                     Ctrl-C or a cancelled task; the cause of an `Interrupted`
    ├─ DeadlineExceeded              no time left to send the request; it was not sent
    ├─ PlanRefused                   a plan is too large, altered, or no longer true; nothing was changed
    ├─ StorageError                  runs or tombstones could not be read or written; nothing is lost
    ├─ JobFailed · JobTimeout        carry the job
    └─ ProviderError                 provider, operation, status, request id
       ├─ Unreachable                no answer
       ├─ Unauthenticated            401
       ├─ Forbidden                  403
       ├─ NotFound                   404
       ├─ RateLimited                429, with ``retry_after``
       ├─ Rejected                   any other 4xx
       ├─ Unavailable                5xx
       └─ UnexpectedPayload          the answer does not have the documented shape

Messages never hold keys, headers or whole bodies; identifiers in them are masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from contacts_core.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contacts_core.models import Contact, Job, Outcome

__all__ = [
    "Cancelled",
    "ConfigurationError",
    "ContactsError",
    "DeadlineExceeded",
    "Forbidden",
    "IncompleteExport",
    "IncompleteSearch",
    "Interrupted",
    "InvalidInput",
    "JobFailed",
    "JobTimeout",
    "NotFound",
    "PlanRefused",
    "ProviderError",
    "RateLimited",
    "Rejected",
    "StorageError",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedPayload",
    "Unreachable",
    "UnsupportedOperation",
]


class ContactsError(Exception):
    """Base of every error this library raises.

    Messages contain printable characters only, whatever the vendor wrote. Errors can be pickled and copied.

    Attributes:
        hint: What to try next, in one sentence; may be empty.
        per_item: Whether the error concerns only the item asked for, so that the next item may succeed.
        unclear: Whether the request may have been carried out although no answer says so.
    """

    per_item: ClassVar[bool] = False
    unclear: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(printable(message))
        self.hint = printable(hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle all attributes, and the cause if it is an error of this library."""
        cause = self.__cause__ if isinstance(self.__cause__, ContactsError) else None
        return _rebuilt, (type(self), self.args, self.__dict__, cause)


def _rebuilt(
    kind: type[ContactsError], args: tuple[Any, ...], state: dict[str, Any], cause: ContactsError | None
) -> ContactsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class ConfigurationError(ContactsError):
    """A setting is wrong or missing, an account is unknown, or a plugin is broken."""


class InvalidInput(ContactsError, ValueError):
    """A value was refused before anything was sent."""


class UnsupportedOperation(ContactsError):
    """The provider does not have the capability; nothing was sent."""


class IncompleteSearch(ContactsError):
    """The vendor returned only some of the matches: ``found`` are some of ``total`` contacts; None if not known."""

    def __init__(self, found: Sequence[Contact], total: int | None, *, hint: str = "") -> None:
        shown = (
            f"{len(found)} matching contacts, and has more"
            if total is None
            else f"{len(found)} of {total} matching contacts"
        )
        super().__init__(f"the vendor showed {shown}", hint=hint)
        self.found = tuple(found)
        self.total = total


class IncompleteExport(ContactsError):
    """The export ended after ``found`` contacts, although the vendor announced ``total``, or more: then it is None.

    ``what`` names what was exported, where it was something else than contacts.
    """

    def __init__(self, found: int, total: int | None, what: str = "contacts") -> None:
        announced = f"of the {total} {what} that the vendor announced"
        super().__init__(
            f"the export held {found} {announced if total is not None else f'{what}, and the vendor has more'}",
            hint="export again; what was read so far is not the whole account",
        )
        self.found = found
        self.total = total


class Interrupted(ContactsError):
    """An operation stopped half-way, because of ``__cause__``.

    ``outcome`` is what was done, ``uncertain`` the items whose request got no clear answer (they may or may not
    have been processed), ``unsent`` the items that were never sent. Repeating ``uncertain`` and ``unsent`` is safe.
    """

    def __init__(self, outcome: Outcome, uncertain: Sequence[object], unsent: Sequence[object], why: str) -> None:
        super().__init__(
            f"{outcome.operation} stopped: {why}; {len(uncertain)} item(s) without a clear answer, "
            f"{len(unsent)} not sent",
            hint="repeat the operation with .uncertain and .unsent",
        )
        self.outcome = outcome
        self.uncertain = tuple(uncertain)
        self.unsent = tuple(unsent)


class Cancelled(ContactsError):
    """Ctrl-C was pressed or the task was cancelled; no further request was sent.

    Requests in flight were finished; ``unclear`` is true if that was not possible.
    """

    def __init__(self, *, unclear: bool = False) -> None:
        super().__init__("interrupted by the user")
        self.unclear = unclear


class DeadlineExceeded(ContactsError):
    """The time limit of the request or the client was over before the request could be sent."""


class PlanRefused(ContactsError):
    """A plan was not made, or must not be applied: nothing was changed."""


class StorageError(ContactsError):
    """Runs or tombstones could not be read or written: the database is unreachable, full, or has unexpected content.

    The message does not contain the database's own message, which may have hosts, statements and values in it.
    """


class JobFailed(ContactsError):
    """The vendor's job ended without doing its work."""

    def __init__(self, message: str, job: Job, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.job = job


class JobTimeout(ContactsError):
    """The vendor's job was still pending when the ``timeout`` of `wait` was over."""

    def __init__(self, message: str, job: Job, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.job = job


class ProviderError(ContactsError):
    """The vendor refused a request, or did not answer.

    ``status`` is the HTTP status (None without an answer), ``request_id`` the vendor's id of the request.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        operation: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return the provider, the operation, the status, and the vendor's reason."""
        where = f"{self.provider} {self.operation}".strip()
        status = f" [{self.status}]" if self.status is not None else ""
        return f"{where}{status}: {self.args[0]}" if where else f"{self.args[0]}{status}"


class Unreachable(ProviderError):
    """No complete answer arrived: no connection, a broken connection, or a timeout."""

    retryable = True
    unclear = True


class Unauthenticated(ProviderError):
    """401: the key is wrong, expired or revoked."""


class Forbidden(ProviderError):
    """403: the key is valid but lacks the permission."""


class NotFound(ProviderError):
    """404: the vendor does not have the item."""

    per_item = True


class RateLimited(ProviderError):
    """429: too many requests; ``retry_after`` is the pause in seconds that the vendor asked for, if any."""

    retryable = True


class Rejected(ProviderError):
    """Any other 4xx: the vendor refused the request.

    ``details`` are the vendor's pairs of field and message. They are not masked: do not log them. Providers use them to
    send the rest of a batch again.
    """

    per_item = True
    details: tuple[tuple[str, str], ...] = ()


class Unavailable(ProviderError):
    """5xx: the vendor has a failure."""

    retryable = True
    unclear = True


class UnexpectedPayload(ProviderError):
    """The answer does not have the documented shape; the message names the path, like ``$.result[0].id``."""

    unclear = True
