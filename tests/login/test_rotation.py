"""Keys and passwords that change during the life of a source: what is fetched again, and which key is tried next."""

import logging
import time
import uuid
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import App, Delay, KeyPair, SalesforceEmulator, Status, User, new_key_pair
from kinetic_auth_jwt_bearer import JWTAuthenticator


@pytest.fixture(scope="module")
def current(key_pair: KeyPair) -> KeyPair:
    return key_pair


@pytest.fixture(scope="module")
def following() -> KeyPair:
    return new_key_pair()


@pytest.fixture(scope="module")
def strangers() -> list[str]:
    """Keys that no app has the certificate of."""
    return [new_key_pair().private_key_pem for _ in range(3)]


@attrs.frozen
class Org:
    """A user and an app that has the current key's certificate."""

    user: User
    app: App
    settings: dict[str, Any]


@pytest.fixture
def org(sf: SalesforceEmulator, current: KeyPair) -> Org:
    user = sf.add_user(f"{uuid.uuid4()}@rotation.example", "right-horse", trusted_ip=True)
    app = sf.add_app(certificates=[current.certificate_pem], preauthorised={user.username})
    settings = {"client_id": app.client_id, "username": user.username, "login_url": sf.url}
    return Org(user, app, settings)


def in_files(folder: Path, **texts: str) -> list[str]:
    """A `file://` reference to each text."""
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return [f"file://{folder / name}" for name in texts]


def test_a_key_replaced_under_the_same_reference_is_fetched_again(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_KEY", current.private_key_pem)
    source = kinetic.resolve("jwt-bearer", private_key="env://SALESFORCE_KEY", **org.settings)
    source.invalidate(source.session())
    monkeypatch.setenv("SALESFORCE_KEY", following.private_key_pem)
    sf.upload_certificate(org.app, following.certificate_pem, replace=True)
    before = sf.token_requests
    assert source.session().is_valid()
    assert sf.token_requests == before + 1


def test_with_the_next_key_in_the_list_a_certificate_swap_costs_one_refusal(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair, tmp_path: Path, caplog: Any
) -> None:
    keys = in_files(tmp_path, current=current.private_key_pem, next=following.private_key_pem)
    source = kinetic.resolve("jwt-bearer", private_key=keys, **org.settings)
    source.invalidate(source.session())
    row = next(row for row in source.explain() if row.name == "private_key")
    assert row.value == tuple(keys)
    assert row.note.startswith("private_key no. 1 of 2 is in use, key ")
    sf.upload_certificate(org.app, following.certificate_pem, replace=True)
    before = sf.token_requests
    with caplog.at_level(logging.INFO, "kinetic_auth_core"):
        source.invalidate(source.session())
    assert sf.token_requests == before + 2
    assert "invalid assertion (HTTP 400). Trying private_key no. 2 of 2." in caplog.text
    assert f"login of {org.user.username}: private_key no. 2 of 2 is in use, key " in caplog.text
    note = next(row.note for row in source.explain() if row.name == "private_key")
    assert note.startswith("private_key no. 2 of 2 is in use, key ")
    source.session()
    assert sf.token_requests == before + 3  # the key that was accepted is the first to be tried


def test_a_key_replaced_under_the_same_reference_is_tried_before_the_next_of_the_list(
    sf: SalesforceEmulator,
    org: Org,
    current: KeyPair,
    following: KeyPair,
    strangers: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY", current.private_key_pem)
    monkeypatch.setenv("NEXT_KEY", strangers[0])
    source = kinetic.resolve("jwt-bearer", private_key=["env://KEY", "env://NEXT_KEY"], **org.settings)
    source.session()
    monkeypatch.setenv("KEY", following.private_key_pem)
    sf.upload_certificate(org.app, following.certificate_pem, replace=True)
    before = sf.token_requests
    assert source.authenticate().is_valid()
    assert sf.token_requests == before + 1


def test_a_key_list_in_a_file_may_mix_references_literals_and_variables(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair, tmp_path: Path
) -> None:
    in_files(tmp_path, current=following.private_key_pem)
    config = tmp_path / "kinetic-auth.toml"
    config.write_text(
        f"""
        [environments.prod]
        provider = "jwt-bearer"
        client_id = "{org.app.client_id}"
        username = "{org.user.username}"
        login_url = "{sf.url}"
        private_key = ["file://current", {{ value = '''{current.private_key_pem}''' }}]
        """
    )
    source = kinetic.resolve(environment="prod", config=config)
    assert source.session().is_valid()
    row = next(row for row in source.explain() if row.name == "private_key")
    assert row.value == (f"file://{tmp_path / 'current'}", "********")
    assert row.note.startswith("private_key no. 2 of 2 is in use")


def test_if_all_keys_of_the_list_are_wrong_the_error_is_that_of_the_first(
    sf: SalesforceEmulator, org: Org, strangers: list[str], tmp_path: Path
) -> None:
    keys = in_files(tmp_path, one=strangers[0], two=strangers[1])
    source = kinetic.resolve("jwt-bearer", private_key=keys, **org.settings)
    before = sf.token_requests
    with pytest.raises(kinetic.CredentialsRejectedError, match="invalid assertion"):
        source.session()
    assert sf.token_requests == before + 2


def test_one_deadline_applies_to_all_keys_together(
    sf: SalesforceEmulator, org: Org, following: KeyPair, strangers: list[str]
) -> None:
    keys = [following.private_key_pem, *strangers]
    source = kinetic.resolve("jwt-bearer", private_key=keys, deadline=1, **org.settings)
    sf.break_transport(Delay(0.45), times=None)
    before, began = sf.token_requests, time.monotonic()
    with pytest.raises(kinetic.CredentialsRejectedError, match="invalid assertion"):
        source.session()
    assert time.monotonic() - began < 3
    assert sf.token_requests - before < len(keys)


@pytest.mark.parametrize(
    ("error", "description"),
    [
        ("invalid_grant", "user hasn't approved this consumer"),
        ("invalid_grant", "audience is invalid"),
        ("invalid_grant", "authentication failure"),
        ("invalid_client_id", "client identifier invalid"),
        ("inactive_user", "user is inactive"),
        ("server_error", "try later"),
        ("something_new", "that nobody knows"),
    ],
)
def test_no_other_refusal_tries_the_next_key(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair, error: str, description: str
) -> None:
    keys = [current.private_key_pem, following.private_key_pem]
    for source in (
        kinetic.resolve("jwt-bearer", private_key=keys, lockout_guard=0, **org.settings),
        kinetic.SessionSource(JWTAuthenticator(private_key=keys, **org.settings), lockout_guard=0),
        JWTAuthenticator(private_key=keys, **org.settings),
    ):
        tries = 4 if error == "server_error" else 1  # it passes by itself, so the same key is tried again
        sf.refuse(error, description, times=tries)
        before = sf.token_requests
        with pytest.raises(kinetic.AuthenticationError, match=error):
            source.authenticate()
        assert sf.token_requests == before + tries


def test_a_key_that_cannot_be_loaded_is_skipped(
    sf: SalesforceEmulator, org: Org, current: KeyPair, tmp_path: Path, caplog: Any
) -> None:
    (key,) = in_files(tmp_path, key=current.private_key_pem)
    source = kinetic.resolve("jwt-bearer", private_key=[f"file://{tmp_path}/gone", key], **org.settings)
    assert source.session().is_valid()
    assert "gone cannot be read: No such file or directory. Trying private_key no. 2 of 2." in caplog.text


def test_an_instance_without_resolve_tries_its_keys_in_order(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair
) -> None:
    made = JWTAuthenticator(private_key=[following.private_key_pem, current.private_key_pem], **org.settings)
    before = sf.token_requests
    assert made.authenticate().is_valid()
    assert sf.token_requests == before + 2
    source = kinetic.SessionSource(made)
    source.session()
    assert next(row.note for row in source.explain() if row.name == "private_key").startswith("private_key no. 2 of 2")
    assert source.authenticate().is_valid()
    assert sf.token_requests == before + 5  # the source remembers which key was accepted
    made.close()
    assert made.authenticate().is_valid()


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_outage_after_a_refused_key_is_reported_as_an_outage(
    sf: SalesforceEmulator, org: Org, current: KeyPair, strangers: list[str], by_hand: bool
) -> None:
    authenticator = JWTAuthenticator(private_key=[strangers[0], current.private_key_pem], **org.settings)
    sf.refuse("invalid_grant", "invalid assertion")
    sf.break_transport(Status(503), times=4)
    with pytest.raises(kinetic.ServiceUnavailableError) as caught:
        (authenticator if by_hand else kinetic.SessionSource(authenticator)).authenticate()
    assert caught.value.retryable


@pytest.mark.parametrize("empty", [[], ()])
def test_an_empty_list_of_keys_is_refused(org: Org, empty: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="private_key: is empty"):
        JWTAuthenticator(private_key=empty, **org.settings)


def test_an_instance_without_a_source_remembers_which_key_was_accepted(
    sf: SalesforceEmulator, org: Org, current: KeyPair, following: KeyPair
) -> None:
    settings = org.settings | {"private_key": [following.private_key_pem, current.private_key_pem]}
    for made in (JWTAuthenticator(**settings), kinetic.SessionSource(JWTAuthenticator(**settings))):
        requests = []
        for _ in range(3):
            before = sf.token_requests
            assert made.authenticate().is_valid()
            requests.append(sf.token_requests - before)
        assert requests == [2, 1, 1]


def test_a_changed_password_is_fetched_again_and_the_wrong_one_is_sent_once(
    sf: SalesforceEmulator, org: Org, tmp_path: Path, caplog: Any
) -> None:
    (password,) = in_files(tmp_path, password="right-horse")
    settings = org.settings | {"client_secret": org.app.client_secret, "password": password}
    source = kinetic.resolve("password", **settings)
    source.session()
    org.user.password = "new-horse"
    before = sf.token_requests
    with pytest.raises(kinetic.CredentialsRejectedError, match="authentication failure"):
        source.authenticate()
    assert sf.token_requests == before + 1  # the file says what was refused: it is not repeated
    (tmp_path / "password").write_text("new-horse\n")
    assert source.authenticate().is_valid()


def test_a_pkcs12_file_can_be_a_file_reference(
    sf: SalesforceEmulator, org: Org, following: KeyPair, tmp_path: Path
) -> None:
    key = load_pem_private_key(following.private_key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    (tmp_path / "key.p12").write_bytes(pkcs12.serialize_key_and_certificates(None, key, None, None, NoEncryption()))
    sf.upload_certificate(org.app, following.certificate_pem, replace=True)
    source = kinetic.resolve("jwt-bearer", private_key=f"file://{tmp_path}/key.p12", **org.settings)
    assert source.session().is_valid()


def test_the_error_for_bytes_in_a_text_setting_names_the_setting(org: Org, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe\x00")
    settings = org.settings | {"client_secret": "secret", "password": f"file://{tmp_path}/password"}
    with pytest.raises(kinetic.KeyLoadError, match=r"^password \(from keyword\): .*: the secret is not UTF-8"):
        kinetic.resolve("password", **settings).session()


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([], "private_key (from keyword): is an empty list"),
        (["env://KEY", ""], "private_key (from keyword): no. 2 of the list is empty"),
        (
            ["env://KEY", 7],
            "private_key (from keyword): no. 2 of the list: expected text or bytes or Signer, got a whole number",
        ),
        (["kms://"], "private_key (from keyword): the reference 'kms://' names nothing after kms://"),
    ],
)
def test_problems_of_a_key_list_are_reported_by_resolve(org: Org, keys: list[Any], what: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("jwt-bearer", private_key=keys, **org.settings)
    assert caught.value.problems == (what,)


def test_a_list_for_a_single_secret_is_refused(org: Org) -> None:
    settings = org.settings | {"client_secret": "secret", "password": ["env://OLD", "env://NEW"]}
    with pytest.raises(kinetic.ConfigurationError, match=r"password \(from keyword\): expected text, got a list"):
        kinetic.resolve("password", **settings)
