"""The official `sendgrid` package, a client nobody here wrote, against the emulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.conftest import Serve, Vendor

sendgrid_package = pytest.importorskip("sendgrid")


@pytest.fixture
def vendor(serve: Serve) -> Vendor:
    return serve("sendgrid", contacts=0)


@pytest.fixture
def marketing(vendor: Vendor) -> Any:
    client = sendgrid_package.SendGridAPIClient("SG.sandbox", host=vendor.running.base_url("sendgrid"))
    return client.client.marketing


def test_upsert_search_and_delete(marketing: Any, vendor: Vendor) -> None:
    made = marketing.lists.post(request_body={"name": "Readers"})
    assert made.status_code == 201
    list_id = made.to_dict["id"]
    contact = {"email": "o'brien@example.com", "last_name": "O'Brien"}
    job = marketing.contacts.put(request_body={"contacts": [contact], "list_ids": [list_id]})
    assert job.status_code == 202
    vendor.clock.advance(60)
    state = marketing.contacts.imports._(job.to_dict["job_id"]).get().to_dict
    assert state["status"] == "completed"
    query = {"query": f"last_name = 'O\\'Brien' AND CONTAINS(list_ids, '{list_id}')"}
    (found,) = marketing.contacts.search.post(request_body=query).to_dict["result"]
    assert found["email"] == "o'brien@example.com"
    gone = marketing.contacts.delete(query_params={"ids": found["id"]})
    assert gone.status_code == 202
    vendor.clock.advance(60)
    assert marketing.contacts.count.get().to_dict["contact_count"] == 0


def test_errors_reach_its_users(marketing: Any) -> None:
    with pytest.raises(Exception, match="400") as failure:
        marketing.contacts.delete()
    assert json.loads(failure.value.body)["parameter"] == "ids/delete_all_contacts"  # type: ignore[attr-defined]
