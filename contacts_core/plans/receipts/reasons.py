"""Reasons fit for a receipt: a closed vocabulary, so that it contains no text of a vendor, a database or a plugin.

Vendors repeat what they were sent: an error may name an address, an id or a person in any spelling. So a receipt only
says what kind of error it was and with which HTTP status, in words from here. The whole text goes to the log.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from functools import lru_cache

from contacts_core import errors
from contacts_core.errors import Interrupted, ProviderError
from contacts_core.models import Failure
from contacts_core.models.identifiers import scrub
from contacts_core.plans.comparing.matching import Hold
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["OurWords", "public_hold", "public_reason", "public_reasons", "request_digest"]

logger = logging.getLogger("contacts_core")

MAX_LOGGED = 10  # different texts of one step
LOG_INTERVAL_S = 60.0  # in which the same text is logged once
DIGEST_DIGITS = 16  # of the hash of a request id
STATUS_PATTERN = re.compile(r"[\w-]+(?: [A-Z]+)? \S+ \[([1-5][0-9]{2})\]: ", re.ASCII)  # how a ProviderError begins
NOT_DONE = "the vendor did not carry it out"
NOT_SENT = "not sent: the provider does not take it"
OTHER = "an unexpected error"
WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (errors.Unreachable, "the vendor did not answer"),
    (errors.Unauthenticated, "the vendor refused the key"),
    (errors.Forbidden, "the vendor does not allow this key to do it"),
    (errors.NotFound, "the vendor does not have it"),
    (errors.RateLimited, "the vendor had too many requests"),
    (errors.Rejected, "the vendor refused it"),
    (errors.Unavailable, "the vendor failed"),
    (errors.UnexpectedPayload, "the vendor's answer is not what it documents"),
    (errors.ProviderError, "the vendor's answer is an error"),
    (errors.IncompleteExport, "the export is not complete"),
    (errors.IncompleteSearch, "the search is not complete"),
    (errors.JobFailed, "the vendor's job failed"),
    (errors.JobTimeout, "the vendor's job did not end in time"),
    (errors.Cancelled, "it was interrupted"),
    (errors.UnsupportedOperation, "the provider cannot do this"),
    (errors.PlanRefused, "the plan does not hold here"),
    (errors.InvalidInput, "a value was refused before anything was sent"),
    (errors.ConfigurationError, "a setting of this account is missing or wrong"),
)
OTHER_HOLD = "for a reason that the plan names"
HOLDS: tuple[tuple[str, str], ...] = (  # how the reason of a plan begins, and what a receipt says, which names nobody
    *((hold.value, hold.value) for hold in Hold),
    ("consent is revoked", "consent is revoked, and such people are not copied"),
    ("its refusal cannot be kept", "its refusal cannot be kept"),
    ("the vendor would refuse it", "the vendor would refuse it"),
    ("it was changed since it was", "it was changed since the run, and stays as it is"),
    ("it is not there any more", "it is not there any more"),
    ("the vendor cannot delete contacts", "the vendor cannot delete contacts"),
    ("not taken back, because the vendor cannot", "the vendor cannot take back a part of what was written"),
    ("the list ", "a list stays, because others may use it by now"),
    ("the custom field ", "a custom field stays, because others may use it by now"),
    ("the scope of consent ", "a scope of consent stays, because statements may name it"),
    ("what was written of their consent", "what was written of their consent stays: only they can take it back"),
)
BY_STATUS = {
    401: "the vendor refused the key",
    403: "the vendor does not allow this key to do it",
    404: "the vendor does not have it",
    429: "the vendor had too many requests",
}


class OurWords(str):
    """A sentence that a receipt may contain unchanged: written here, naming only runs, accounts and providers.

    It is the message of an error or the reason of a failure. Text from outside never has this type.
    """

    __slots__ = ()


def public_reason(error: BaseException, key: PseudonymKey) -> str:
    """Return what a receipt says about an error: its kind, its status, and the hash of the vendor's request id.

    The error's own text goes to the log, with addresses and numbers masked.
    """
    reason = _words(error, key)
    _log(scrub(f"{type(error).__name__}: {error}"), reason, int(time.monotonic() // LOG_INTERVAL_S))
    return reason


def public_reasons(failures: Iterable[Failure]) -> dict[str, str]:
    """Return what a receipt says about each item that failed. The texts themselves go to the log, each once."""
    failed = list(failures)
    public = {failure.reason: _public_words(failure.reason) for failure in failed}
    for text in list(public)[:MAX_LOGGED]:
        _log(scrub(text), public[text], int(time.monotonic() // LOG_INTERVAL_S))
    if len(public) > MAX_LOGGED:
        logger.warning("%d more reasons of the vendor", len(public) - MAX_LOGGED)
    return {failure.item: public[failure.reason] for failure in failed}


@lru_cache(maxsize=128)
def public_hold(reason: str) -> str:
    """Return what a receipt says about why a plan leaves something alone. It names no contact and no list."""
    return next((words for begin, words in HOLDS if reason.startswith(begin)), OTHER_HOLD)


@lru_cache(maxsize=128)
def _log(text: str, reason: str, _minute: int) -> None:
    """Log a text once a minute, because a check that is repeated fails in the same way many times."""
    logger.warning("%s: %s", reason, text)


def _words(error: BaseException, key: PseudonymKey) -> str:
    if error.args and isinstance(error.args[0], OurWords):
        return str(error.args[0])
    if isinstance(error, Interrupted):
        cause = _words(error.__cause__, key) if error.__cause__ else OTHER
        return f"{cause}; {len(error.uncertain)} item(s) without a clear answer, {len(error.unsent)} not sent"
    words = next((words for kind, words in WORDS if isinstance(error, kind)), OTHER)
    details = [type(error).__name__]
    if isinstance(error, ProviderError):
        if error.status is not None:
            details.append(f"status {int(error.status)}")
        if error.request_id:
            details.append(f"request {request_digest(key, error.request_id)[:DIGEST_DIGITS]}")
    return f"{words} ({', '.join(details)})"


def _public_words(text: str) -> str:
    """Return what a receipt says for the reason that an outcome gives for one item."""
    if isinstance(text, OurWords):
        return str(text)
    if text.startswith("not sent: "):
        return NOT_SENT
    if found := STATUS_PATTERN.match(text):
        status = int(found[1])
        return f"{BY_STATUS.get(status, 'the vendor refused it')} (status {status})"
    return NOT_DONE


def request_digest(key: PseudonymKey, request_id: str) -> str:
    """Return the hash of a vendor's request id, which the vendor chose, so it may contain anything."""
    return key.digest(b"request id", request_id.encode(errors="surrogatepass"))
