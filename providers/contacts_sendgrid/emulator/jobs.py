"""Imports, exports, and the file storage that stands beside the service."""

import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from contacts_core.emulator import Incoming, Operation, Refused, json_array, json_response
from contacts_sendgrid.emulator import shapes
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.contacts import apply_items, body_object
from contacts_sendgrid.emulator.errors import refuse
from contacts_sendgrid.emulator.files import BadFile, Packing, error_report, export_files, import_rows
from contacts_sendgrid.emulator.items import field_value, known_lists
from contacts_sendgrid.emulator.lists import RESERVED_FIELDS
from contacts_sendgrid.emulator.store import (
    EXPORT_EXPIRES_AFTER,
    EXPORT_READY_AFTER,
    IDENTIFIERS,
    Export,
    Import,
    Results,
    valid_email,
    valid_phone,
)

MEGABYTE = 1_000_000
DEFAULT_FILE_SIZE = 5_000
UPLOAD_HEADERS = {"x-amz-server-side-encryption": "aws:kms"}
_UPLOAD_FOR = timedelta(hours=1)


class Jobs:
    """`/v3/marketing/contacts/imports` and `/exports`, and the files of both."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self.packing: Packing = "gzip"
        self.part_bytes: int | None = None

    def operations(self) -> Iterator[Operation]:
        """The operations of this group."""
        root = "/v3/marketing/contacts"
        yield Operation("PUT", f"{root}/imports", self.start_import)
        yield Operation("GET", f"{root}/imports/{{id}}", self.get_job)
        yield Operation("POST", f"{root}/exports", self.start_export)
        yield Operation("GET", f"{root}/exports", self.list_exports)
        yield Operation("GET", f"{root}/exports/{{id}}", self.get_export)
        yield Operation("PUT", "/files/imports/{id}", self.upload, guarded=False)
        yield Operation("GET", "/files/errors/{id}", self.errors, guarded=False)
        yield Operation("GET", "/files/exports/{id}/{file}", self.download, guarded=False)

    # Exports.

    def start_export(self, incoming: Incoming) -> Response:
        """Queue an export; an empty body asks for all contacts."""
        body = body_object(incoming) if incoming.body else {}
        file_type = body.get("file_type", "csv")
        if file_type not in ("csv", "json"):
            raise refuse(400, "file_type must be csv or json", "file_type")
        size = body.get("max_file_size", DEFAULT_FILE_SIZE)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise refuse(400, "max_file_size must be a positive number", "max_file_size")
        lists = known_lists(self._account, body.get("list_ids"))
        export = Export(
            id=self._account.new_id(),
            created_at=self._account.clock.now(),
            file_type=file_type,
            list_ids=lists,
            part_bytes=self.part_bytes or size * MEGABYTE,
            token=self._account.new_id(),
        )
        self._account.exports[export.id] = export
        self._plan(export)
        link = f"{incoming.base_url}/v3/marketing/contacts/exports/{export.id}"
        return json_response({"id": export.id, "_metadata": {"self": link}}, 202)

    def _plan(self, export: Export) -> None:
        if self._account.faults.take("job-never-ends"):
            return
        due = export.created_at + EXPORT_READY_AFTER
        fails, empty = self._account.faults.take("job-fails"), self._account.faults.take("empty-export")

        def happen() -> None:
            export.completed_at = due
            if fails:
                export.status, export.message = "failure", "export failed"
                return
            contacts = list(self._store.members(export.list_ids))
            export.status, export.contact_count = "ready", len(contacts)
            export.files = {} if empty else export_files(self._store, export, contacts, self.packing)

        self._account.schedule.at(due, happen)

    def list_exports(self, incoming: Incoming) -> Response:
        """All exports, newest first."""
        exports = reversed(self._account.exports.values())
        shown = [shapes.listed_export(self._store, export, incoming.base_url) for export in exports]
        link = f"{incoming.base_url}/v3/marketing/contacts/exports"
        return json_response({"result": shown, "_metadata": {"self": link}})

    def get_export(self, incoming: Incoming) -> Response:
        """The state of one export."""
        export = self._account.exports.get(incoming.params["id"])
        if export is None:
            raise refuse(404, "export not found")
        return json_response(shapes.export(export, incoming.base_url))

    def download(self, incoming: Incoming) -> Response:
        """One file of an export, for as long as its link is valid."""
        export = self._account.exports.get(incoming.params["id"])
        content = export.files.get(incoming.path.removeprefix("/files/")) if export else None
        if export is None or content is None:
            raise Refused(_storage_error(404, "NoSuchKey"))
        expired = self._account.clock.now() >= export.created_at + EXPORT_EXPIRES_AFTER
        _check_signature(incoming, export.token, expired=expired)
        response = Response(content, media_type="application/octet-stream")
        if self.packing == "content-encoding" and content:
            response.headers["content-encoding"] = "gzip"
        return response

    # The state of jobs, and imports.

    def get_job(self, incoming: Incoming) -> Response:
        """The state of any job: upserts and deletions are looked up here too."""
        job = self._account.jobs.get(incoming.params["id"])
        if job is None:
            raise refuse(404, "job not found")
        errors_url = f"{incoming.base_url}/files/errors/{job.id}?X-Amz-Signature={job.id}"
        return json_response(shapes.job(job, self._account.clock.now(), errors_url))

    def errors(self, incoming: Incoming) -> Response:
        """What went wrong in a job, as a file."""
        job = self._account.jobs.get(incoming.params["id"])
        if job is None or job.results is None:
            raise Refused(_storage_error(404, "NoSuchKey"))
        _check_signature(incoming, job.id, expired=False)
        return Response(error_report(job.results.errors), media_type="text/csv")

    def start_import(self, incoming: Incoming) -> Response:
        """Announce a file; the answer says where to put it and with which headers."""
        body = body_object(incoming)
        if body.get("file_type") != "csv":
            raise refuse(400, "file_type must be csv", "file_type")
        columns = self._columns(body.get("field_mappings"))
        lists = known_lists(self._account, body.get("list_ids"), status=404)  # 400 in an upsert
        job = self._account.new_job("upsert_contacts", 0)
        pending = Import(job, columns, lists, self._account.new_id())
        self._account.imports[job.id] = pending
        uri = f"{incoming.base_url}/files/imports/{job.id}?X-Amz-Signature={pending.token}"
        headers = [{"header": name, "value": value} for name, value in UPLOAD_HEADERS.items()]
        return json_response({"job_id": job.id, "upload_uri": uri, "upload_headers": headers})

    def _columns(self, mappings: object) -> list[str | None]:
        given = json_array(mappings)
        if not given:
            raise refuse(400, "field_mappings is required", "field_mappings")
        reserved = {field_id: name for field_id, name, _, read_only in RESERVED_FIELDS if not read_only}
        for field_id in given:
            known = isinstance(field_id, str) and (field_id in reserved or self._account.usable_field(field_id))
            if field_id is not None and not known:
                raise refuse(400, f"invalid field id '{field_id}'", "field_mappings")
        columns = [reserved.get(field_id, field_id) for field_id in given]
        if not set(columns) & set(IDENTIFIERS):
            raise refuse(400, "an identifier column is required", "field_mappings")
        return columns

    def upload(self, incoming: Incoming) -> Response:
        """Receive the file, which starts the job."""
        pending = self._account.imports.get(incoming.params["id"])
        if pending is None:
            raise Refused(_storage_error(404, "NoSuchKey"))
        job = pending.job
        expired = self._account.clock.now() >= job.created_at + _UPLOAD_FOR
        _check_signature(incoming, pending.token, expired=expired)
        if any(incoming.headers.get(name) != value for name, value in UPLOAD_HEADERS.items()):
            raise Refused(_storage_error(403, "SignatureDoesNotMatch"))
        try:
            rows = import_rows(incoming.body)
            items, errors = self._import_items(pending, rows)
        except BadFile as problem:  # the storage takes any file; the job reads it later
            rows, items, errors = [], [], [("", str(problem))]
        job.requested = len(rows)

        def effect(due: datetime) -> Results:
            results = apply_items(self._account, items, due)
            results.errors[:0] = errors
            return results

        self._account.begin(job, effect)
        return Response(status_code=200)

    def _import_items(
        self, pending: Import, rows: list[list[str]]
    ) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        items: list[dict[str, Any]] = []
        errors: list[tuple[str, str]] = []
        for row in rows:
            try:
                items.append(self._import_item(pending, row))
            except ValueError as problem:
                errors.append((next(filter(None, row), ""), str(problem)))
        return items, errors

    def _import_item(self, pending: Import, row: list[str]) -> dict[str, Any]:
        item: dict[str, Any] = {"list_ids": pending.list_ids, "custom_fields": {}}
        for column, cell in zip(pending.columns, row, strict=False):
            if column is None or not cell:
                continue
            if field := self._store.fields.get(column):
                item["custom_fields"][field.id] = field_value(field, cell)
            elif column == "alternate_emails":
                item[column] = [part.strip() for part in cell.split(",")]
            else:
                item[column] = cell.lower() if column == "email" else cell
        if not any(item.get(kind) for kind in IDENTIFIERS):
            raise ValueError("at least one identifier is required")
        if item.get("email") and not valid_email(item["email"]):
            raise ValueError(f"email '{item['email']}' is not valid")
        if item.get("phone_number_id") and not valid_phone(item["phone_number_id"]):
            raise ValueError(f"phone_number_id '{item['phone_number_id']}' is not a valid phone number")
        return item


def _check_signature(incoming: Incoming, token: str, *, expired: bool) -> None:
    """Pre-signed links carry their own right; a second one in the headers is refused."""
    given = incoming.query.get("X-Amz-Signature", "")
    if "authorization" in incoming.headers or expired or not hmac.compare_digest(given.encode(), token.encode()):
        raise Refused(_storage_error(403, "AccessDenied"))


def _storage_error(status: int, code: str) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    return Response(text, status, media_type="application/xml")
