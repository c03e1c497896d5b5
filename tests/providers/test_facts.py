"""What each provider states of its vendor, and that the core goes by it."""

from __future__ import annotations

import pytest

from contacts_bird import Bird
from contacts_core.http.wire import Wire
from contacts_core.provider import Provider
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi

WORKSPACE = "00000000-0000-4000-8000-000000000000"
PROVIDERS = [
    SendGrid(api_key="q-secret-q"),
    Bird(access_key="q-secret-q", workspace_id=WORKSPACE),
    UserApi(api_key="q-secret-q", base_url="https://api.example.com"),
]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: str(provider.name))
@pytest.mark.parametrize("key", ["SG.abc_1-2.xyz", "AccessKey xyz", "accesskey  xyz", "Bearer xyz", "Basic xyz"])
def test_a_key_of_any_vendor_is_redacted_in_the_errors_of_each(provider: Provider, key: str) -> None:
    error = Wire(provider).refusal("GET /x", 400, {}, f'{{"message":"no such key: {key}, sorry"}}'.encode())
    assert "xyz" not in f"{error} {error!r}"


def test_only_the_vendor_that_stores_data_by_region_hints_at_it() -> None:
    hints = {provider.name: Wire(provider).refusal("GET /x", 451, {}, b"").hint for provider in PROVIDERS}
    assert "data residency" in hints.pop("sendgrid")
    assert not any(hints.values())
