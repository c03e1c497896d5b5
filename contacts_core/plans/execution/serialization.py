"""What the durable engine keeps in its tables: JSON, and nothing that could be executed when it is read.

DBOS reads a row in the format that the row names, and one of its formats is pickle: whoever may write to the tables
could run code in every worker. So that format is switched off while an engine runs.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbos import Serializer

from contacts_core.errors import ConfigurationError, ContactsError, StorageError

__all__ = ["NAME", "PlainJson", "StepFailed", "without_pickle"]

NAME = "contacts-json-1"
_lock, _users = threading.Lock(), list[None]()  # an engine, and whoever cancels a run beside it
HINT = "somebody else wrote to the tables of the runs: find out who may; contacts runs cancel ends the run"


class StepFailed(ContactsError):
    """What a step failed with when it was done; read from the record, so that a replay ends as the first time did."""


class PlainJson(Serializer):
    """Values as JSON, exactly as they are; errors as their kind and text."""

    def name(self) -> str:
        """What stands in the rows beside the values."""
        return NAME

    def serialize(self, data: Any) -> str:
        """Write a value, the arguments of a workflow, or an error.

        Raises:
            TypeError: It would not come back as it is.
        """
        if isinstance(data, BaseException):
            text = str(data) if isinstance(data, ContactsError) else ""
            return json.dumps({"error": [type(data).__name__, text]})
        if isinstance(data, dict) and data.keys() == {"args", "kwargs"}:
            data = {"args": list(data["args"]), "kwargs": data["kwargs"]}
        text = json.dumps({"value": data}, allow_nan=False)
        if json.loads(text)["value"] != data:
            raise TypeError(f"a {type(data).__name__} that is not plain JSON")
        return text

    def deserialize(self, serialized_data: str) -> Any:
        """Read it.

        Raises:
            StorageError: It was not written here.
        """
        try:
            kept = json.loads(serialized_data)
            if "value" in kept:
                return kept["value"]
            kind, text = kept["error"]
            # No `StorageError`: that would say that the database refuses now, and the run would wait for it for ever.
            return StepFailed(f"{kind}: {text}" if text else str(kind))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _foreign() from None


@contextmanager
def without_pickle() -> Iterator[None]:
    """Refuse DBOS's pickle format for as long as this lasts.

    Raises:
        ConfigurationError: This version of DBOS keeps the format elsewhere, so that it could not be switched off.
    """
    pickling = getattr(importlib.import_module("dbos._serialization"), "DBOSDefaultSerializer", None)
    if pickling is None:
        raise ConfigurationError("this version of the package dbos is not known here", hint="install dbos 3.4")

    def refused(*_: Any) -> Any:
        raise _foreign()

    with _lock:
        _users.append(None)
        pickling.deserialize = pickling.serialize = refused  # of the one instance, which every reader uses
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                del pickling.deserialize, pickling.serialize


def _foreign() -> StorageError:
    return StorageError("a row of the runs was not written by this library; it was not read", hint=HINT)
