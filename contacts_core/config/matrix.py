"""What each provider can do, as a table: read from the capabilities that its class declares, kept nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from contacts_core.config import plugins
from contacts_core.models import IdentifierKind
from contacts_core.provider import (
    CAPABILITIES,
    Counts,
    CountsByPaging,
    DeletesAllContacts,
    DeletesAllContactsById,
    DeletesContacts,
    Exports,
    FindsContacts,
    FindsContactsByScan,
    Provider,
    Searches,
)

__all__ = ["Row", "cell", "markdown", "rows"]

NOT_IDEMPOTENT = "not idempotent"
YES, EMULATED, SCAN, ONE_BY_ONE, NO = "yes", "emulated", "by scan", "one by one", "\N{EN DASH}"
OTHERS_SCANNED, SOME_KINDS = "yes, some kinds by scan", "some kinds"
# Ways to have a capability that read every contact.
SCANNING: Mapping[type[Provider], type[Provider]] = {FindsContacts: FindsContactsByScan, Counts: CountsByPaging}


@frozen
class Row:
    """One capability and how each provider has it.

    Attributes:
        capability: Name of the class that declares it.
        title: What it does, in a few words.
        methods: What a provider implements for it.
        cells: How each provider has it, by the provider's name.
    """

    capability: str
    title: str
    methods: tuple[str, ...]
    cells: Mapping[str, str]


def rows(providers: Mapping[str, type[Provider]] | None = None) -> list[Row]:
    """The table, one row for each capability.

    Args:
        providers: Which providers, by name; all that are installed, if not given.
    """
    shown = plugins.registry().providers if providers is None else providers
    return [
        Row(
            capability.__name__,
            _title(capability),
            _methods(capability),
            {name: _whole_cell(provider, capability) for name, provider in shown.items()},
        )
        for capability in CAPABILITIES
    ]


def _whole_cell(provider: type[Provider], capability: type[Provider]) -> str:
    shown = cell(provider, capability)
    return f"{shown}, {NOT_IDEMPOTENT}" if capability in provider.non_idempotent else shown


def cell(provider: type[Provider], capability: type[Provider]) -> str:
    """How a provider has a capability, in a word or two.

    ``yes``, ``emulated`` (read, changed and written back), ``by scan`` (every contact is read), ``yes, some kinds by
    scan`` or ``some kinds`` (of identifiers, where the vendor cannot look up all), ``one by one`` (a request for each
    contact), or a dash.
    """
    if capability in provider.read_modify_write:
        return EMULATED
    if not issubclass(provider, capability):
        return SCAN if capability is Searches and issubclass(provider, Exports) else NO
    if capability in SCANNING and issubclass(provider, SCANNING[capability]):
        return SCAN
    if capability is FindsContacts and not _looks_up_all(provider):
        return OTHERS_SCANNED if issubclass(provider, Exports) else SOME_KINDS
    if capability in (DeletesContacts, DeletesAllContacts) and _deletes_singly(provider, capability):
        return ONE_BY_ONE
    return YES


def _looks_up_all(provider: type[Provider]) -> bool:
    return issubclass(provider, FindsContacts) and set(IdentifierKind) <= set(provider.find_kinds)


def _deletes_singly(provider: type[Provider], capability: type[Provider]) -> bool:
    singly = issubclass(provider, DeletesContacts) and provider.delete_batch_size == 1
    return singly and (capability is DeletesContacts or issubclass(provider, DeletesAllContactsById))


def markdown(providers: Mapping[str, type[Provider]] | None = None) -> str:
    """The table in Markdown.

    Args:
        providers: Which providers, by name; all that are installed, if not given.
    """
    table = rows(providers)
    names = list(table[0].cells)
    head = ["operation", "declared as", *names]
    lines = [_line(head), _line("---" for _ in head)]
    for row in table:
        methods = ", ".join(f"`{method}`" for method in row.methods)
        lines.append(_line([f"{row.title}: {methods}", f"`{row.capability}`", *(row.cells[name] for name in names)]))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _title(capability: type[Provider]) -> str:
    return (capability.__doc__ or capability.__name__).splitlines()[0].rstrip(".").lower()


def _methods(capability: type[Provider]) -> tuple[str, ...]:
    return tuple(name for name, value in vars(capability).items() if getattr(value, "__isabstractmethod__", False))
