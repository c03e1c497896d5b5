"""The applications of the page on web frameworks, with the clients that they open themselves, against the emulators."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contacts_core.emulator import Running, Sandbox, emulators, running

PAGE = (Path(__file__).parents[2] / "docs" / "web-frameworks.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```python title="([^"]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
KEYS = {
    "sendgrid": {"api_key": "SENDGRID_API_KEY"},
    "bird": {"access_key": "BIRD_ACCESS_KEY", "workspace_id": "BIRD_WORKSPACE_ID"},
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(emulators().values(), contacts=20, speed=600)


@pytest.fixture
def server(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The emulators, the environment that leads to them, and the files of the page where they can be imported."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with running(sandbox) as server:
        for vendor, names in KEYS.items():
            settings = server.settings(vendor)
            monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", settings["base_url"])
            for setting, variable in names.items():
                monkeypatch.setenv(variable, settings[setting])
        try:
            yield server
        finally:
            for name in FILES:
                sys.modules.pop(name.removesuffix(".py"), None)


def test_fastapi_opens_its_client_and_answers_errors(sandbox: Sandbox, server: Running) -> None:
    from fastapi.testclient import TestClient

    application: Any = __import__("main").app
    with TestClient(application) as client:
        (found,) = client.get("/contacts", params={"email": "person3@example.com"}).json()
        answer = client.delete(f"/contacts/{found['id']}")
        assert answer.status_code == 202, "the vendor deletes with a job"
        assert answer.json()["state"] == "accepted"
        assert client.get("/contacts", params={"email": "nobody@example.com"}).json() == []
        assert client.get("/contacts", params={"email": " "}).status_code == 422
        sandbox.faults.set("unavailable", 2)  # both attempts
        answer = client.get("/contacts", params={"email": "person4@example.com"})
        assert (answer.status_code, "@" in answer.text) == (502, False)


def test_django_opens_its_client_and_answers_errors(sandbox: Sandbox, server: Running) -> None:
    import django
    from django.conf import settings
    from django.test import Client

    if not settings.configured:
        settings.configure(ROOT_URLCONF="urls", MIDDLEWARE=["middleware.ContactsErrors"], ALLOWED_HOSTS=["testserver"])
        django.setup()
    client = Client()
    (found,) = client.get("/contacts", {"email": "person3@example.com"}).json()["contacts"]
    answer = client.delete(f"/contacts/{found['id']}")
    assert (answer.status_code, answer.json()["confirmed"]) == (200, [found["id"]])
    assert client.get("/contacts", {"email": "person3@example.com"}).json() == {"contacts": []}
    assert client.get("/contacts", {"email": " "}).status_code == 422
    sandbox.faults.set("unavailable", 2)
    assert client.get("/contacts", {"email": "person4@example.com"}).status_code == 502
    __import__("views").opened().close()
