"""How often and how long an account's requests are tried, and how much is accepted as an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs
from attrs import field, frozen
from attrs.validators import optional

from contacts_core.errors import ConfigurationError
from contacts_core.provider.values import number

__all__ = ["HttpSettings", "http_settings"]

MOST_SECONDS = 100_000_000  # clocks and sockets take no number of any size
MOST_TIMES = 10_000
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def _number(value: Any) -> Any:
    """Read the number of a text, as the environment gives it; anything else is left to the validator."""
    read = number(value)
    if read is None:
        return value
    return int(read) if read == int(read) else read


def _flag(value: Any) -> Any:
    text = str(value).strip().lower()
    return text in TRUE if text in TRUE + FALSE else value


def _positive(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError(f"http.{setting.name} must be a positive number, not {value!r}")
    if value > MOST_SECONDS:
        raise ConfigurationError(f"http.{setting.name} must be at most {MOST_SECONDS}", hint="that is three years")


def _count(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConfigurationError(f"http.{setting.name} must be a positive whole number, not {value!r}")


def _few(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    _count(_, setting, value)
    if value > MOST_TIMES:
        raise ConfigurationError(f"http.{setting.name} must be at most {MOST_TIMES}", hint="vendors allow far fewer")


def _boolean(_: object, setting: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"http.{setting.name} must be true or false, not {value!r}")


@frozen(kw_only=True)
class HttpSettings:
    """How often and how long an account's requests are tried, and how much is accepted as an answer.

    The defaults suit all known vendors. Give others to `connect` as ``http=HttpSettings(attempts=2)``, or write them
    into the accounts file:

        [accounts.marketing.http]
        attempts = 2
        deadline_s = 60

    or into the environment as ``ACME_HTTP="attempts=2,deadline_s=60"``.

    Seconds are 100 million at most; attempts and connections 10,000.

    Attributes:
        attempts: How often one request is sent, at most, the first time included.
        timeout_s: Seconds from sending a request to the last byte of its answer; long bodies get more time, at 10 kB/s.
        connect_timeout_s: Seconds to connect. An HTTP client of your own keeps its own timeouts of connecting and
            reading.
        read_timeout_s: Seconds without any byte of an answer.
        deadline_s: Seconds for one request with all its attempts and pauses, waiting for rate limits included.
        client_deadline_s: Seconds after the client's first request in which it may send requests; None for no end.
        cancel_timeout_s: Seconds that an exchange under way may still take when its task is cancelled.
        max_pause_s: Seconds, at most, that the vendor may ask to wait before a request is sent again. If it asks for
            more, the error is raised at once.
        max_connections: Requests under way at once, and connections that stay open.
        max_answer_bytes: Bytes of one answer of the API, after decompression.
        read_ahead: Whether the next page of an export or a search is read while the one before is consumed; from the
            second page on, and never more than one page.
        max_pages: Pages of one export or list.
        allow_plain_http: Whether keys may be sent over ``http://`` to hosts other than this one.
        allow_private_files: Whether a vendor may name files at private, link-local or loopback addresses.
    """

    attempts: int = field(default=5, converter=_number, validator=_few)
    timeout_s: float = field(default=120.0, converter=_number, validator=_positive)
    connect_timeout_s: float = field(default=10.0, converter=_number, validator=_positive)
    read_timeout_s: float = field(default=60.0, converter=_number, validator=_positive)
    deadline_s: float = field(default=600.0, converter=_number, validator=_positive)
    client_deadline_s: float | None = field(default=None, converter=_number, validator=optional(_positive))
    cancel_timeout_s: float = field(default=10.0, converter=_number, validator=_positive)
    max_pause_s: float = field(default=120.0, converter=_number, validator=_positive)
    max_connections: int = field(default=8, converter=_number, validator=_few)
    max_answer_bytes: int = field(default=64 * 2**20, converter=_number, validator=_count)
    read_ahead: bool = field(default=True, converter=_flag, validator=_boolean)
    max_pages: int = field(default=1_000_000, converter=_number, validator=_count)
    allow_plain_http: bool = field(default=False, converter=_flag, validator=_boolean)
    allow_private_files: bool = field(default=False, converter=_flag, validator=_boolean)


def http_settings(settings: HttpSettings | Mapping[str, Any] | str) -> HttpSettings:
    """Read settings as an accounts file (a table) or the environment (``name=value,…``) has them.

    Raises:
        ConfigurationError: A name is unknown, or a value is wrong.
    """
    if isinstance(settings, HttpSettings):
        return settings
    if isinstance(settings, str):
        pairs = (part.partition("=") for part in settings.split(",") if part.strip())
        settings = {name.strip(): value.strip() for name, _, value in pairs}
    given = cast("object", settings)  # at run time it may be anything
    if not isinstance(given, Mapping):
        raise ConfigurationError("http must be a table of settings", hint="such as http.attempts = 2")
    known = [each.name for each in attrs.fields(HttpSettings)]
    if unknown := sorted(str(name) for name in settings if name not in known):
        raise ConfigurationError(
            f"http has no setting {', '.join(unknown)}", hint=f"its settings are {', '.join(known)}"
        )
    return HttpSettings(**settings)
