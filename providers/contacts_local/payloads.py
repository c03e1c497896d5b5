"""What the column ``data`` of a contact holds, as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Data", "decode", "encode", "read_data"]


class Data(msgspec.Struct, omit_defaults=True, gc=False):
    """The fields of a contact; those that it does not have are left out.

    Attributes:
        identifiers: Kind, value, whether it is primary, label, key and country code of each, as far as there are any.
        custom: Values as `mapping` writes them, so that each keeps its type.
    """

    identifiers: list[Any] = []
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None
    organization: str | None = None
    title: str | None = None
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    formatted: str = ""
    tags: tuple[str, ...] = ()
    custom: dict[str, Any] = {}
    extra: dict[str, Any] = {}


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode
read_data = msgspec.json.Decoder(Data).decode
