"""Contacts and results as files and as plain data."""

from contacts_core.formats.csv_contacts import read_contacts_csv
from contacts_core.formats.plain_data import consent_from_plain, contact_from_plain, job_from_plain, plain
from contacts_core.formats.private_files import private_file
from contacts_core.formats.readers import read_consent, read_json_lines, read_lines, read_people, readable
from contacts_core.formats.writers import (
    FORMATS,
    ConsentCsvWriter,
    ConsentJsonLinesWriter,
    ConsentWriter,
    ContactWriter,
    CsvWriter,
    JsonLinesWriter,
    consent_writer_for,
    writer_for,
)

__all__ = [
    "FORMATS",
    "ConsentCsvWriter",
    "ConsentJsonLinesWriter",
    "ConsentWriter",
    "ContactWriter",
    "CsvWriter",
    "JsonLinesWriter",
    "consent_from_plain",
    "consent_writer_for",
    "contact_from_plain",
    "job_from_plain",
    "plain",
    "private_file",
    "read_consent",
    "read_contacts_csv",
    "read_json_lines",
    "read_lines",
    "read_people",
    "readable",
    "writer_for",
]
