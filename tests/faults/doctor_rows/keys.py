"""Faults of keys, certificates and references."""

import base64
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from doctor_rows.row import Bench, Row, variable
from kinetic_auth_core.testing import new_key_pair


def _key(make: Callable[[Bench], str | bytes], mode: int = 0o600) -> Callable[[Bench], None]:
    """Another content of the key's file."""

    def plant(bench: Bench) -> None:
        bench.env["SF_PRIVATE_KEY_PATH"] = str(bench.write("server.key", make(bench), mode))

    return plant


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _own_key(bench: Bench) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(bench.sf.default.private_key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _public(bench: Bench) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return _own_key(bench).public_key().public_bytes(serialization.Encoding.PEM, form)


def certificate(bench: Bench, days: float, key: rsa.RSAPrivateKey | None = None) -> Path:
    """A certificate of the key of the login that ends in some days."""
    key = key or _own_key(bench)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    return bench.write("server.crt", made.public_bytes(serialization.Encoding.PEM), 0o644)


def _certificate(days: float) -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        bench.env["SF_PRIVATE_CERTIFICATE_PATH"] = str(certificate(bench, days))

    return plant


def another_certificate(bench: Bench) -> None:
    bench.env["SF_PRIVATE_CERTIFICATE_PATH"] = str(bench.write("other.crt", new_key_pair().certificate_pem))


def key_as_certificate(bench: Bench) -> None:
    path = bench.write("server.key", bench.sf.default.private_key_pem)
    bench.env |= {"SF_PRIVATE_KEY_PATH": str(path), "SF_PRIVATE_CERTIFICATE_PATH": str(path)}


def unreadable(bench: Bench) -> None:
    """A folder in the place of the file: root reads every file, whatever its mode."""
    (bench.folder / "server.key").mkdir()
    bench.env["SF_PRIVATE_KEY_PATH"] = str(bench.folder / "server.key")


def wrong_passphrase(bench: Bench) -> None:
    _key(lambda bench: _pem(_own_key(bench), b"right"))(bench)
    bench.env["SF_PASSPHRASE"] = "wrong"


def certificate_in_a_variable(bench: Bench) -> None:
    bench.unset("SF_PRIVATE_KEY_PATH")
    bench.env["SF_PRIVATE_KEY"] = certificate(bench, 100).read_text()


def path_in_the_key(bench: Bench) -> None:
    bench.env["SF_PRIVATE_KEY"] = bench.env.pop("SF_PRIVATE_KEY_PATH")


def _reference(text: str) -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        bench.unset("SF_PRIVATE_KEY_PATH")
        bench.env["SF_PRIVATE_KEY"] = text

    return plant


def vault_denied(bench: Bench) -> None:
    """The vault is an emulator of AWS's Secrets Manager that refuses every request."""
    from werkzeug.wrappers import Response

    from doctor_rows.servers import serving

    def deny(_request: object) -> Response:
        body = json.dumps({"__type": "AccessDeniedException", "Message": "not authorized"})
        return Response(body, 400, content_type="application/x-amz-json-1.1")

    url = bench.stack.enter_context(serving(deny))
    bench.env |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    _reference("secret-manager://aws/prod/salesforce?region=eu-west-1#private_key")(bench)


def _token(audience: str) -> str:
    claims = {"iss": "https://idp.example", "sub": "ci", "aud": audience, "exp": 4102444800, "iat": 1}
    parts = [json.dumps(each).encode() for each in ({"alg": "RS256", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2ln"])


def oidc_with_another_audience(bench: Bench) -> None:
    bench.use("token-exchange")
    path = bench.write("token", _token("https://other.example"))
    bench.env["SF_SUBJECT_TOKEN"] = f"oidc://file{path}?audience=https://acme.my.salesforce.com"


def _key_file(what: str, make: Callable[[Bench], str | bytes], says: str) -> Row:
    return Row("key", what, _key(make), "key", says, "private_key_path", 3)


ROWS = [
    Row(
        "key",
        "the file does not exist",
        variable("SF_PRIVATE_KEY_PATH", "/nowhere/server.key"),
        "key",
        "does not exist",
        "private_key_path",
        3,
    ),
    Row("key", "the file cannot be read", unreadable, "key", "cannot be read", "private_key_path", 3),
    _key_file("the file is empty", lambda _: "", "is empty"),
    Row(
        "key",
        "others can read the file",
        _key(lambda bench: bench.sf.default.private_key_pem, 0o644),
        "key",
        "chmod 600",
        "private_key_path",
        0,
    ),
    _key_file("a public key", _public, "public key"),
    _key_file("a certificate", lambda bench: certificate(bench, 100).read_bytes(), "certificate"),
    Row("key", "a certificate in the variable", certificate_in_a_variable, "key", "certificate", "private_key", 3),
    _key_file(
        "a page that asks for a login", lambda _: "<!DOCTYPE html><html><a href=/login>Log in</a></html>", "HTML"
    ),
    Row("key", "the path as the key", path_in_the_key, "key", "looks like a path", "private_key", 3),
    _key_file(
        "an encrypted key without a passphrase", lambda bench: _pem(_own_key(bench), b"secret"), "no passphrase is set"
    ),
    Row("key", "a wrong passphrase", wrong_passphrase, "key", "passphrase does not decrypt", "private_key_path", 3),
    _key_file("a key that is cut off", lambda bench: bench.sf.default.private_key_pem[:900], "is cut off"),
    _key_file("an RSA key of 1024 bits", lambda _: _pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - what is to be refused
    _key_file("a key on an elliptic curve", lambda _: _pem(ec.generate_private_key(ec.SECP256R1())), "only RSA"),
    Row(
        "certificate",
        "it is that of another key",
        another_certificate,
        "key",
        "does not belong to the private key",
        "private_certificate_path",
        3,
    ),
    Row(
        "certificate",
        "it is the key",
        key_as_certificate,
        "certificate",
        "not a certificate",
        "private_certificate_path",
        3,
    ),
    Row(
        "certificate",
        "the file does not exist",
        variable("SF_PRIVATE_CERTIFICATE_PATH", "/nowhere/server.crt"),
        "certificate",
        "cannot be read",
        "private_certificate_path",
        3,
    ),
    Row(
        "certificate",
        "it has expired",
        _certificate(-2),
        "certificate",
        "expired on",
        "private_certificate_path",
        3,
    ),
    Row(
        "certificate",
        "it expires soon",
        _certificate(10),
        "certificate",
        "in 10 day(s)",
        "private_certificate_path",
        0,
    ),
    Row(
        "reference",
        "a variable that is not set",
        _reference("env://NO_SUCH_KEY"),
        "secrets",
        "NO_SUCH_KEY",
        "private_key",
        3,
    ),
    Row(
        "reference",
        "a file that does not exist",
        _reference("file:///nowhere/key"),
        "secrets",
        "/nowhere/key",
        "private_key",
        3,
    ),
    Row("reference", "the vault refuses it", vault_denied, "secrets", "secret-manager://", "private_key", 3),
    Row(
        "reference",
        "an OIDC token for another audience",
        oidc_with_another_audience,
        "secrets",
        "aud",
        "subject_token",
        3,
    ),
]
