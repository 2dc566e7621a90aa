"""From a reference in kinetic-auth.toml to a REST call, for both of Azure's services."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair
from kinetic_auth_secret_manager.azure_keys import AzureKeySigner

Configure = Callable[..., None]
RestCall = Callable[[kinetic.SalesforceSession], int]


def test_key_vault_secrets(vault: Any, configure: Configure, keys: KeyPair, rest_call_status: RestCall) -> None:
    vault.set_secret("salesforce", json.dumps({"private_key": keys.private_key_pem}))
    configure(f"secret-manager://azure/{vault.host}/salesforce#private_key", keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        assert rest_call_status(source.session()) == 200


def test_key_vault_keys_log_in_and_the_signer_holds_no_private_key(
    vault: Any,
    configure: Configure,
    load: Callable[..., Any],
    certificate_over: Callable[[bytes], str],
    rest_call_status: RestCall,
) -> None:
    vault.create_key("salesforce")
    uri = f"kms://azure/{vault.host}/salesforce"
    configure(uri, certificate_over(load(uri).public_key()))
    with kinetic.resolve(environment="prod") as source:
        assert rest_call_status(source.session()) == 200
    signers = [each for each in gc.get_objects() if isinstance(each, AzureKeySigner)]
    assert signers
    assert [each for signer in signers for each in _reached_from(signer) if isinstance(each, rsa.RSAPrivateKey)] == []
    assert {call.partition(" ")[0] for call in vault.calls} == {"GET", "POST"}


def _reached_from(start: object) -> list[object]:
    """All that an object holds, but for modules, classes and functions, from which everything can be reached."""
    seen: dict[int, object] = {}
    queue = [start]
    while queue:
        each = queue.pop()
        if id(each) not in seen and not isinstance(each, type | type(gc) | type(_reached_from)):
            seen[id(each)] = each
            queue += gc.get_referents(each)
    return list(seen.values())


def test_concurrent_logins_ask_the_vault_once(
    vault: Any, configure: Configure, keys: KeyPair, tokens_of_a_herd: Any
) -> None:
    vault.set_secret("herd", keys.private_key_pem)
    configure(f"secret-manager://azure/{vault.host}/herd", keys.certificate_pem)
    assert len(tokens_of_a_herd()) == 24
    assert len(vault.calls) == 1


def test_an_outage_after_the_first_login_loses_nothing(
    vault: Any, configure: Configure, keys: KeyPair, warnings_of_an_outage: Any
) -> None:
    vault.set_secret("outage", keys.private_key_pem)
    uri = f"secret-manager://azure/{vault.host}/outage?cache=0"
    configure(uri, keys.certificate_pem)
    [warning] = warnings_of_an_outage(vault)
    assert warning.startswith(f"{uri}: the vault cannot be reached; the value read ")
