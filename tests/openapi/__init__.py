"""Checks recorded exchanges against the vendors' OpenAPI documents.

Bird and user-api have documents in this folder, written for this project. SendGrid publishes its own; they stay
outside the repository and are looked for in the folder that `CONTACTS_VENDOR_SPECS` names, else in a sibling of the
repository. Where they are absent, the tests that need them are skipped.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from attrs import frozen
from jsonschema_path import SchemaPath
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.validation.schemas.factories import SchemaValidatorsFactory
from openapi_spec_validator import validate
from werkzeug.datastructures import Headers, ImmutableMultiDict

from contacts_core.emulator import Exchange

HERE = Path(__file__).parent
HOST = "https://vendor.example"
SENDGRID_FILES = (
    "tsg_mc_contacts_v3.json",
    "tsg_mc_lists_v3.json",
    "tsg_mc_custom_fields_v3.json",
    "tsg_mc_segments_2.0_v3.json",
    "tsg_suppressions_v3.json",
    "tsg_recipients_data_erasure_v3.json",
)
# Who the user is: SendGrid describes it in a document that is not among these.
ELSEWHERE = {"/v3/user/username"}
STORAGE = "/files/"  # files stand beside the API, and no document describes them


@frozen
class Deviation:
    """One way in which the real vendor differs from its own document.

    `operation` is `METHOD path-template`, `part` is `request` or a status, `problem` a pattern of what openapi-core
    says; all three are regular expressions that must match as a whole.
    """

    name: str
    vendor: str
    operation: str
    part: str
    problem: str
    reason: str

    def explains(self, vendor: str, operation: str, part: str, problem: str) -> bool:
        return (
            vendor == self.vendor
            and re.fullmatch(self.operation, operation) is not None
            and re.fullmatch(self.part, part) is not None
            and re.fullmatch(self.problem, problem, re.DOTALL) is not None
        )


_JOB_ID = r"InvalidData /job_id: '[0-9a-f-]{36}' is not of type 'object'"

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "job-id-is-text",
        "sendgrid",
        "DELETE /v3/marketing/contacts(/{contact_id}/identifiers)?",
        "202",
        _JOB_ID,
        "The document types the job id of deletions as an object; recorded answers hold a string.",
    ),
    Deviation(
        "flat-deletion-error",
        "sendgrid",
        "DELETE /v3/marketing/contacts",
        "400",
        "InvalidData /: 'errors' is a required property",
        "Recorded 400 answers are flat: message and parameter, no errors array.",
    ),
    Deviation(
        "sample-without-segments",
        "sendgrid",
        "GET /v3/marketing/contacts",
        "200",
        r"InvalidData /result/\d+: 'segment_ids' is a required property",
        "Recorded sample listings have no segment_ids.",
    ),
    Deviation(
        "sample-with-null",
        "sendgrid",
        "GET /v3/marketing/contacts",
        "200",
        r"InvalidData /result/\d+/alternate_emails: None is not of type 'array'",
        "Recorded sample listings have null where a contact has no alternate addresses.",
    ),
    Deviation(
        "null-for-empty",
        "sendgrid",
        "POST /v3/marketing/contacts/search",
        "200",
        r"InvalidData /result/\d+/(alternate_emails|segment_ids|custom_fields): None is not of type '(array|object)'",
        "Recorded searches hold null where arrays and objects are empty; those by email only for segment_ids.",
    ),
    Deviation(
        "contact-sample-is-an-array",
        "sendgrid",
        "GET /v3/marketing/lists/{id}",
        "200",
        r"InvalidData /contact_sample: \[.*\] is not of type 'object'",
        "Clients read an array of up to 50 contacts; the document has one object.",
    ),
    Deviation(
        "unmapped-column-is-null",
        "sendgrid",
        "PUT /v3/marketing/contacts/imports",
        "request",
        r"InvalidRequestBody /field_mappings/\d+: None is not of type 'string'",
        "Meant as nullable, in a keyword that OpenAPI 3.1 no longer has.",
    ),
    Deviation(
        "error-field-is-null",
        "sendgrid",
        ".*",
        "4..|5..",
        r"InvalidData /errors/\d+/field: None is not of type 'string'",
        "Meant as nullable, in a keyword that OpenAPI 3.1 no longer has; recorded errors have null.",
    ),
    Deviation(
        "empty-204",
        "sendgrid",
        "DELETE /v3/marketing/lists/{id}",
        "204",
        "MissingData: Missing response data",
        "The document gives the 204 a body of type string, which HTTP does not allow.",
    ),
    Deviation(
        "undocumented-status",
        "sendgrid",
        ".*",
        "401|413|414|429|503",
        "ResponseNotFound: .*",
        "Keys, rates and sizes are checked in front of every operation, and few operations say so.",
    ),
    Deviation(
        "address-in-a-path",
        "sendgrid",
        "(GET|DELETE) /v3/(asm|suppression)/.*{email}",
        "request",
        "InvalidParameter /: '[^']*%40[^']*' is not a 'email'",
        "The checker judges the address as it is encoded in the path.",
    ),
    Deviation(
        "nobody-is-an-empty-object",
        "sendgrid",
        "GET /v3/asm/suppressions/global/{email}",
        "200",
        "InvalidData /: 'recipient_email' is a required property",
        "The document itself describes an empty object for an address that is not suppressed.",
    ),
    Deviation(
        "undocumented-bad-request",
        "sendgrid",
        "POST /v3/marketing/contacts/batch|GET /v3/marketing/lists|(GET|POST|PATCH|DELETE) /v3/(asm|suppression)/.*",
        "400",
        "ResponseNotFound: .*",
        "The document limits the ids and the page size here, and names no answer to a request beyond the limit.",
    ),
)


class Conformance:
    """The documents of one vendor; `used` counts the deviations that were met."""

    def __init__(self, vendor: str, documents: Iterable[OpenAPI]) -> None:
        self.vendor = vendor
        self.used: Counter[str] = Counter()
        self._documents = tuple(documents)
        self._known: dict[Hashable, tuple[str, ...]] = {}
        self._found: dict[tuple[str, str], tuple[OpenAPI, str] | None] = {}

    @classmethod
    def for_vendor(cls, name: str) -> Conformance:
        """The documents of a provider, by its name; skips the test where they are not on this machine."""
        if name == "sendgrid":
            folder = sendgrid_folder()
            if folder is None:
                pytest.skip("SendGrid's OpenAPI documents are not here; set CONTACTS_VENDOR_SPECS to their folder")
            return cls(name, [_document(folder / file) for file in SENDGRID_FILES])
        return cls(name, [_document(HERE / f"{name.replace('-', '_')}.yaml")])

    def check(self, exchange: Exchange) -> None:
        """Raise `AssertionError` unless the request and the answer are as documented, or deviate in a known way."""
        self._check(exchange, ask=True)

    def check_response(self, exchange: Exchange) -> None:
        """The same for the answer alone, where the request is wrong on purpose."""
        self._check(exchange, ask=False)

    def check_documents(self) -> None:
        """Raise `OpenAPIValidationError` unless the documents themselves are valid."""
        for document in self._documents:
            validate(document.spec.read_value())

    def knows(self, exchange: Exchange) -> bool:
        """Whether a document has this method and path."""
        return self._find(exchange) is not None

    def _check(self, exchange: Exchange, *, ask: bool) -> None:
        if exchange.path.startswith(STORAGE) or exchange.path in ELSEWHERE:
            return
        found = self._find(exchange)
        assert found is not None, f"{self.vendor}: no document has {exchange.method} {exchange.path}"
        document, operation = found
        problems: list[str] = []
        asked = (
            exchange.method,
            exchange.path,
            urlsplit(exchange.url).query,
            _lasting(exchange.headers),
            exchange.body,
        )
        if ask:
            found_out = self._once(asked, lambda: document.iter_request_errors(_Request(exchange)))
            problems += self._unexplained(operation, "request", found_out)
        if exchange.fault is None:
            answered = (*asked, exchange.status, _lasting(exchange.response_headers), exchange.response_body)
            found_out = self._once(
                answered, lambda: document.iter_response_errors(_Request(exchange), _Response(exchange))
            )
            problems += self._unexplained(operation, str(exchange.status), found_out)
        assert not problems, f"{self.vendor} {operation}:\n" + "\n".join(problems)

    def _find(self, exchange: Exchange) -> tuple[OpenAPI, str] | None:
        place = (exchange.method, exchange.path)
        if place not in self._found:
            self._found[place] = self._search(exchange)
        return self._found[place]

    def _search(self, exchange: Exchange) -> tuple[OpenAPI, str] | None:
        for document in self._documents:
            finder: Any = document.request_validator.path_finder  # type: ignore[attr-defined]
            try:
                path = finder.find(exchange.method.lower(), f"{HOST}{exchange.path}")
            except PathError:
                continue
            return document, f"{exchange.method} {path.path_result.pattern}"
        return None

    def _once(self, content: Hashable, errors: Callable[[], Iterable[Exception]]) -> tuple[str, ...]:
        """What is wrong with this content; the same content is looked at once, for that takes longer than a test."""
        if content not in self._known:
            self._known[content] = tuple(problem for error in errors() for problem in _problems(error))
        return self._known[content]

    def _unexplained(self, operation: str, part: str, problems: Iterable[str]) -> Iterator[str]:
        for problem in problems:
            known = [item for item in DEVIATIONS if item.explains(self.vendor, operation, part, problem)]
            if known:
                self.used[known[0].name] += 1
            else:
                yield f"  {part}: {problem}"


def _lasting(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers but the port and the time, which are others each time and of any form."""
    return tuple(sorted((name, value) for name, value in headers.items() if name.lower() not in {"host", "date"}))


class _Request:
    """An exchange as openapi-core wants requests."""

    def __init__(self, exchange: Exchange) -> None:
        self.host_url = HOST
        self.path = exchange.path
        self.method = exchange.method.lower()
        self.body = exchange.body or None
        self.content_type = exchange.headers.get("content-type", "").partition(";")[0]
        query = parse_qsl(urlsplit(exchange.url).query, keep_blank_values=True)
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(query), header=Headers(dict(exchange.headers)), cookie=ImmutableMultiDict()
        )


class _Response:
    """An exchange as openapi-core wants answers."""

    def __init__(self, exchange: Exchange) -> None:
        self.status_code = exchange.status
        self.data = exchange.response_body or None
        self.content_type = exchange.response_headers.get("content-type", "").partition(";")[0]
        self.headers = Headers(dict(exchange.response_headers))


def _own_checker(factory: Any, *formats: object) -> object:
    """The checker of formats, not a deep copy of it for each schema; ours has no formats of its own to add."""
    assert not any(formats)
    return factory.format_checker


_factory: Any = SchemaValidatorsFactory
_factory.get_format_checker = _own_checker


def sendgrid_folder() -> Path | None:
    """Where SendGrid's own documents are on this machine."""
    named = os.environ.get("CONTACTS_VENDOR_SPECS")
    sibling = HERE.parents[1].parent / "shared" / "vendor" / "sendgrid" / "openapi"
    folder = Path(named) if named else sibling
    return folder if all((folder / file).is_file() for file in SENDGRID_FILES) else None


@functools.cache
def _document(file: Path) -> OpenAPI:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # also reads JSON, which is YAML
    content: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), loader)  # noqa: S506
    content["servers"] = [{"url": HOST}]
    # What a reference leads to is looked up some hundred thousand times. Whether the document itself is valid is tested
    # once, and not by each process that compares with it.
    path = SchemaPath.from_dict(content, resolved_cache_maxsize=100_000)
    return OpenAPI(path, Config(spec_validator_cls=None))


def _problems(error: Exception) -> Iterator[str]:
    """What an error of openapi-core says, one line for each violated rule."""
    details = getattr(error.__cause__, "schema_errors", None)
    if not details:
        yield f"{type(error).__name__}: {error.__cause__ or error}"
        return
    for detail in details:
        pointer = "/".join(str(step) for step in getattr(detail, "absolute_path", ()))
        yield f"{type(error).__name__} /{pointer}: {getattr(detail, 'message', detail)}"
