"""Keys that rotate under load: the app's certificate and the vault's keys are swapped under 16 threads."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator, new_key_pair

Aws = Callable[[str], Any]
RestCall = Callable[[kinetic.SalesforceSession], int]

THREADS = 16
ROTATIONS = 3
CALLS_BETWEEN = 3 * THREADS


def call(source: kinetic.SessionSource, rest_call_status: RestCall) -> int:
    """A REST call as an adapter makes it: a dead session is given back, and the call made once more."""
    session = source.session()
    if (status := rest_call_status(session)) != 401:
        source.note_taken(session)
        return status
    source.invalidate(session)
    return rest_call_status(source.session())


def test_a_key_rotation_does_not_affect_sixteen_threads(
    sf: SalesforceEmulator, aws: Aws, at: str, relay: Any, tmp_path: Path, rest_call_status: RestCall
) -> None:
    keys = [new_key_pair() for _ in range(ROTATIONS + 2)]
    name = f"salesforce-{uuid.uuid4()}"
    vault = aws("secretsmanager")

    def in_vault(number: int) -> str:
        return json.dumps({"current": keys[number].private_key_pem, "next": keys[number + 1].private_key_pem})

    vault.create_secret(Name=name, SecretString=in_vault(0))
    user = sf.add_user("integration@acme.com")
    app = sf.add_app(certificates=[keys[0].certificate_pem], preauthorised={user.username})
    (tmp_path / "kinetic-auth.toml").write_text(
        f"""
        [environments.prod]
        provider = "jwt-bearer"
        login_url = "{sf.url}"
        client_id = "{app.client_id}"
        username = "{user.username}"
        private_key = ["secret-manager://aws/{name}?{at}#current", "secret-manager://aws/{name}?{at}#next"]
        """
    )
    source = kinetic.resolve(environment="prod")
    calls, stop = [threading.Semaphore(0), threading.Event()]

    def use() -> list[int]:
        statuses = []
        while not stop.is_set():
            statuses.append(call(source, rest_call_status))
            calls.release()
        return statuses

    with ThreadPoolExecutor(THREADS) as pool:
        users = [pool.submit(use) for _ in range(THREADS)]
        try:
            for rotation in range(1, ROTATIONS + 1):
                wait_for(calls, users)
                sf.upload_certificate(app, keys[rotation].certificate_pem, replace=True)
                sf.revoke_all()
                wait_for(calls, users)  # the certificate is new, the vault not yet: the next key signs
                vault.put_secret_value(SecretId=name, SecretString=in_vault(rotation))
        finally:
            stop.set()
        statuses = [status for each in users for status in each.result()]

    assert len(statuses) > ROTATIONS * 2 * CALLS_BETWEEN
    assert set(statuses) == {200}
    refused = [record for record in sf.history if record.status != "Success"]
    assert sf.token_requests - len(refused) == 1 + ROTATIONS  # one login for each time that the session died
    # The first rotation finds the vault as it was: rejected, read again, the next key. Each later one finds an
    # old key in its memory: rejected, read again, and accepted or rejected once more.
    assert len(refused) <= 3 * ROTATIONS
    assert relay.calls.count("GetSecretValue") <= 1 + 2 * ROTATIONS


def wait_for(calls: threading.Semaphore, users: list[Any]) -> None:
    """Until so many calls more have been made; at once if a thread has failed."""
    for _ in range(CALLS_BETWEEN):
        while not calls.acquire(timeout=0.5):
            if failed := next((each for each in users if each.done()), None):
                failed.result()
                pytest.fail("a thread has ended")
