"""A moto server in its own process, and a relay in front of it that counts, refuses and fails."""

from __future__ import annotations

import functools
import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import attrs
import boto3
import botocore.loaders
import pytest
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

REGION = "eu-west-1"


@pytest.fixture(scope="session", autouse=True)
def _botocore_without_waits() -> Iterator[None]:
    """botocore reads its descriptions of the services once, and does not pause between its tries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", functools.cache(botocore.loaders.create_loader))
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
        yield


@pytest.fixture(scope="session")
def moto_port(full_tier: None) -> Iterator[int]:
    """A moto server; it says itself on which port it is, when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        port = next(
            int(found[1]) for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line))
        )
        drain = threading.Thread(target=process.stderr.read)  # else its log would fill the pipe
        drain.start()
        yield port
    finally:
        process.kill()  # it has nothing to save, and takes a second to end by itself
        process.wait()
    drain.join()
    process.stderr.close()


@attrs.define
class Relay:
    """Hands requests on to moto.

    Attributes:
        calls: The operations that were asked for.
        refusals: By operation: status, error code and message of the answer in its place; or a text, answered as it is.
        gate: While it is not set, requests wait.
    """

    moto_port: int
    calls: list[str] = attrs.field(factory=list)
    refusals: dict[str, tuple[int, str, str] | str] = attrs.field(factory=dict)
    gate: threading.Event = attrs.field(factory=threading.Event)
    port: int = 0
    _server: BaseWSGIServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.002})
        self._thread.start()

    def down(self) -> None:
        """From now on, connections are refused."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.calls.append(operation)
        self.gate.wait()
        refusal = self.refusals.get(operation)
        if isinstance(refusal, str):
            is_sts = "<ErrorResponse>" in refusal
            return Response(refusal, 400 if is_sts else 200)(environ, start_response)
        if refusal is not None:
            status, code, message = refusal
            body = json.dumps({"__type": code, "message": message})
            return Response(body, status, mimetype="application/x-amz-json-1.1")(environ, start_response)
        return self._handed_on(request)(environ, start_response)

    def _handed_on(self, request: Request) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.moto_port)
        try:
            kept = {name: value for name, value in request.headers if name.lower() != "host"}
            connection.request(request.method, request.path, request.get_data(), kept)
            answer = connection.getresponse()
            return Response(answer.read(), answer.status, mimetype="application/x-amz-json-1.1")
        finally:
            connection.close()


@pytest.fixture
def relay(moto_port: int) -> Iterator[Relay]:
    relay = Relay(moto_port)
    relay.gate.set()
    relay.up()
    yield relay
    relay.gate.set()
    relay.down()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTING")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-aws-credential")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def aws(moto_port: int) -> Iterator[Callable[[str], Any]]:
    """Gives the boto3 client of a service that fills the vault."""
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            session: Any = boto3.session.Session("AKIATESTING", "canary-aws-credential")
            endpoint = f"http://127.0.0.1:{moto_port}"
            made[service] = session.client(service, region_name=REGION, endpoint_url=endpoint)
        return made[service]

    yield client
    for each in made.values():
        each.close()


@pytest.fixture(scope="session")
def signing_key(aws: Callable[[str], Any]) -> str:
    """The id of a key of KMS that signs; the same for all tests."""
    return str(aws("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"])


@pytest.fixture
def at(relay: Relay) -> str:
    """The options that lead to the relay."""
    return f"region={REGION}&endpoint={relay.url}"
