"""`--key` of `kinetic-auth cert`: files, references, and keys in a KMS."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kinetic_auth_core.cli.cert.keys import RemoteKey, load_key
from kinetic_auth_core.testing import KeyPair

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

VAULT = '''
import attrs
import kinetic_auth_core as kinetic
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from vault_keys import ELLIPTIC, KEY, OTHER


@attrs.frozen
class SilentKey:
    """A signer without public_key()."""

    key: object = attrs.field(default=KEY, repr=False)
    algorithm: str = "RS256"
    key_id: str = "key-7"

    def sign(self, message):
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())


@attrs.frozen
class Key(SilentKey):
    published: object = KEY

    def public_key(self):
        return self.published.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Denied(Key):
    def sign(self, message):
        raise kinetic.KeyLoadError("you may not sign with key-7.", remedy="Allow kms:Sign.")


class Broken(Key):
    def sign(self, message):
        raise RuntimeError("no route")


class DeniedPublic(Key):
    def public_key(self):
        raise kinetic.KeyLoadError("you may not read key-7.", remedy="Allow kms:GetPublicKey.")


class NoPem(Key):
    def public_key(self):
        return b"not a PEM"


class Vault:
    @kinetic.hookimpl
    def load_key(self, reference):
        if reference.rest == "denied":
            raise kinetic.KeyLoadError("you may not see it.", remedy="Ask.")
        if reference.rest == "broken":
            raise RuntimeError("no route")
        if reference.rest == "wordless":
            raise TimeoutError
        return {
            "key": Key(), "silent": SilentKey(), "liar": Key(published=OTHER), "hmac": Key(algorithm="HS256"),
            "elliptic": Key(published=ELLIPTIC), "no-sign": Denied(), "broken-sign": Broken(),
            "no-public": DeniedPublic(), "no-pem": NoPem(), "number": 7,
        }[reference.rest]
'''


@pytest.fixture(scope="session")
def vault_keys() -> types.ModuleType:
    """The keys that are in the vault."""
    module = types.ModuleType("vault_keys")
    for name in ("KEY", "OTHER"):
        setattr(module, name, rsa.generate_private_key(65537, 2048))
    module.__dict__["ELLIPTIC"] = ec.generate_private_key(ec.SECP256R1())
    return module


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vault_keys: types.ModuleType) -> Iterator[Any]:
    """A key loader of the scheme `vault`, installed the way pip leaves it on disk."""
    site = tmp_path / "site"
    info = site / "vault_loader-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-loader\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kinetic_auth.key_loaders]\nvault = vault_loader:Vault\n")
    (site / "vault_loader.py").write_text(VAULT)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setitem(sys.modules, "vault_keys", vault_keys)
    importlib.invalidate_caches()
    yield importlib.import_module("vault_loader")
    del sys.modules["vault_loader"]


def openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], capture_output=True, check=True)


def test_a_certificate_for_a_key_in_a_kms(run: Run, vault: Any) -> None:
    outcome = run("cert", "new", "--key", "vault://key", "--out", "kms")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in Path("kms").iterdir()] == ["server.crt"]
    certificate = x509.load_pem_x509_certificate(Path("kms/server.crt").read_bytes())
    assert certificate.public_key() == vault.KEY.public_key()
    openssl("verify", "-CAfile", "kms/server.crt", "-check_ss_sig", "kms/server.crt")
    assert 'private_key = "vault://key"' in outcome.message
    assert "key" not in outcome.table
    assert run("cert", "check", "--cert", "kms/server.crt", "--key", "vault://key").code == 0
    assert run("cert", "check", "--cert", "kms/server.crt", "--key", "vault://liar").code == 8


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [
        (
            "silent",
            3,
            (
                "the key vault://silent has no public_key(), which a certificate needs. Remedy: Use a "
                "key loader whose signers have public_key(), such as that of kinetic-auth-secret-manager."
            ),
        ),
        (
            "liar",
            3,
            (
                "the certificate's signature does not verify: the key's public_key() is not that of the signing key. "
                "Remedy: Report this to the authors of its key loader."
            ),
        ),
        (
            "hmac",
            3,
            (
                "the key vault://hmac signs with HS256; Salesforce accepts only RS256. "
                "Remedy: Use an RSA key of 2048 bits or more."
            ),
        ),
        ("elliptic", 3, "the key vault://elliptic is not an RSA key. Remedy: Use an RSA key of 2048 bits or more."),
        ("no-sign", 3, "you may not sign with key-7. Remedy: Allow kms:Sign."),
        ("broken-sign", 3, "the key vault://broken-sign: signing raised RuntimeError: no route"),
        ("no-public", 3, "you may not read key-7. Remedy: Allow kms:GetPublicKey."),
        ("denied", 3, "you may not see it. Remedy: Ask."),
        ("broken", 3, "vault://broken: the key loader raised RuntimeError: no route"),
        ("wordless", 3, "vault://wordless: the key loader raised TimeoutError"),
        (
            "number",
            3,
            "the key vault://number: the key loader returned int, not bytes or a Signer.",
        ),
    ],
)
def test_an_unusable_remote_key_is_reported_and_nothing_is_written(
    key: str, code: int, message: str, run: Run, vault: Any
) -> None:
    outcome = run("cert", "new", "--key", f"vault://{key}", "--out", "kms")
    assert (outcome.code, outcome.message) == (code, f"Error: {message}")
    assert not Path("kms").exists()


def test_a_remote_key_without_a_pem_public_key_is_an_error(run: Run, vault: Any) -> None:
    outcome = run("cert", "new", "--key", "vault://no-pem")
    assert outcome.code == 3
    assert "the key vault://no-pem: public_key() gave no PEM: ValueError" in outcome.message


def test_a_remote_key_has_no_backup(run: Run, vault: Any) -> None:
    outcome = run("cert", "new", "--key", "vault://key", "--p12")
    assert outcome.code == 2
    assert outcome.message == (
        "Error: --p12 needs the private key, which never leaves its KMS. Remedy: Leave --p12 out."
    )


def test_a_remote_key_only_signs(vault: Any) -> None:
    key = load_key("vault://key", None)
    assert isinstance(key, RemoteKey)
    assert key.key_size == 2048
    assert copy.copy(key) is copy.deepcopy(key) is key
    uses: list[Callable[[], Any]] = [
        lambda: key.decrypt(b"", None),
        key.private_numbers,
        lambda: key.private_bytes(None, None, None),
    ]
    for use in uses:
        with pytest.raises(NotImplementedError):
            use()


def test_without_the_key_loader_its_package_and_extra_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: importlib.metadata.EntryPoints())
    outcome = run("cert", "new", "--key", "kms://aws/alias/sf")
    assert outcome.code == 2
    assert outcome.message == (
        "Error: no key loader 'kms' is installed; installed: none. "
        'Remedy: pip install "kinetic-auth-secret-manager[aws]"'
    )


def test_the_error_of_an_installed_key_loader_is_shown(run: Run) -> None:
    outcome = run("cert", "new", "--key", "kms://nowhere/alias/sf")
    assert outcome.code == 3
    assert "kms://nowhere/alias/sf" in outcome.message


def test_a_new_certificate_for_an_existing_key(run: Run, folder: Path, keys: KeyPair) -> None:
    outcome = run(
        "cert", "new", "--key", "server.key", "--out", "renewed", "--p12", "--passphrase-env", "P", env={"P": "x"}
    )
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in Path("renewed").iterdir()) == ["server.crt", "server.p12"]
    assert 'private_key_path = "server.key"' in outcome.message
    assert run("cert", "check", "--cert", "renewed/server.crt", "--key", "file://server.key").code == 0
    assert (
        run(
            "cert", "check", "--cert", "renewed/server.crt", "--key", "env://PEM", env={"PEM": keys.private_key_pem}
        ).code
        == 0
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "gone.key",
            "gone.key does not exist. Remedy: Verify --key: that it is correct and that the file exists.",
        ),
        ("nul\0", "cannot be read: embedded null byte. Remedy: Set --key to the path of a file."),
        ("server.crt", "the private key file server.crt is a certificate, not a private key."),
        (
            "locked.key",
            "is encrypted, and no passphrase is set. Remedy: Give its passphrase with --passphrase-env NAME.",
        ),
    ],
)
def test_a_key_file_that_cannot_be_used(name: str, problem: str, run: Run, folder: Path) -> None:
    openssl("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:right", "-out", "locked.key")
    outcome = run("cert", "new", "--key", name, "--out", "new")
    assert outcome.code == 3
    assert problem in outcome.message
    assert not Path("new").exists()


def test_a_key_with_a_wrong_passphrase(run: Run, folder: Path) -> None:
    openssl("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:right", "-out", "locked.key")
    outcome = run(
        "cert", "new", "--key", "file://locked.key", "--out", "new", "--passphrase-env", "P", env={"P": "wrong"}
    )
    assert outcome.code == 3
    assert outcome.message == (
        "Error: the key file://locked.key is encrypted, and the passphrase does not decrypt it. "
        "Remedy: Give its passphrase with --passphrase-env NAME."
    )


def test_the_key_of_a_file_is_the_key(folder: Path, keys: KeyPair) -> None:
    key = load_pem_private_key(keys.private_key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert load_key("server.key", None).public_key() == key.public_key()
