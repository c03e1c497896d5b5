"""Bird's JSON, as Bird spells it (in camel case on the wire)."""

from __future__ import annotations

from typing import Any

from contacts_core.provider import Payload, TolerantFields, UnknownFields


class IdentifierRef(TolerantFields, kw_only=True, rename="camel"):
    """An identifier; a record of it also tells whose it is and since when."""

    key: str
    value: str
    contact_id: str | None = None
    properties: dict[str, Any] | None = None
    created_at: str | None = None


class ContactDetails(TolerantFields, kw_only=True, rename="camel"):
    """A contact. ``featured_identifiers`` is a subset: compare ``identifier_count``."""

    id: str
    workspace_id: str | None = None
    computed_display_name: str | None = None
    featured_identifiers: list[IdentifierRef] | None = None
    identifier_count: int | None = None
    attributes: dict[str, Any] | None = None
    list_ids: list[str] | None = None
    account_ids: list[str] | None = None
    company_refs: list[str] | None = None
    is_anonymous: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Contacts(UnknownFields, kw_only=True, rename="camel"):
    """A page of contacts; a missing, null or empty token means the last."""

    results: list[ContactDetails]
    next_page_token: str | None = None


class Identifiers(UnknownFields, kw_only=True, rename="camel"):
    """A page of identifiers."""

    results: list[IdentifierRef]
    next_page_token: str | None = None


class ListDetails(TolerantFields, kw_only=True, rename="camel"):
    """A list."""

    id: str
    name: str
    description: str | None = None
    contact_count: int | None = None
    consent_type: str | None = None
    tags: list[str] | None = None
    is_proof: bool | None = None
    counter: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Lists(UnknownFields, kw_only=True, rename="camel"):
    """Lists, of the workspace or of a contact."""

    results: list[ListDetails]
    next_page_token: str | None = None


class Processed(Payload, rename="camel"):
    """How many members of a request were processed; not which."""

    items_processed: int


class AttributeDetails(TolerantFields, kw_only=True, rename="camel"):
    """An attribute of contacts; they carry it under ``key``."""

    id: str
    key: str
    display_name: str | None = None
    type: str | None = None
    cardinality: str | None = None
    read_only: bool = False
    pii: bool | None = None
    description: str | None = None
    format: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    workspace_id: str | None = None


class AttributeDefinitions(UnknownFields, kw_only=True, rename="camel"):
    """A page of attribute definitions."""

    results: list[AttributeDetails]
    next_page_token: str | None = None
