"""Read, create and delete lists, and find them by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contacts_core.errors import InvalidInput, NotFound, ProviderError, Rejected
from contacts_core.models import ContactList, Outcome
from contacts_core.operations.checks import check_id, require, several
from contacts_core.operations.outcomes import completed
from contacts_core.provider import CreatesLists, DeletesLists, Flow, Provider, ReadsLists, absent, flows

LONGEST_NAME = 100  # characters of a list's name that a message repeats


def lists(provider: Provider) -> Flow[list[ContactList]]:
    """Read every list."""
    return (yield from flows.gather(require(provider, ReadsLists).lists_page))


def resolve_lists(provider: Provider, lists: Iterable[str]) -> Flow[list[str]]:
    """Return the ids of these lists, each once; a list is given by its id or exact name.

    Raises:
        InvalidInput: There is no such list, or several have that name.
    """
    ids = yield from list_ids(provider, lists)
    return list(dict.fromkeys(ids.values()))


def list_ids(provider: Provider, lists: Iterable[str]) -> Flow[dict[str, str]]:
    """Return the id of each list, by the id or name that was given."""
    named = list(dict.fromkeys(several(lists)))
    for name in named:
        check_list_name(name)
    if not named:
        return {}
    if not isinstance(provider, ReadsLists):
        for name in named:
            check_id(provider, name)
        return dict(zip(named, named, strict=True))
    known = yield from flows.gather(provider.lists_page)
    return {name: list_id(name, known) for name in named}


def list_id(name: str, known: Sequence[ContactList]) -> str:
    """Return the id of the list with this id or name."""
    if any(known_list.id == name for known_list in known):
        return name
    if found := _named(name, known):
        return found.id
    raise InvalidInput(
        f"there is no list {name[:LONGEST_NAME]!r}", hint="`lists` gives the ids and names of the lists there are"
    )


def _named(name: str, known: Iterable[ContactList]) -> ContactList | None:
    """Return the one list with exactly this name; None if there is none.

    Raises:
        InvalidInput: Several lists have it.
    """
    found = {known_list.id: known_list for known_list in known if known_list.name == name}
    if len(found) > 1:
        raise InvalidInput(f"{len(found)} lists are named {name!r}", hint="give the list by its id")
    return next(iter(found.values()), None)


def check_list_name(list_: str) -> None:
    """Refuse a blank list.

    Raises:
        InvalidInput: The id or name is blank.
    """
    if not list_.strip():
        raise InvalidInput("the list is blank", hint="give its id or its name")


def create_list(provider: Provider, name: str) -> Flow[ContactList]:
    """Create a list, if its name is allowed."""
    able = require(provider, CreatesLists)
    _check_new_name(able, name)
    return (yield from able.create_list(name))


def ensure_list(provider: Provider, name: str) -> Flow[ContactList]:
    """Return the list with exactly this name, and create it if there is none.

    Repeating it after a crash or a lost answer makes no second list, as soon as the vendor shows the first one.

    Raises:
        InvalidInput: Several lists have this name, or it is not allowed; nothing was created.
    """
    able = require(provider, CreatesLists)
    reading = require(provider, ReadsLists)
    _check_new_name(able, name)
    if found := _named(name, (yield from flows.gather(reading.lists_page))):
        return found
    try:
        return (yield from able.create_list(name))
    except ProviderError as error:  # it may be there all the same, or somebody else was faster
        if not (error.unclear or isinstance(error, Rejected)):
            raise
        again = yield from flows.optional(flows.gather(reading.lists_page))
        if found := _named(name, again or ()):
            return found
        raise


def _check_new_name(provider: CreatesLists, name: str) -> None:
    if not name.strip():
        raise InvalidInput("the name of the list is blank")
    fewest, most = provider.list_name_lengths
    if not fewest <= len(name) <= most:
        raise InvalidInput(f"the name of a list has {fewest} to {most} characters here")


def delete_list(provider: Provider, list_: str) -> Flow[Outcome]:
    """Delete a list, named by id or name; its contacts stay."""
    able = require(provider, DeletesLists)
    (list_id,) = yield from resolve_lists(able, [list_])

    def delete() -> Flow[Outcome]:
        try:
            return (yield from able.delete_list(list_id))
        except NotFound:
            return absent(list_id)

    return (yield from completed(able, DeletesLists, "delete_list", delete(), [list_id]))
