"""How long and how often an account's requests are tried, and how much of an answer is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen
from attrs.validators import optional

from contacts_core.errors import ConfigurationError
from contacts_core.provider.values import number

__all__ = ["TransportSettings", "transport_settings"]

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def _number(value: Any) -> Any:
    """Read the number of a text, as the environment gives it; what is none is left to the validator."""
    read = number(value)
    if read is None:
        return value
    return int(read) if read == int(read) else read


def _flag(value: Any) -> Any:
    text = str(value).strip().lower()
    return text in TRUE if text in TRUE + FALSE else value


def _positive(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigurationError(f"{setting.name} must be a positive number, not {value!r}")


def _count(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConfigurationError(f"{setting.name} must be a positive whole number, not {value!r}")


def _boolean(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{setting.name} must be true or false, not {value!r}")


@frozen(kw_only=True)
class TransportSettings:
    """Bounds on every exchange with a vendor. The defaults suit all the vendors that are known.

    Give them to `connect` as ``transport=TransportSettings(attempts=2)``, or write them into the accounts file:

        [accounts.marketing.transport]
        attempts = 2
        request_timeout = 60

    or into the environment as ``ACME_TRANSPORT="attempts=2,request_timeout=60"``.

    Attributes:
        attempts: How often one request is sent, at most, the first time included.
        attempt_timeout: Seconds from sending a request to the last byte of its answer; long bodies get more time, at
            10 kB/s.
        request_timeout: Seconds for one request with all its attempts and pauses, waiting for the vendor's rates
            included.
        client_timeout: Seconds after the client's first request in which it may send requests; None for no end.
        cancel_timeout: Seconds that an exchange under way may still take when its task is cancelled.
        max_answer: Bytes of one answer of the API, after decompression.
        max_pages: Pages of one export or list.
        allow_plain_http: Whether keys may be sent over ``http://`` to hosts other than this one.
        allow_private_files: Whether a vendor may name files at private, link-local or loopback addresses.
    """

    attempts: int = field(default=5, converter=_number, validator=_count)
    attempt_timeout: float = field(default=120.0, converter=_number, validator=_positive)
    request_timeout: float = field(default=600.0, converter=_number, validator=_positive)
    client_timeout: float | None = field(default=None, converter=_number, validator=optional(_positive))
    cancel_timeout: float = field(default=10.0, converter=_number, validator=_positive)
    max_answer: int = field(default=64 * 2**20, converter=_number, validator=_count)
    max_pages: int = field(default=1_000_000, converter=_number, validator=_count)
    allow_plain_http: bool = field(default=False, converter=_flag, validator=_boolean)
    allow_private_files: bool = field(default=False, converter=_flag, validator=_boolean)


def transport_settings(settings: TransportSettings | Mapping[str, Any] | str) -> TransportSettings:
    """Read them as an accounts file (a table) or the environment (``name=value,…``) has them.

    Raises:
        ConfigurationError: A name is unknown, or a value is wrong.
    """
    if isinstance(settings, TransportSettings):
        return settings
    if isinstance(settings, str):
        pairs = (part.partition("=") for part in settings.split(",") if part.strip())
        settings = {name.strip(): value.strip() for name, _, value in pairs}
    if not isinstance(settings, Mapping):
        raise ConfigurationError("transport must be a table of settings", hint="such as transport.attempts = 2")
    known = [each.name for each in attrs.fields(TransportSettings)]
    if unknown := sorted(str(name) for name in settings if name not in known):
        raise ConfigurationError(
            f"transport has no setting {', '.join(unknown)}", hint=f"its settings are {', '.join(known)}"
        )
    return TransportSettings(**settings)
