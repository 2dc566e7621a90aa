"""The life of an emulator: addresses, TLS, connections, records, files, and complete removal at the end."""

from __future__ import annotations

import gc
import logging
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dotenv
import pytest
import requests

import kinetic_auth_core
from kinetic_auth_core.testing import Reset, SalesforceEmulator, Status, TlsProfile
from kinetic_auth_core.testing.emulator.models import long_id
from kinetic_auth_core.testing.emulator.server import order_reset
from kinetic_auth_core.testing.emulator.temporary_files import _remove_tree
from kinetic_auth_core.testing.pytest_plugin import salesforce_emulator  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("full_tier")

VERSIONS = "/services/data"


def port_of(sf: SalesforceEmulator) -> int:
    return int(sf.url.rpartition(":")[2])


def emulator_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("salesforce-emulator")]


def test_it_listens_on_loopback_alone(sf: SalesforceEmulator) -> None:
    assert sf.url == f"http://127.0.0.1:{port_of(sf)}"
    assert sf.ca_bundle is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port_of(sf)), timeout=5)


def test_it_has_no_address_before_it_starts() -> None:
    sf = SalesforceEmulator()
    with pytest.raises(RuntimeError, match="no address before it is started"):
        _ = sf.url
    assert "not started" in repr(sf)


def test_it_starts_once_and_can_be_closed_repeatedly() -> None:
    sf = SalesforceEmulator().start()
    with pytest.raises(RuntimeError, match="already running"):
        sf.start()
    sf.close()
    sf.close()


def test_a_taken_port_is_an_os_error(sf: SalesforceEmulator) -> None:
    with pytest.raises(OSError, match="[Aa]ddress already in use"):
        SalesforceEmulator(port=port_of(sf)).start()


def test_users_and_tokens_survive_an_outage_of_the_emulator(sf: SalesforceEmulator, client: Any) -> None:
    token, url, key = client.token(), sf.url, sf.private_key_path
    sf.close()
    assert not key.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(url + VERSIONS, timeout=5)
    sf.start()
    assert sf.url == url
    assert client.call("/services/data/v62.0/limits", token).status_code == 200
    assert sf.private_key_path.exists()


def test_stopping_leaves_no_thread_however_many_connections_are_open(connect: Any) -> None:
    before = len(emulator_threads())
    with SalesforceEmulator() as sf:
        sockets = [socket.create_connection(("127.0.0.1", port_of(sf))) for _ in range(20)]
        requests.get(sf.url + VERSIONS, timeout=5)
        assert len(emulator_threads()) > before
    assert len(emulator_threads()) == before
    for each in sockets:
        each.close()
    gc.collect()  # a socket left open would be a ResourceWarning now, and warnings are errors


def test_a_connection_is_kept_and_its_number_shows_it(sf: SalesforceEmulator, client: Any) -> None:
    for _ in range(3):
        client.jwt()
    requests.get(sf.url + VERSIONS, timeout=5)
    assert [record.connection for record in sf.requests] == [1, 1, 1, 2]


def test_bodies_may_be_chunked(sf: SalesforceEmulator, client: Any) -> None:
    form = [b"grant_type=password&", f"client_id={client.app.client_id}".encode()]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.http.post(sf.url + "/services/oauth2/token", data=iter(form), headers=headers, timeout=5)
    assert answer.json()["error"] == "invalid_client"
    assert client.jwt().status_code == 200


@pytest.mark.parametrize("length", ["99999999", "-1", "x"])
def test_a_body_of_unreasonable_length_is_rejected(sf: SalesforceEmulator, length: str) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
        connection.sendall(f"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_of_unreasonable_length_is_rejected(sf: SalesforceEmulator) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(11):
                connection.sendall(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")
            answer = connection.recv(100)
        except ConnectionError:
            answer = b"HTTP/1.1 413 "  # closed upon the client while it was still sending
        assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("framing", ["Content-Length: 30\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1e\r\n"])
def test_a_client_that_stops_in_the_middle_of_its_body_has_made_no_request(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture, framing: str
) -> None:
    before = len(sf.requests)
    with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
        head = "POST /services/oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        connection.sendall(f"{head}{framing}grant_type=password".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert len(sf.requests) == before
    assert "failed to answer" not in caplog.text


def test_an_http_1_0_client_gets_its_connection_closed(sf: SalesforceEmulator) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
        connection.sendall(b"GET /services/data HTTP/1.0\r\n\r\n")
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    assert b"\r\nConnection: close\r\n" in data


def test_malformed_http_is_logged_without_its_content(sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
        connection.sendall(b"canary-secret nonsense\r\n\r\n")
        assert b"400" in connection.recv(1000)
    assert "a request that is not HTTP" in caplog.text
    assert "canary" not in caplog.text


def test_tls_is_served_for_localhost_and_its_address(connect: Any) -> None:
    with SalesforceEmulator(tls=True) as sf:
        assert sf.url.startswith("https://localhost:")
        client = connect(sf)
        client.http.verify = str(sf.ca_bundle)
        assert client.jwt(aud=sf.url).status_code == 200
        address = sf.url.replace("localhost", "127.0.0.1")
        assert client.http.get(address + VERSIONS, timeout=5).status_code == 200
        bundle = sf.ca_bundle
        assert sf.env()["SF_CA_BUNDLE"] == str(bundle)
    assert bundle is not None
    assert not bundle.exists()


IN_A_FROZEN_TEST = """
import freezegun
import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator, new_key_pair

with freezegun.freeze_time("2020-02-02"), SalesforceEmulator(tls=True) as sf:
    kinetic.resolve("client-credentials", **sf.settings("client-credentials")).session()
new_key_pair()
"""


def test_tls_is_served_in_a_test_with_a_frozen_clock_and_certificates_can_be_made_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_FROZEN_TEST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (TlsProfile(expired=True), "certificate has expired"),
        (TlsProfile(hosts=("wrong.example",)), "mismatch"),
        (TlsProfile(maximum_version=ssl.TLSVersion.TLSv1_1), "protocol version|unsupported protocol|PROTOCOL"),
    ],
)
def test_tls_can_be_bad_in_several_ways(profile: TlsProfile, message: str) -> None:
    with SalesforceEmulator(tls=profile) as sf:
        context = ssl.create_default_context(cafile=str(sf.ca_bundle))
        with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
            with pytest.raises(ssl.SSLError, match=message):
                context.wrap_socket(connection, server_hostname="localhost")


def test_a_client_without_a_handshake_does_not_block_others(connect: Any) -> None:
    with SalesforceEmulator(tls=True) as sf, socket.create_connection(("127.0.0.1", port_of(sf))):
        answer = requests.get(sf.url + VERSIONS, verify=str(sf.ca_bundle), timeout=5)
        assert answer.status_code == 200


def test_a_reset_on_connecting_comes_before_the_tls_handshake() -> None:
    with SalesforceEmulator(tls=True) as sf:
        sf.break_transport(Reset("connect"))
        # The reset may come while the client still connects.
        with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port_of(sf)), 5) as connection:
            connection.recv(1)


def test_a_client_that_disconnects_before_the_tls_handshake_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with SalesforceEmulator(tls=True) as sf, caplog.at_level(logging.DEBUG):
        with socket.create_connection(("127.0.0.1", port_of(sf)), timeout=5) as connection:
            order_reset(connection)
        answer = requests.get(sf.url + VERSIONS, verify=str(sf.ca_bundle), timeout=5)
        assert answer.status_code == 200
    assert "a connection ended" in caplog.text


def test_records_of_requests_hold_no_secret(sf: SalesforceEmulator, client: Any) -> None:
    answer = client.password()
    client.call("/services/data/v62.0/limits", answer.json()["access_token"], params={"token": "canary"})
    shown = repr((sf, sf.requests, sf.history, client.user, client.app, sf.default, sf.policy))
    for secret in (client.app.client_secret, client.user.password, client.user.security_token, "canary"):
        assert secret not in shown
    assert answer.json()["access_token"] not in shown
    assert sf.default.private_key_pem[100:140] not in shown
    last = sf.requests[-1]
    assert (last.method, last.path, last.status, last.fault) == ("GET", "/services/data/v62.0/limits", 200, None)
    assert last.headers["User-Agent"].startswith("python-requests/")
    assert "Authorization" not in last.headers


def test_requests_are_counted_beyond_the_records_that_are_kept(connect: Any) -> None:
    with SalesforceEmulator(records_kept=2) as sf:
        client = connect(sf)
        for _ in range(3):
            client.jwt()
        sf.break_transport(Status(503))
        client.jwt()
        assert len(sf.requests) == 2
        assert len(sf.history) == 2
        assert (sf.token_requests, sf.count(), sf.count(status=503), sf.count(path="/x")) == (4, 4, 1, 0)
        sf.forget_requests()
        assert (sf.token_requests, sf.requests) == (0, [])


def test_the_date_of_answers_is_the_clock_of_the_org(connect: Any) -> None:
    with SalesforceEmulator(clock=lambda: 1_900_000_000.0) as sf:
        assert requests.get(sf.url + VERSIONS, timeout=5).headers["Date"] == "Sun, 17 Mar 2030 17:46:40 GMT"


def test_64_threads_are_served_at_once(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()

    def work(_: int) -> set[int]:
        with requests.Session() as http:
            headers = {"Authorization": f"Bearer {token}"}
            url = sf.url + "/services/data/v62.0/limits"
            return {http.get(url, headers=headers, timeout=30).status_code for _ in range(3)}

    with ThreadPoolExecutor(64) as pool:
        assert set().union(*pool.map(work, range(64))) == {200}
    assert sf.count(path="/services/data/v62.0/limits", status=200) == 64 * 3
    assert len({record.connection for record in sf.requests}) == 65


def test_the_default_login_is_made_once_for_all_threads(sf: SalesforceEmulator) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len({id(login) for login in pool.map(lambda _: sf.default, range(4))}) == 1


def test_the_settings_of_a_provider_are_its_keywords() -> None:
    with SalesforceEmulator(tls=True) as sf:
        where = {"login_url": sf.url, "ca_bundle": str(sf.ca_bundle)}
        login = sf.default
        who = {"client_id": login.client_id, "username": login.username}
        assert sf.settings("jwt-bearer") == {**who, "private_key": login.private_key_pem, **where}
        secret = {"client_secret": login.client_secret, "password": login.password}
        assert sf.settings("password") == {**who, **secret, "security_token": login.security_token, **where}


def test_the_settings_of_another_provider_are_not_known(sf: SalesforceEmulator) -> None:
    with pytest.raises(ValueError, match="only the settings of password, .* are known, not those of 'sso'"):
        sf.settings("sso")


def test_env_reaches_the_emulator_and_its_files_are_private(sf: SalesforceEmulator, tmp_path: Path) -> None:
    path = sf.write_env(tmp_path / ".env")
    settings = dotenv.dotenv_values(path)
    assert settings == sf.env()
    assert set(settings) == {
        "SF_CLIENT_ID", "SF_CLIENT_SECRET", "SF_USERNAME", "SF_PASSWORD", "SF_SECURITY_TOKEN", "SF_PRIVATE_KEY_PATH",
        "SF_REFRESH_TOKEN", "SF_LOGIN_URL", "SF_SUBJECT_TOKEN",
    }  # fmt: skip
    key = Path(str(settings["SF_PRIVATE_KEY_PATH"]))
    assert key.read_text() == sf.default.private_key_pem
    token = Path(urlsplit(str(settings["SF_SUBJECT_TOKEN"]).replace("oidc://file", "file://")).path)
    assert token.read_text() == sf.default.subject_token
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, key, token, key.parent)]
    assert modes == [0o600, 0o600, 0o600, 0o700]
    assert sf.write_env(path) == path
    folder = key.parent
    sf.close()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_key_stays_when_a_forked_child_exits_and_goes_when_the_interpreter_exits_without_closing() -> None:
    code = (
        "import os, sys; from kinetic_auth_core.testing import SalesforceEmulator\n"
        "sf = SalesforceEmulator(); path = sf.private_key_path\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit()\n"
        "os.waitpid(child, 0); print(path.exists()); sf.start(); print(sf.private_key_path)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outlived_the_child, path = done.stdout.splitlines()
    assert outlived_the_child == "True"
    assert path.endswith("private-key.pem")
    assert not Path(path).parent.exists()


def test_a_process_that_does_not_own_a_folder_does_not_remove_it(tmp_path: Path) -> None:
    _remove_tree(tmp_path, os.getpid() + 1)
    assert tmp_path.exists()


def test_the_fixture_gives_a_running_emulator(salesforce_emulator: SalesforceEmulator) -> None:  # noqa: F811
    login = salesforce_emulator.default
    answer = requests.post(
        salesforce_emulator.url + "/services/oauth2/token",
        data={
            "grant_type": "password",
            "client_id": login.client_id,
            "client_secret": login.client_secret,
            "username": login.username,
            "password": login.password + login.security_token,
        },
        timeout=5,
    )
    assert answer.status_code == 200


class Absent:
    """Hides a module from all other finders."""

    def __init__(self, missing: str) -> None:
        self.missing = missing

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def import_without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Imports the package afresh, as if a module were not installed."""

    def load(missing: str) -> None:
        afresh = ("kinetic_auth_core.testing.", f"{missing}.")
        for name in [each for each in sys.modules if f"{each}.".startswith(afresh)]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(kinetic_auth_core, "testing")
        monkeypatch.setattr(sys, "meta_path", [Absent(missing), *sys.meta_path])
        from kinetic_auth_core.testing import SalesforceEmulator  # noqa: F401 - it is loaded here

    return load


@pytest.mark.parametrize("missing", ["werkzeug", "trustme", "jwt", "cryptography"])
def test_without_the_extra_the_import_says_what_to_install(import_without: Callable[[str], None], missing: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_without(missing)
    assert str(caught.value) == (f'kinetic_auth_core.testing needs {missing}: pip install "kinetic-auth-core[testing]"')


def test_another_missing_module_is_reported_unchanged(import_without: Callable[[str], None]) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import_without("kinetic_auth_core.testing.emulator.tls")
    assert "pip install" not in str(caught.value)


def test_long_ids_carry_their_capitals_in_the_suffix() -> None:
    assert long_id("001000000000000") == "001000000000000AAA"
    assert long_id("00DA0000000KZI7") == "00DA0000000KZI7MAO"
