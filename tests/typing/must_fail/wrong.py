"""Must not type-check: each marked line is a mistake that the types catch."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from contacts_core import Contacts, connect, connect_async
from contacts_core.provider import DeletesContacts, DeletesLists
from contacts_core.provider import Flow
from contacts_core.models import Outcome
from contacts_core.provider import base_url_setting
from contacts_sendgrid import api
from contacts_user_api import UserApi


@frozen(kw_only=True)
class Half(DeletesContacts):
    name = "half"
    base_url: str = base_url_setting("https://half.example")


Half()  # error: abstract

client = Contacts(UserApi(api_key="x", base_url="https://x.example"))
client.delete_list("1")  # error: undeclared capability
connect(UserApi, api_key="x").delete_list("1")  # error: undeclared capability, by class
connect_async(UserApi, api_key="x").delete_list("1")  # error: undeclared capability, awaited
connect(DeletesContacts)  # error: abstract
connect(int)  # error: no provider
connect(UserApi, client=object())  # error: no HTTP client
client.upsert_contacts(connect_async(UserApi).export())  # error: an asynchronous iterable in the blocking client


def deletes_lists(able: Contacts[DeletesLists]) -> None:
    able.delete_list("1")


deletes_lists(client)  # error: a client without the capability that is asked for
list(client.search("email = 'x'"))  # error: no query


def forgotten() -> Flow[Outcome]:
    api.delete_contacts(["1"])  # error: the call is made, and never asked (pyright)
    yield from api.delete_contacts(["2"])
    return Outcome(operation="x")


@frozen(kw_only=True)
class Odd(DeletesContacts):
    name = "odd"
    base_url: str = base_url_setting("https://odd.example")

    def delete_contacts(self, ids: int) -> Flow[Outcome]:  # error: another signature
        yield from ()
        return Outcome(operation="x", requested=ids)


def sequence(ids: Sequence[str]) -> None:
    _ = ids
