"""Emulators on real loopback, on a clock that only the test advances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from attrs import Factory, define

from contacts_bird.emulator import BirdEmulator
from contacts_core.emulator import Clock, Exchange, Faults, Running, Sandbox, running
from contacts_core.http.connections import certificates
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api.emulator import UserApiEmulator
from tests.openapi import Conformance, sendgrid_folder

Json = dict[str, Any]

EMULATORS = {kind.name: kind for kind in (SendGridEmulator, BirdEmulator, UserApiEmulator)}
HEADERS = {
    "sendgrid": {"authorization": "Bearer SG.sandbox"},
    "bird": {"authorization": "AccessKey sandbox-access-key"},
    "user-api": {"x-rolodex-api-key": "sandbox-user-key"},
}
PREFIXES = {
    "sendgrid": "/v3/marketing",
    "bird": "/workspaces/00000000-0000-4000-8000-000000000001",
    "user-api": "/user-api/v1",
}


@define
class Vendor:
    """One running emulator and an authorised client of it."""

    name: str
    running: Running
    http: httpx.Client
    exchanges: list[Exchange] = Factory(list)

    @property
    def clock(self) -> Clock:
        return self.running.sandbox.clock

    @property
    def faults(self) -> Faults:
        return self.running.sandbox.faults

    def __call__(self, method: str, path: str, *, json: object = None, **more: object) -> httpx.Response:
        whole = path if path.startswith("/v3/") else PREFIXES[self.name] + path
        return self.http.request(method, whole, json=json, **more)  # type: ignore[arg-type]

    def ok(self, method: str, path: str, *, json: object = None, **more: object) -> Json:
        answer = self(method, path, json=json, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        body: Json = answer.json() if answer.content else {}
        return body


Serve = Callable[..., Vendor]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start an emulator; when the test ends, every answer that it gave is checked against the document."""
    served: list[Vendor] = []
    unchecked: list[Vendor] = []
    with ExitStack() as stack:

        def start(name: str, contacts: int = 60, *, checked: bool = True, **settings: object) -> Vendor:
            exchanges: list[Exchange] = []
            sandbox = Sandbox(
                [EMULATORS[name]],
                contacts=contacts,
                manual=True,
                observer=exchanges.append,
                **settings,  # type: ignore[arg-type]
            )
            server = stack.enter_context(running(sandbox))
            client = httpx.Client(
                base_url=server.base_url(name),
                headers=HEADERS[name],
                trust_env=False,
                verify=certificates(),
                timeout=60,  # several tests share the processors; what does not end still fails
            )
            vendor = Vendor(name, server, stack.enter_context(client), exchanges)
            served.append(vendor)
            if not checked:
                unchecked.append(vendor)
            return vendor

        yield start
    for vendor in served:
        assert not vendor.running.sandbox.crashes
        if vendor not in unchecked:
            _check_answers(vendor)


def _check_answers(vendor: Vendor) -> None:
    if vendor.name == "sendgrid" and sendgrid_folder() is None:
        return
    conformance = Conformance.for_vendor(vendor.name)
    for exchange in vendor.exchanges:
        if conformance.knows(exchange):
            conformance.check_response(exchange)


@pytest.fixture
def sendgrid(serve: Serve) -> Vendor:
    return serve("sendgrid")


@pytest.fixture
def bird(serve: Serve) -> Vendor:
    return serve("bird")


@pytest.fixture
def user_api(serve: Serve) -> Vendor:
    return serve("user-api")
