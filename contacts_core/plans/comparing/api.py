"""The functions that compare a source with a target, a blocking and an asynchronous one. Both only read."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.models import Contact
from contacts_core.plans.comparing.comparison import Comparison, compare
from contacts_core.plans.comparing.consent import ConsentComparison, ConsentOptions
from contacts_core.plans.comparing.consent_check import ConsentCheck
from contacts_core.plans.comparing.consent_marks import ConsentPlace, consent_place
from contacts_core.plans.comparing.field_map import FieldMap
from contacts_core.plans.comparing.model import ComparisonRequest
from contacts_core.plans.planning.accounts import PlanGenerator, run_in_accounts, run_in_accounts_async
from contacts_core.provider import Provider, ReadsConsent
from contacts_core.query import Query

__all__ = ["check", "check_async", "comparison_request", "name_of"]

Source: TypeAlias = str | Contacts[Any] | Iterable[Contact]
AsyncSource: TypeAlias = str | AsyncContacts[Any] | Iterable[Contact] | AsyncIterable[Contact]


def check(
    source: Source,
    target: str | Contacts[Any],
    *,
    field_map: FieldMap | None = None,
    only: Query | None = None,
    everything: bool | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    consent_in: str = "",
    progress: Callable[[str], object] | None = None,
) -> Comparison:
    """Compare the contacts of a source with those of an account, and what people refused. Nothing is changed.

    Contacts match by their identifiers, however their vendors spell them. The account has a contact if a read shows
    what `Contacts.preview` says of it; what the account cannot hold is told as a loss, and is no difference. Statements
    of consent of two accounts are compared as well, all of them, also with ``only``: see `Comparison.consent`.

    Args:
        source: The name of an account, an open client, or contacts.
        target: The name of an account, or an open client.
        field_map: What fields, lists and tags of the source are called in the target.
        only: Compare only contacts of the source's account that match this query.
        everything: Whether to read the target completely, so that contacts which only the target has are known, rather
            than to look up the identifiers of the source. Default: yes, unless ``only`` is given.
        create_fields: Count on custom fields that the target lacks and that could be created.
        create_lists: Count on lists that the target lacks and that could be created.
        consent_in: Where consent is kept if a vendor keeps none: ``field:NAME`` or ``tag:NAME``.
        progress: Called from time to time with how far it got, in words; perhaps from another thread.

    Raises:
        InvalidInput: The source holds something else than contacts.
        UnsupportedOperation: The source cannot be read, or the target can be neither read nor written.
        PlanRefused: An account was not read completely, or its answers prove nothing.
        ConfigurationError: There is no account with this name, or its settings are incomplete.
    """
    accounts, compared = _accounts(source, target)
    request = comparison_request(compared, target, field_map, only, everything, create_fields, create_lists, progress)
    return run_in_accounts(accounts, partial(_compared, request, consent_in))


async def check_async(
    source: AsyncSource,
    target: str | AsyncContacts[Any],
    *,
    field_map: FieldMap | None = None,
    only: Query | None = None,
    everything: bool | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    consent_in: str = "",
    progress: Callable[[str], object] | None = None,
) -> Comparison:
    """Compare as `check` does, asynchronously."""
    accounts, compared = _accounts(source, target)
    request = comparison_request(compared, target, field_map, only, everything, create_fields, create_lists, progress)
    return await run_in_accounts_async(accounts, partial(_compared, request, consent_in))


def _compared(
    request: ComparisonRequest, consent_in: str, providers: Mapping[str, Provider]
) -> PlanGenerator[Comparison]:
    """Compare consent, if the source is another account that tells it, and then the contacts."""
    place = ConsentPlace.parse(consent_in) if consent_in else None
    source = request.source
    if not isinstance(source, str) or source == request.target or not _tells_consent(providers[source], place):
        return (yield from compare(request, providers))
    consent = ConsentComparison(source, request.target, ConsentOptions(place=place))
    yield from consent.run(providers, is_plan=False)
    comparison = yield from compare(evolve(request, prepare=consent.marked), providers)
    on_contacts = consent_place(providers[request.target], place) is not None
    comparison.consent = ConsentCheck(consent, comparison.has_contact if on_contacts else None)
    return comparison


def _tells_consent(provider: Provider, place: ConsentPlace | None) -> bool:
    return isinstance(provider, ReadsConsent) or consent_place(provider, place) is not None


def _accounts(source: Any, target: Any) -> tuple[list[Any], Any]:
    """Return the accounts, each once, and the source: an account by its name, or contacts."""
    if not isinstance(source, str | Contacts | AsyncContacts):
        return [target], source
    return [target] if name_of(source) == name_of(target) else [source, target], name_of(source)


def name_of(account: Any) -> str:
    """Return the name of an account, which may be open."""
    return account if isinstance(account, str) else str(account.name)


def comparison_request(
    source: Any,
    target: Any,
    field_map: FieldMap | None,
    only: Query | None,
    everything: bool | None,  # noqa: FBT001 - as its callers have it
    create_fields: bool,  # noqa: FBT001 - as above
    create_lists: bool,  # noqa: FBT001 - as above
    progress: Callable[[str], object] | None,
) -> ComparisonRequest:
    """Return the request that these arguments of `check` mean."""
    return ComparisonRequest(
        source=source,
        target=name_of(target),
        field_map=field_map or FieldMap(),
        only=only,
        everything=only is None if everything is None else everything,
        create_fields=create_fields,
        create_lists=create_lists,
        progress=progress,
    )
