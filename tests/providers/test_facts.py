"""What each provider states of its vendor, and that the core goes by it."""

from __future__ import annotations

import pytest

from contacts_bird import Bird
from contacts_core import Identifier, OutcomeState
from contacts_core.errors import InvalidInput
from contacts_core.http.wire import Wire
from contacts_core.provider import Provider
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi
from tests.providers.test_on_emulators import account

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


def test_a_member_that_is_looked_up_first_is_named_as_it_was_asked_for() -> None:
    with account("bird", contacts=5, email_keys="emailaddress,workemail") as (client, _):
        target = next(contact for contact in client.export() if contact.email)
        assert target.email
        news = client.create_list("News")
        nobody = Identifier.email("nobody@example.com")
        for change in (client.add_to_list, client.remove_from_list):
            outcome = change(news.id, [Identifier.email(target.email), target.id, nobody])
            assert (outcome.requested, outcome.state) == (3, OutcomeState.DONE)
            assert set(outcome.confirmed) == {target.email, target.id}
            assert outcome.absent == (nobody.value,)


@pytest.mark.parametrize(("name", "fewest", "most"), [("sendgrid", 1, 100), ("bird", 2, 256), ("user-api", 1, 50)])
def test_a_list_name_of_a_length_that_the_vendor_refuses_is_not_sent(name: str, fewest: int, most: int) -> None:
    with account(name) as (client, served):
        for length in (fewest - 1, most + 1):
            with pytest.raises(InvalidInput, match="blank" if length == 0 else f"{fewest} to {most} characters"):
                client.create_list("x" * length)
        assert client.create_list("x" * most).name == "x" * most
        assert served.sandbox.crashes == []
