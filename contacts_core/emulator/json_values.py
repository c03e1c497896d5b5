"""JSON values of requests, with types."""

from typing import Any, TypeGuard, cast

__all__ = ["json_array", "json_object"]


def json_object(value: object) -> dict[str, Any] | None:
    """Return a value that is a JSON object; None for any other."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def json_array(value: object) -> list[Any] | None:
    """Return a value that is a JSON array; None for any other."""
    return value if _is_array(value) else None


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
