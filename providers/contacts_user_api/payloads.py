"""The JSON of user-api, as it spells it. Relations stay plain: they are written back as they were read."""

from __future__ import annotations

from typing import Any

from contacts_core.provider import TolerantFields, UnknownFields

Relation = list[dict[str, Any]]


class ContactDetails(TolerantFields, kw_only=True):
    """A contact. A relation that is None was not told, even where it was asked for with ``include``."""

    id: str
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    description: str | None = None
    location: str | None = None
    image_url: str | None = None
    website_url: str | None = None
    linkedin_slug: str | None = None
    x_slug: str | None = None
    facebook_slug: str | None = None
    instagram_slug: str | None = None
    birthday_day: int | None = None
    birthday_month: int | None = None
    birthday_year: int | None = None
    is_starred: bool | None = None
    ignore_merge: bool | None = None
    last_team_interaction: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    emails: Relation | None = None
    phone_numbers: Relation | None = None
    companies: Relation | None = None
    custom_fields: Relation | None = None
    tags: Relation | None = None
    lists: Relation | None = None
    notes: Relation | None = None


class Pagination(TolerantFields, kw_only=True):
    """Where a page stands."""

    total: int | None = None
    limit: int | None = None
    offset: int | None = None


class ContactAnswer(UnknownFields, kw_only=True):
    """One contact."""

    data: ContactDetails


class Contacts(UnknownFields, kw_only=True):
    """A page of contacts."""

    data: list[ContactDetails]
    pagination: Pagination | None = None


class ListDetails(TolerantFields, kw_only=True):
    """A list."""

    id: str
    name: str
    description: str | None = None
    type: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class ListAnswer(UnknownFields, kw_only=True):
    """One list."""

    data: ListDetails


class Lists(UnknownFields, kw_only=True):
    """A page of lists."""

    data: list[ListDetails]
    pagination: Pagination | None = None


class FieldDetails(TolerantFields, kw_only=True):
    """A custom field."""

    id: str
    name: str
    field_type: str = ""
    entity_type: str | None = None
    multi_select_options: Relation | None = None


class FieldAnswer(UnknownFields, kw_only=True):
    """One custom field."""

    data: FieldDetails


class Fields(UnknownFields, kw_only=True):
    """A page of custom fields."""

    data: list[FieldDetails]
    pagination: Pagination | None = None


class Users(UnknownFields, kw_only=True):
    """The people of the workspace; no page prints what they look like."""

    data: list[dict[str, Any]]
    pagination: Any = None
