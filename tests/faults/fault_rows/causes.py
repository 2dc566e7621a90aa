"""The causes of faults: the emulator breaks a connection or answers with given bytes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager

from fault_rows.row import ACCESS, SECRET, Cause, Target
from kinetic_auth_core.testing import Fault, Raw, SalesforceEmulator, Status, TlsProfile

ORG, OTHER_ORG = "00D000000000001EAA", "00D000000000009EAA"
ID = f"https://login.salesforce.com/id/{ORG}/005000000000001AAA"


def fault(what: Fault) -> Cause:
    """The emulator, with a fault for all requests."""

    @contextmanager
    def cause(sf: SalesforceEmulator) -> Iterator[Target]:
        before = sf.token_requests
        sf.break_transport(what, times=None)
        yield Target(sf.url, count=None if what.stage == "connect" else lambda: sf.token_requests - before)
        sf.clear_faults()

    return cause


def refused(error: str, description: str) -> Cause:
    """The emulator, which refuses all logins."""

    @contextmanager
    def cause(sf: SalesforceEmulator) -> Iterator[Target]:
        before = sf.token_requests
        sf.refuse(error, description, times=None)
        yield Target(sf.url, count=lambda: sf.token_requests - before)
        sf.clear_faults()

    return cause


def tls(profile: TlsProfile, *, trusted: bool = True, broken: Fault | None = None) -> Cause:
    """A separate emulator, with TLS."""

    @contextmanager
    def cause(_sf: SalesforceEmulator) -> Iterator[Target]:
        with SalesforceEmulator(tls=profile) as own:
            if broken is not None:
                own.break_transport(broken, times=None)
            yield Target(own.url, own.ca_bundle if trusted else None)

    return cause


def status(code: int, *, retry_after: str | None = None) -> Cause:
    return fault(Status(code, retry_after))


def wire(*pieces: bytes, endless: bytes = b"") -> Cause:
    """These bytes for an answer; `endless` follows again and again."""
    return fault(Raw(b"".join(pieces), endless))


def answer(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> Cause:
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
    return wire(b"\r\n".join([*lines, b"Connection: close", b"", body]))


def good(**changes: object) -> dict[str, object]:
    """The fields of a good answer, signed by our app's secret, with some of them changed; `...` takes one out."""
    fields: dict[str, object] = {
        "access_token": ACCESS,
        "instance_url": "https://acme.my.salesforce.com",
        "id": ID,
        "issued_at": "1700000000000",
        "token_type": "Bearer",
        **changes,
    }
    signed = f"{fields['id']}{fields['issued_at']}".encode("utf-8", "surrogatepass")
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    fields.setdefault("signature", base64.b64encode(digest).decode())
    return {name: value for name, value in fields.items() if value is not ...}


def session(**changes: object) -> Cause:
    return answer(json.dumps(good(**changes)).encode())


def refusal(error: object, description: object = "", status: bytes = b"400 Bad Request") -> Cause:
    return answer(json.dumps({"error": error, "error_description": description}).encode(), status=status)


def text(raw: str) -> Cause:
    """A good answer with something inserted unchanged before its last brace."""
    return answer(f"{json.dumps(good())[:-1]}, {raw}}}".encode())
