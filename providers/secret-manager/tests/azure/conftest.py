"""An Azure Key Vault on a loopback port, with TLS, and the endpoint of a managed identity.

Nothing is injected: `DefaultAzureCredential` finds the managed identity as it does in an App Service, requests finds
the CA as it does behind a company's proxy, and the vault's challenge passes the SDK's own check of its domain.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

TOKEN = "canary-azure-token"
TENANT = "00000000-0000-0000-0000-000000000001"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8))


@functools.cache
def _new_key(kind: str, bits: int, number: int) -> Any:
    """The key of a version, counted from 0: the same for all names, since making one takes longer than a test."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else rsa.generate_private_key(65537, bits)


@attrs.define
class _Version:
    """One version of a secret or key."""

    held: Any
    attributes: dict[str, Any]
    operations: list[str] = attrs.field(factory=list)


@attrs.define
class KeyVault:
    """The part of Key Vault's REST API that is used.

    Attributes:
        calls: Method and path of the requests that had a token.
        refusal: Status, code, inner code and message of the answer in place of all others.
        headers: Of a refusal.
        gate: While it is not set, requests wait.
        challenges: Whether a request without a token is answered as a vault does.
        garbage: The answer to every request with a token, if not empty.
        resource: For which the challenge asks a token; its own, if left out.
    """

    certificate: trustme.LeafCert
    calls: list[str] = attrs.field(factory=list)
    refusal: tuple[int, str, str, str] | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    gate: threading.Event = attrs.field(factory=threading.Event)
    challenges: bool = True
    resource: str = ""
    garbage: str = ""
    port: int = 0
    identity_port: int = 0
    _held: dict[str, dict[str, dict[str, _Version]]] = attrs.field(factory=lambda: {"secrets": {}, "keys": {}})
    _deleted: dict[str, set[str]] = attrs.field(factory=lambda: {"secrets": set(), "keys": set()})
    _running: list[tuple[BaseWSGIServer, threading.Thread]] = attrs.field(factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def set_secret(self, name: str, value: str, **attributes: Any) -> str:
        return self._add("secrets", name, _Version(value, {"enabled": True, **attributes}))

    def create_key(self, name: str, kind: str = "RSA", bits: int = 2048, **attributes: Any) -> str:
        key = _new_key(kind, bits, number=len(self._held["keys"].get(name, ())))
        operations = attributes.pop("operations", ["sign", "verify"])
        return self._add("keys", name, _Version(key, {"enabled": True, **attributes}, operations))

    def private_key(self, name: str) -> Any:
        return list(self._held["keys"][name].values())[-1].held

    def delete(self, kind: str, name: str) -> None:
        del self._held[kind][name]
        self._deleted[kind].add(name)

    def change(self, kind: str, name: str, **attributes: Any) -> None:
        list(self._held[kind][name].values())[-1].attributes.update(attributes)

    def _add(self, kind: str, name: str, version: _Version) -> str:
        versions = self._held[kind].setdefault(name, {})
        number = hashlib.md5(f"{name}{len(versions)}".encode()).hexdigest()  # noqa: S324 - 32 digits, as Azure has them
        versions[number] = version
        return number

    def up(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        server = make_server("127.0.0.1", self.port, self._vault, threaded=True, ssl_context=context)
        self.port = server.server_port
        self._serve(server)

    def identity_up(self) -> None:
        server = make_server("127.0.0.1", 0, self._identity, threaded=True)
        self.identity_port = server.server_port
        self._serve(server)

    def _serve(self, server: BaseWSGIServer) -> None:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.002})
        thread.start()
        self._running.append((server, thread))

    def down(self) -> None:
        """From now on, the vault refuses connections; tokens are still issued."""
        self._stop(self._running.pop(0))

    def close(self) -> None:
        while self._running:
            self._stop(self._running.pop())

    @staticmethod
    def _stop(running: tuple[BaseWSGIServer, threading.Thread]) -> None:
        server, thread = running
        server.shutdown()
        server.server_close()
        thread.join()

    def _identity(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The token endpoint of an App Service's managed identity."""
        resource = Request(environ).args["resource"]
        token = {"access_token": TOKEN, "expires_on": str(int(time.time()) + 3600), "resource": resource}
        return Response(json.dumps({**token, "token_type": "Bearer"}), 200, mimetype="application/json")(
            environ, start_response
        )

    def _vault(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if not self.challenges:
            return Response("hello", 401, headers={"WWW-Authenticate": "Basic realm=router"})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            # What the SDK checks is that the vault's host ends with a dot and the resource's host.
            resource = self.resource or f"https://0.0.1:{self.port}"
            challenge = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{resource}"'
            return _error(401, "Unauthorized", "", "AKV10000: Request is missing a Bearer token.", challenge)
        self.calls.append(f"{request.method} {request.path}")
        self.gate.wait()
        if self.garbage:
            return Response(self.garbage, 200, mimetype="application/json")
        if self.refusal is not None:
            response = _error(*self.refusal)
            response.headers.update(self.headers)
            return response
        kind, name, *rest = request.path.strip("/").split("/")
        if kind.startswith("deleted"):
            return self._deleted_answer(kind.removeprefix("deleted"), name)
        versions = self._held[kind].get(name, {})
        number = rest[0] if rest else next(reversed(versions), "")
        if number not in versions:
            singular = kind.removesuffix("s").capitalize()
            return _error(404, f"{singular}NotFound", "", f"A {singular} with (name/id) {name} was not found.")
        version = versions[number]
        identifier = f"https://{self.host}/{kind}/{name}/{number}"
        if rest[1:] == ["sign"]:
            return self._signature(version, identifier, json.loads(request.get_data()))
        if kind == "secrets":
            return self._secret(version, identifier)
        return _json({"key": {"kid": identifier, **_public(version)}, "attributes": version.attributes})

    def _deleted_answer(self, kind: str, name: str) -> Response:
        if name not in self._deleted[kind]:
            return _error(404, "NotFound", "", f"Deleted {name} was not found.")
        identifier = f"https://{self.host}/{kind}/{name}/0"
        held: dict[str, Any] = {"id": identifier} if kind == "secrets" else {"key": {"kid": identifier, "kty": "RSA"}}
        return _json({**held, "recoveryId": identifier, "attributes": {"enabled": True}})

    @staticmethod
    def _secret(version: _Version, identifier: str) -> Response:
        if not version.attributes["enabled"]:
            return _error(403, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret.")
        return _json({"value": version.held, "id": identifier, "attributes": version.attributes})

    @staticmethod
    def _signature(version: _Version, identifier: str, asked: dict[str, str]) -> Response:
        if not version.attributes["enabled"]:
            return _error(403, "Forbidden", "KeyDisabled", "Operation sign is not allowed on a disabled key.")
        assert asked["alg"] == "RS256"
        digest = _unb64(asked["value"])
        signature = version.held.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        return _json({"kid": identifier, "value": _b64(signature)})


def _public(version: _Version) -> dict[str, Any]:
    numbers = version.held.public_key().public_numbers()
    if isinstance(version.held, rsa.RSAPrivateKey):
        return {"kty": "RSA", "key_ops": version.operations, "n": _number(numbers.n), "e": _number(numbers.e)}
    point = {"x": _number(numbers.x), "y": _number(numbers.y)}
    return {"kty": "EC", "crv": "P-256", "key_ops": version.operations, **point}


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers=headers, mimetype="application/json")


def _error(status: int, code: str, inner: str, message: str, challenge: str = "") -> Response:
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return _json({"error": error}, status, {"WWW-Authenticate": challenge} if challenge else None)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def vault(
    full_tier: None, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeyVault]:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    vault = KeyVault(authority.issue_cert("127.0.0.1"))
    vault.gate.set()
    vault.up()
    vault.identity_up()
    monkeypatch.setattr("kinetic_auth_secret_manager.azure_client.BACKOFF_S", 0)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{vault.identity_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "canary-identity-header")
    yield vault
    vault.gate.set()
    vault.close()
