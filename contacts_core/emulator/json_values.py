"""JSON values of requests, with types."""

from typing import Any, cast

__all__ = ["json_array", "json_object"]


def json_object(value: object) -> dict[str, Any] | None:
    """Return a value that is a JSON object; None for any other."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def json_array(value: object) -> list[Any] | None:
    """Return a value that is a JSON array; None for any other."""
    items: list[Any] | None = value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType]
    return items
