"""How the durable engine stores values: as JSON, and nothing that could be executed when it is read.

DBOS reads a row in the format that the row names, and one of its formats is pickle: anyone who can write to the tables
could run code in every worker. So that format is disabled while an engine runs.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from dbos import Serializer

from contacts_core.errors import ConfigurationError, ContactsError, StorageError

__all__ = ["NAME", "PlainJson", "StepFailed", "without_pickle"]

NAME = "contacts-json-1"
_lock, _users = threading.Lock(), list[None]()  # several, if a run is cancelled while an engine runs
HINT = "another program wrote to the tables of the runs: find out which; contacts runs cancel ends the run"


class StepFailed(ContactsError):
    """What a step failed with when it was done; read from the record, so that a replay ends as the first time did."""


class PlainJson(Serializer):
    """Values as JSON, exactly as they are; errors as their kind and text."""

    def name(self) -> str:
        """Return the name of the format, which is stored with each value."""
        return NAME

    def serialize(self, data: Any) -> str:
        """Write a value, the arguments of a workflow, or an error.

        Raises:
            TypeError: The value would not be read back equal.
        """
        if isinstance(data, BaseException):
            text = str(data) if isinstance(data, ContactsError) else ""
            return json.dumps({"error": [type(data).__name__, text]})
        arguments = cast("dict[str, Any]", data)
        if isinstance(data, dict) and arguments.keys() == {"args", "kwargs"}:
            data = {"args": list(arguments["args"]), "kwargs": arguments["kwargs"]}
        text = json.dumps({"value": data}, allow_nan=False)
        if json.loads(text)["value"] != data:
            raise TypeError(f"a {type(cast('object', data)).__name__} that is not plain JSON")
        return text

    def deserialize(self, serialized_data: str) -> Any:
        """Read a value.

        Raises:
            StorageError: It was not written by this library.
        """
        try:
            stored = json.loads(serialized_data)
            if "value" in stored:
                return stored["value"]
            kind, text = stored["error"]
            # Not `StorageError`: that would mean that the database refuses now, and the run would never go on.
            return StepFailed(f"{kind}: {text}" if text else str(kind))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _foreign() from None


@contextmanager
def without_pickle() -> Generator[None]:
    """Disable DBOS's pickle format within the block.

    Raises:
        ConfigurationError: This version of DBOS defines the format elsewhere, so it could not be disabled.
    """
    pickling = getattr(importlib.import_module("dbos._serialization"), "DBOSDefaultSerializer", None)
    if pickling is None:
        raise ConfigurationError("this version of the package dbos is not supported", hint="install dbos 3.4")

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
    return StorageError("a row of the runs was not written by this library, so it was not read", hint=HINT)
