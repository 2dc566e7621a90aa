"""An adapter refuses an argument that is not a source at once, and says what to pass."""

from collections.abc import Callable
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters import httpx, kinetic_core, requests, simple_salesforce

ADAPTERS = [
    pytest.param(requests.SalesforceAuth, "SalesforceAuth", id="requests"),
    pytest.param(httpx.SalesforceAuth, "SalesforceAuth", id="httpx"),
    pytest.param(simple_salesforce.connect, "connect", id="simple-salesforce"),
    pytest.param(kinetic_core.connect, "connect", id="kinetic-core"),
]


@pytest.mark.parametrize(("adapter", "name"), ADAPTERS)
def test_an_authenticator_is_refused_with_the_source_to_make_from_it(adapter: Callable[[Any], Any], name: str) -> None:
    auth = kinetic.OAuthAuthenticator(client_id="a", client_secret="b", username="c", password="d")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        adapter(auth)
    assert str(caught.value) == (
        f"{name} needs a SessionSource, but got OAuthAuthenticator. "
        "Remedy: Give it kinetic_auth_core.SessionSource(authenticator)."
    )


@pytest.mark.parametrize(("adapter", "name"), ADAPTERS)
def test_a_session_is_refused_because_it_cannot_be_renewed(adapter: Callable[[Any], Any], name: str) -> None:
    session = kinetic.SalesforceSession("00D!x", "https://acme.my.salesforce.com", "", "0")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        adapter(session)
    assert caught.value.message == f"{name} needs a SessionSource, but got SalesforceSession."
    assert caught.value.remedy == "Give it the session's source: a session alone cannot be renewed."


@pytest.mark.parametrize(("adapter", "name"), ADAPTERS)
def test_anything_else_is_refused_with_where_sources_come_from(adapter: Callable[[Any], Any], name: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        adapter("prod")
    assert caught.value.message == f"{name} needs a SessionSource, but got str."
    assert caught.value.remedy == "Give it the result of kinetic_auth_core.resolve(...)."
