"""Export files as streams: decompress, split into whole records, map. Memory use does not grow with the file."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from contacts_core.errors import ContactsError, IncompleteExport, JobFailed, JobTimeout, UnexpectedPayload
from contacts_core.models import Contact, JobState
from contacts_core.models.identifiers import scrub
from contacts_core.provider import flows
from contacts_core.provider.effects import Download, Emit, Read, Sleep, Stream
from contacts_core.text import printable

if TYPE_CHECKING:
    from contacts_core.provider.capabilities import ExportsFiles, FileReader

BOM = b"\xef\xbb\xbf"
LONGEST_WAIT_S = 4 * 3600.0  # the largest exports take hours
GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 18  # bytes that are decompressed at a time
LONGEST_DETAIL = 200  # characters of the vendor's message
LONGEST_RECORD = 1 << 24  # bytes; a longer record is not a contact


def export(provider: ExportsFiles, list_id: str | None) -> Stream[Contact]:
    """Start an export job, wait for it, and stream the contacts of its files.

    Raises:
        JobFailed: The vendor's export failed.
        JobTimeout: It was not ready after four hours; the job can be read again.
        IncompleteExport: Fewer contacts came than the vendor announced.
    """
    reader = yield from provider.file_reader()
    job = evolve((yield from provider.start_export(list_id)), provider=provider.name, operation="export")
    waited = 0.0
    for pause in flows.pauses(provider.poll_interval):
        if job.finished:
            break
        if (waited := waited + pause) > LONGEST_WAIT_S:
            message = f"the export was not ready after {LONGEST_WAIT_S:.0f} s"
            raise JobTimeout(message, job, hint="read the job again later")
        yield from Sleep(pause)
        job = evolve((yield from provider.get_job(job)), provider=provider.name, operation="export")
    if job.state is not JobState.DONE:
        detail = scrub(printable(job.detail, LONGEST_DETAIL)) or "no reason given"
        raise JobFailed(f"the export job ended as {job.state.value}: {detail}", job)
    count = 0
    for url in job.files:
        records, unpacked = Records(reader), Unpacked(provider.max_download)
        source = yield from Download(url)
        data = b"?"
        while data:
            data = yield from Read(source)
            for piece in unpacked.feed(data) if data else unpacked.end():  # one by one: a little gzip may hold a lot
                contacts = records.feed(piece)
                count += len(contacts)
                yield Emit(contacts)
        contacts = records.end()
        count += len(contacts)
        yield Emit(contacts)
    if job.succeeded is not None and count < job.succeeded:
        raise IncompleteExport(count, job.succeeded)


class Unpacked:
    """Decompresses a download, if it is compressed, in pieces of bounded size and up to a limit.

    Names and headers are not reliable: vendors name plain files ``.gz``, and a proxy may compress a file once more.
    The first bytes decide, for up to two layers.
    """

    def __init__(self, limit: int, layers: int = 2) -> None:
        self._limit, self._left, self._layers = limit, limit, layers
        self._head = b""
        self._gzip: zlib._Decompress | None = None  # pyright: ignore[reportPrivateUsage] - it has no other name
        self._inner: Unpacked | None = None
        self._plain = layers == 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes hold."""
        if not (self._plain or self._gzip):
            self._head += data
            if len(self._head) < len(GZIP_MAGIC):
                return
            data, self._head = self._head, b""
            if data.startswith(GZIP_MAGIC):
                self._gzip = zlib.decompressobj(wbits=31)
                self._inner = Unpacked(self._limit, self._layers - 1)
            else:
                self._plain = True
        if self._gzip is None or self._inner is None:
            yield self._counted(data)
            return
        while data:
            piece = self._decompress(data)
            data = self._gzip.unconsumed_tail
            if self._gzip.eof and self._gzip.unused_data:  # gzip files may be concatenated
                data, self._gzip = self._gzip.unused_data, zlib.decompressobj(wbits=31)
            if piece:
                yield from self._inner.feed(self._counted(piece))

    def end(self) -> Iterator[bytes]:
        """Yield what is left after the last bytes.

        Raises:
            UnexpectedPayload: The file stopped in the middle.
        """
        if self._gzip and not self._gzip.eof:
            raise UnexpectedPayload("the export file is cut off", hint="export again")
        if self._head:  # too short to be anything but plain
            yield self._counted(self._head)
        if self._inner:
            yield from self._inner.end()

    def _decompress(self, data: bytes) -> bytes:
        assert self._gzip is not None
        try:
            return self._gzip.decompress(data, PIECE)
        except zlib.error as error:
            raise UnexpectedPayload(f"the export file is damaged: {error}") from None

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise UnexpectedPayload(
                f"the export file is larger than {self._limit} bytes after decompression",
                hint="raise max_download if the account is that large",
            )
        return piece


class Records:
    """Splits a file into whole records, JSON Lines or CSV by its first byte, and maps them to contacts."""

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._rest = b""
        self._json: bool | None = None
        self._rows: Callable[[Sequence[Sequence[str]]], list[Contact]] | None = None

    def feed(self, piece: bytes) -> list[Contact]:
        """Return the contacts whose records are complete with this piece."""
        data = self._rest + piece
        if self._json is None:
            data = data.removeprefix(BOM)
            if not data.lstrip() or BOM.startswith(data):
                self._rest = data
                return []
            self._json = data.lstrip()[:1] == b"{"
        cut = data.rfind(b"\n") + 1 if self._json else last_record_end(data, len(self._rest))
        self._rest = data[cut:]
        if len(self._rest) > LONGEST_RECORD:
            raise UnexpectedPayload("a record of the export file does not end")
        return self._map(data[:cut])

    def end(self) -> list[Contact]:
        """Return the last contact, if the file does not end with a line break."""
        rest, self._rest = self._rest, b""
        if not self._json and rest.count(b'"') % 2:
            raise UnexpectedPayload("the export file ended in the middle of a record")
        return self._map(rest)

    def _map(self, records: bytes) -> list[Contact]:
        if not records.strip():
            return []
        try:
            return self._reader.json_lines(records) if self._json else self._mapped_rows(records)
        except ContactsError:
            raise
        except csv.Error as error:
            raise UnexpectedPayload(f"the export file is not CSV: {error}") from None
        except Exception as error:  # noqa: BLE001 - whatever a provider's reader raises, it is about these records
            raise UnexpectedPayload(f"the export file cannot be read ({type(error).__name__})") from None

    def _mapped_rows(self, records: bytes) -> list[Contact]:
        rows = [row for row in csv.reader(io.StringIO(self._text(records), newline="")) if row]
        if self._rows is None:
            self._rows = self._reader.csv(rows.pop(0))
        return self._rows(rows) if rows else []

    @staticmethod
    def _text(records: bytes) -> str:
        try:
            return records.decode()
        except UnicodeDecodeError:
            raise UnexpectedPayload("the export file is not UTF-8") from None


def last_record_end(data: bytes, start: int = 0) -> int:
    """Return where the last whole CSV record ends, after the last line break outside quotes; 0 if there is none.

    Args:
        data: The file as far as it was read.
        start: Line breaks before it are known to be inside quotes.
    """
    end, quotes = len(data), data.count(b'"')
    while cut := data.rfind(b"\n", start, end) + 1:
        quotes -= data.count(b'"', cut, end)
        if quotes % 2 == 0:
            break
        end = cut - 1
    return cut
