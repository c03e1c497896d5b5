"""What an access report holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from contacts_core.models import Contact, Identifier
from contacts_core.provider import RawContact

if TYPE_CHECKING:
    from contacts_core.plans import Receipt

__all__ = ["AccessReport", "AccountAccess", "ContactAccess"]


@frozen
class ContactAccess:
    """One contact of the person.

    Attributes:
        contact: The contact, as the library shows it.
        lists: Names of the lists that it is on, by id; the name is empty if the vendor does not tell it. None if the
            vendor does not say which lists a contact is on.
        raw: The contact as the vendor sends it; None if the vendor sends it only together with data of others.
    """

    contact: Contact
    lists: Mapping[str, str] | None = field(repr=False)
    raw: RawContact | None = field(repr=False)


@frozen
class AccountAccess:
    """What one account holds about the person.

    Attributes:
        account: Name of the account.
        provider: Name of the provider.
        title: The vendor's name for people.
        account_id: Fingerprint of the account; empty if it could not be read.
        read: How contacts were found: ``look-up`` or ``scan``; empty if there is no way.
        contacts: The person's contacts.
        consent: The vendor's statements of consent about the person, each as names and values for people; None if the
            provider does not read any.
        error: Why the account could not be read; empty if it could.
        unknown: Identifiers that were not looked up, or whose absence is not proved, each with the reason.
        withheld: Ids of contacts that have an identifier of the person and may be of another person.
        gaps: What could not be read of the contacts.
        residual_data: Data that this vendor keeps outside of contacts, each with the reason.
    """

    account: str
    provider: str
    title: str
    account_id: str = ""
    read: str = ""
    contacts: tuple[ContactAccess, ...] = ()
    consent: tuple[Mapping[str, str], ...] | None = field(default=None, repr=False)
    error: str = ""
    unknown: Mapping[Identifier, str] = field(factory=dict[Identifier, str])
    withheld: tuple[str, ...] = field(default=(), repr=False)
    gaps: tuple[str, ...] = ()
    residual_data: Mapping[str, str] = field(factory=dict[str, str], repr=False)

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for could be read and is in the report."""
        return not (self.error or self.unknown or self.withheld or self.gaps)


@frozen
class AccessReport:
    """What the accounts hold about one person.

    Attributes:
        made_at: When the accounts were read.
        asked: The identifiers that were given.
        followed: Identifiers of the contacts found that were looked up as well.
        suggestions: Identifiers of the contacts found that were not looked up.
        accounts: The accounts.
    """

    made_at: datetime
    asked: tuple[Identifier, ...]
    followed: tuple[Identifier, ...]
    suggestions: tuple[Identifier, ...]
    accounts: tuple[AccountAccess, ...]

    @property
    def complete(self) -> bool:
        """Whether every account could be read completely."""
        return all(account.complete for account in self.accounts)

    @property
    def contact_count(self) -> int:
        """How many contacts were found."""
        return sum(len(account.contacts) for account in self.accounts)

    def save(self, path: str | Path, *, storage: str | Path | None = None) -> Receipt:
        """Write the archive, which only its owner can read and which gets its name when it is complete.

        Args:
            path: The file, whose name ends in ``.zip`` by custom. An existing file is replaced.
            storage: Where the receipt key is kept; by default the user's storage.

        Returns:
            The receipt, which is in the archive as well.

        Raises:
            OSError: The file cannot be written.
            ConfigurationError: The receipt key cannot be read, or the extra ``plans`` is missing.
        """
        from contacts_core.access.archive import save  # noqa: PLC0415 - a report can be used without an archive

        return save(self, Path(path), storage)
