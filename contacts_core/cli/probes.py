"""What the key of an account may do, as far as requests that only read can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from attrs import frozen

from contacts_core.client import Contacts
from contacts_core.config import matrix
from contacts_core.config.accounts import open_provider
from contacts_core.errors import ContactsError, Forbidden, ProviderError, Unauthenticated, Unreachable
from contacts_core.models import Identifier
from contacts_core.provider import (
    CAPABILITIES,
    Counts,
    CountsByPaging,
    Exports,
    ExportsPages,
    FindsConsent,
    FindsContacts,
    FindsContactsByScan,
    GetsContacts,
    Provider,
    QueuesJobs,
    ReadsConsent,
    ReadsCustomFields,
    ReadsLists,
    Searches,
)
from contacts_core.query import F

__all__ = ["Allowed", "Probed", "nothing_works", "probe"]

NOBODY = "nobody@example.com"  # reserved by RFC 2606, so nobody's
OPENING = "connect"
CHANGES = "cannot be known without changing something"
COSTLY = "not asked: it takes a job, an id, or reading every contact"


class Allowed(Enum):
    """Whether the key may do something; ``FAILED`` is about the account as a whole."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "not known"
    FAILED = "failed"


@frozen
class Probed:
    """What is known of one operation of one account."""

    account: str
    operation: str
    allowed: Allowed
    reason: str = ""


def probe(name: str) -> list[Probed]:
    """Ask the vendor, by trying the operations that only read, each with few requests.

    It ends at the first answer which says that the key or the vendor does not work at all.
    """
    try:
        with Contacts(open_provider(name, {}), name=name) as client:
            return list(_probed(client))
    except ContactsError as error:
        return [Probed(name, OPENING, Allowed.FAILED, str(error))]


def nothing_works(results: Iterable[Probed]) -> bool:
    """Whether requests of an account ended in errors and none in an answer."""
    told = list(results)
    errors = [each for each in told if each.allowed is Allowed.UNKNOWN and each.reason not in {CHANGES, COSTLY}]
    return bool(errors) and all(each.allowed is not Allowed.YES for each in told)


def _probed(client: Contacts[Any]) -> Iterator[Probed]:
    provider: Provider = client.provider
    for row in matrix.rows({client.name: type(provider)}):
        capability = next(each for each in CAPABILITIES if each.__name__ == row.capability)
        if capability is QueuesJobs or not isinstance(provider, capability):
            continue
        allowed, reason = _asked(READS[capability], client) if capability in READS else (Allowed.UNKNOWN, CHANGES)
        yield Probed(client.name, row.title, allowed, reason)


def _asked(read: Callable[[Contacts[Any]], bool], client: Contacts[Any]) -> tuple[Allowed, str]:
    try:
        return (Allowed.YES, "") if read(client) else (Allowed.UNKNOWN, COSTLY)
    except (Unauthenticated, Unreachable):
        raise  # and so will every other request
    except Forbidden as error:
        return Allowed.NO, str(error)
    except ProviderError as error:
        return Allowed.UNKNOWN, str(error)


def _page(client: Contacts[Any]) -> bool:
    if not isinstance(client.provider, ExportsPages):
        return False
    client.run(client.provider.contacts_page(None, None))
    return True


def _get(client: Contacts[Any]) -> bool:
    if not isinstance(client.provider, ExportsPages):
        return False
    page = client.run(client.provider.contacts_page(None, None))
    client.get_contacts([contact.id for contact in page.items[:1]])
    return bool(page.items)


def _find(client: Contacts[Any]) -> bool:
    if isinstance(client.provider, FindsContactsByScan):
        return False
    client.find([Identifier.email(NOBODY)])
    return True


def _search(client: Contacts[Any]) -> bool:
    native = client.provider.translate(F.email == NOBODY)
    if native is not None:
        client.run(client.provider.search(native))
    return native is not None


def _count(client: Contacts[Any]) -> bool:
    if isinstance(client.provider, CountsByPaging):
        return False
    client.count()
    return True


def _lists(client: Contacts[Any]) -> bool:
    client.run(client.provider.lists_page(None))
    return True


def _custom_fields(client: Contacts[Any]) -> bool:
    client.run(client.provider.custom_fields_page(None))
    return True


def _consent(client: Contacts[Any]) -> bool:
    client.run(client.provider.consent_page(None))
    return True


def _find_consent(client: Contacts[Any]) -> bool:
    client.find_consent([Identifier.email(NOBODY)])
    return True


READS: Mapping[type[Provider], Callable[[Contacts[Any]], bool]] = {
    Searches: _search,
    FindsContacts: _find,
    GetsContacts: _get,
    Exports: _page,
    Counts: _count,
    ReadsLists: _lists,
    ReadsCustomFields: _custom_fields,
    ReadsConsent: _consent,
    FindsConsent: _find_consent,
}
