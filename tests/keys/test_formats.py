"""One key in every format, written by openssl and wrapped as editors, shells and secret stores wrap it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kinetic_auth_core import KeyLoadError, LoginRequest, Signer
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.keys.signer import read_private_key
from kinetic_auth_core.plugins import tallied
from kinetic_auth_core.testing import KeyPair
from kinetic_auth_jwt_bearer import JWTAuthenticator

PASSPHRASE = "pässphrase with 'quotes' & blanks"
Leaked = Callable[..., list[str]]


def openssl(*args: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        ["openssl", *args], input=given, capture_output=True, check=True, env={**os.environ, "P": PASSPHRASE}
    )
    return done.stdout


def jwk_of(pem: str, *members: str) -> bytes:
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private = key.private_numbers()
    public = private.public_numbers
    numbers = {
        "n": public.n,
        "e": public.e,
        "d": private.d,
        "p": private.p,
        "q": private.q,
        "dp": private.dmp1,
        "dq": private.dmq1,
        "qi": private.iqmp,
    }

    def base64url(number: int) -> str:
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    chosen = {name: base64url(numbers[name]) for name in members or numbers}
    return json.dumps({"kty": "RSA", "kid": "server", **chosen}, indent=1).encode()


@pytest.fixture(scope="session")
def formats(key_pair: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One key, by the names of its formats."""
    folder = tmp_path_factory.mktemp("formats")
    pem, certificate = folder / "server.key", folder / "server.crt"
    pem.write_text(key_pair.private_key_pem)
    certificate.write_text(key_pair.certificate_pem)
    exported = ("pkcs12", "-export", "-inkey", str(pem), "-in", str(certificate))
    return {
        "PKCS1": openssl("rsa", "-in", str(pem), "-traditional"),
        "PKCS8": openssl("pkcs8", "-topk8", "-nocrypt", "-in", str(pem)),
        "PKCS1 DER": openssl("rsa", "-in", str(pem), "-traditional", "-outform", "DER"),
        "PKCS8 DER": openssl("pkcs8", "-topk8", "-nocrypt", "-in", str(pem), "-outform", "DER"),
        "encrypted PKCS1": openssl("rsa", "-in", str(pem), "-traditional", "-aes256", "-passout", "env:P"),
        "encrypted PKCS8": openssl("pkcs8", "-topk8", "-in", str(pem), "-passout", "env:P"),
        "encrypted PKCS8 DER": openssl("pkcs8", "-topk8", "-in", str(pem), "-passout", "env:P", "-outform", "DER"),
        "PKCS12": openssl(*exported, "-passout", "env:P"),
        "PKCS12 with an old cipher": openssl(*exported, "-passout", "env:P", "-keypbe", "PBE-SHA1-3DES"),
        "PKCS12 with an empty passphrase": openssl(*exported, "-passout", "pass:"),
        "PKCS12 without encryption": openssl(
            *(*exported, "-passout", "env:P", "-keypbe", "NONE", "-certpbe", "NONE", "-nomac")
        ),
        "JWK": jwk_of(key_pair.private_key_pem),
        "JWK without primes": jwk_of(key_pair.private_key_pem, "n", "e", "d"),
    }


FORMATS = [
    *("PKCS1", "PKCS8", "PKCS1 DER", "PKCS8 DER", "encrypted PKCS1", "encrypted PKCS8", "encrypted PKCS8 DER"),
    *("PKCS12", "PKCS12 with an old cipher", "PKCS12 with an empty passphrase", "PKCS12 without encryption"),
    *("JWK", "JWK without primes"),
]
TEXTS = ["PKCS1", "PKCS8", "encrypted PKCS1", "encrypted PKCS8", "JWK"]
UNENCRYPTED = [
    *("PKCS1", "PKCS8", "PKCS1 DER", "PKCS8 DER", "PKCS12 with an empty passphrase", "PKCS12 without encryption"),
    *("JWK", "JWK without primes"),
]


def key_id(text: str, passphrase: str | None = PASSPHRASE) -> str:
    return read_private_key(text, passphrase).key_id


@pytest.fixture(scope="session")
def this_key(key_pair: KeyPair) -> str:
    return key_id(key_pair.private_key_pem)


@pytest.mark.parametrize("form", UNENCRYPTED)
@pytest.mark.parametrize("passphrase", [None, "", "not needed"])
def test_the_passphrase_of_an_unencrypted_key_is_ignored(
    form: str, passphrase: str | None, formats: dict[str, bytes], this_key: str
) -> None:
    assert key_id(base64.b64encode(formats[form]).decode(), passphrase) == this_key


def once_more(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "nothing": str,
    "escaped line ends": lambda text: text.replace("\n", "\\n"),
    "line ends escaped twice": lambda text: text.replace("\n", "\\\\n"),
    "escaped line ends of Windows": lambda text: text.replace("\n", "\\r\\n"),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "line ends of old Macs": lambda text: text.replace("\n", "\r"),
    "line ends that became blanks": lambda text: text.replace("\n", " "),
    "indented, as in YAML": lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
    "double quotes": lambda text: f'"{text}"',
    "single quotes and a line end": lambda text: f"'{text}'\n",
    "a quote that is not closed": lambda text: f'"{text}',
    "JSON": lambda text: json.dumps(text, ensure_ascii=False),
    "blanks": lambda text: f"\n\t {text} \n\n",
    "a byte order mark": lambda text: f"\ufeff{text}",
    "base64": once_more,
    "base64 without padding": lambda text: once_more(text).rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of base64": lambda text: once_more(once_more(text)),
}


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(form=st.sampled_from(TEXTS), wrappings=st.lists(st.sampled_from(sorted(WRAPPINGS)), max_size=2))
def test_a_key_in_two_wrappings_is_the_same_key(
    form: str, wrappings: list[str], formats: dict[str, bytes], this_key: str
) -> None:
    text = formats[form].decode()
    for wrapping in wrappings:
        if not ("base64" in wrapping and any("base64 of base64" in each for each in wrappings)):
            text = WRAPPINGS[wrapping](text)
    assert key_id(text) == this_key


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_each_format_is_read_in_each_wrapping(
    form: str, wrapping: str, formats: dict[str, bytes], this_key: str
) -> None:
    assert key_id(WRAPPINGS[wrapping](formats[form].decode())) == this_key


def provider_key_id(**key: Any) -> str | None:
    """The key that the jwt-bearer provider signs with."""
    with tallied() as tally:
        JWTAuthenticator("3MVG9", "u@acme.com", **key, passphrase=PASSPHRASE).grant(LoginRequest(now=0))
    return tally.key_fingerprint


def check_exit_code(key: str, certificate: KeyPair, **variables: str) -> int:
    """What `kinetic-auth cert check` says of a key and its certificate."""
    Path("server.crt").write_text(certificate.certificate_pem)
    args = ["cert", "check", "--cert", "server.crt", "--key", key, "--passphrase-env", "P"]
    return CliRunner().invoke(cli, args, env={"P": PASSPHRASE, **variables}).exit_code


@pytest.mark.parametrize("form", FORMATS)
def test_the_provider_and_the_command_read_a_file_in_any_format(
    form: str, formats: dict[str, bytes], this_key: str, key_pair: KeyPair
) -> None:
    path = Path("server.p12")  # the contents count, not the name
    path.write_bytes(formats[form])
    assert provider_key_id(private_key_path=path) == this_key
    assert check_exit_code("server.p12", key_pair) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_the_provider_and_the_command_read_base64_of_any_format(
    form: str, formats: dict[str, bytes], this_key: str, key_pair: KeyPair
) -> None:
    text = base64.b64encode(formats[form]).decode()
    assert provider_key_id(private_key=text) == this_key
    assert check_exit_code("env://SF_PRIVATE_KEY", key_pair, SF_PRIVATE_KEY=text) == 0


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_provider_and_the_command_read_a_variable_in_any_wrapping(
    wrapping: str, formats: dict[str, bytes], this_key: str, key_pair: KeyPair
) -> None:
    text = WRAPPINGS[wrapping](formats["encrypted PKCS8"].decode())
    assert provider_key_id(private_key=text) == this_key
    assert check_exit_code("env://SF_PRIVATE_KEY", key_pair, SF_PRIVATE_KEY=text) == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_written_by_powershell_is_read(
    encoding: str, formats: dict[str, bytes], this_key: str, tmp_path: Path, key_pair: KeyPair
) -> None:
    path = tmp_path / "server.key"
    path.write_bytes(formats["PKCS8"].decode().replace("\n", "\r\n").encode(encoding))
    assert read_private_key(path).key_id == this_key
    assert check_exit_code(str(path), key_pair) == 0


def test_a_line_end_after_der_is_ignored(formats: dict[str, bytes], this_key: str, tmp_path: Path) -> None:
    (tmp_path / "server.der").write_bytes(formats["PKCS8 DER"] + b"\n")
    assert read_private_key(tmp_path / "server.der").key_id == this_key


def test_the_public_key_is_that_of_openssl(key_pair: KeyPair) -> None:
    signer = read_private_key(key_pair.private_key_pem)
    assert isinstance(signer, Signer)
    assert signer.public_key() == openssl("pkey", "-pubout", given=key_pair.private_key_pem.encode())


CANARY = "canary7331CANARY"


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    begins=st.sampled_from(
        [
            b"",
            b"0",
            b"\x30\x82\x01\x00\x02\x01\x00",
            b"\x30\x80\x02\x01\x03",
            b"\x30\x84",
            b"{",
            b'{"kty":"RSA","d":"',
            b"-----BEGIN RSA PRIVATE KEY-----",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
            b"-----BEGIN ",
            b"\xff\xfe",
            b"ssh-rsa ",
            b"/",
        ]
    ),
    middle=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
    ends=st.sampled_from([b"", b'"}', b"\n-----END RSA PRIVATE KEY-----", b"\n-----END ENCRYPTED PRIVATE KEY-----"]),
    in_base64=st.booleans(),
)
def test_garbage_raises_only_a_key_load_error_that_does_not_show_it(
    begins: bytes, middle: bytes, ends: bytes, in_base64: bool, leaked_secrets: Leaked, tmp_path: Path
) -> None:
    path = tmp_path / "server.key"
    raw = begins + CANARY.encode() + middle + ends
    path.write_bytes(base64.b64encode(raw) if in_base64 else raw)
    with pytest.raises(KeyLoadError) as caught:
        read_private_key(path, "canary-passphrase")
    assert leaked_secrets(caught.value, CANARY, "canary-passphrase", base64.b64encode(raw)[4:20].decode()) == []


@pytest.mark.usefixtures("full_tier")
@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(form=st.sampled_from(FORMATS), at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_key_with_one_wrong_byte_is_read_or_raises_a_key_load_error(
    form: str,
    at: float,
    flip: int,
    formats: dict[str, bytes],
    key_pair: KeyPair,
    leaked_secrets: Leaked,
    tmp_path: Path,
) -> None:
    raw = bytearray(formats[form])
    raw[int(at * len(raw))] ^= flip
    path = tmp_path / "server.key"
    path.write_bytes(raw)
    refused: list[KeyLoadError] = []
    try:
        read_private_key(path, PASSPHRASE)
    except KeyLoadError as error:
        refused.append(error)
    assert [leaked_secrets(error, key_pair.private_key_pem, PASSPHRASE) for error in refused] in ([], [[]])
