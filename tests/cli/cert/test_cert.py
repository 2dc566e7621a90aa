"""`kinetic-auth cert`: the files and their permissions, the messages, and the exit codes for monitoring."""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.cli.new_files import write_file
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


def openssl(*args: str) -> str:
    return subprocess.run(["openssl", *args], capture_output=True, text=True, check=True).stdout


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cert new` makes: server.key and server.crt."""
    folder = tmp_path_factory.mktemp("made") / "pair"
    assert CliRunner().invoke(cli, ["cert", "new", "--out", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def pair(made: Path) -> Path:
    """A folder with a copy of them."""
    return Path(shutil.copytree(made, "pair"))


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def make_certificate(days: float, key: Any = None, from_days: float = -1) -> bytes:
    """A self-signed certificate that the openssl command cannot make."""
    key = key or rsa_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now + dt.timedelta(days=min(from_days, days - 1)))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def test_new_writes_a_key_for_its_owner_only_and_its_certificate(run: Run) -> None:
    outcome = run("cert", "new", "--out", "keys/prod", "--name", "ACME integration", "--days", "100", "--bits", "3072")
    assert outcome.code == 0, outcome.err
    key, certificate = Path("keys/prod/server.key"), Path("keys/prod/server.crt")
    assert (mode(key), mode(certificate)) == ("0o600", "0o644")
    assert sorted(path.name for path in key.parent.iterdir()) == ["server.crt", "server.key"]
    assert "Private-Key: (3072 bit" in openssl("pkey", "-in", str(key), "-noout", "-text")
    public = openssl("x509", "-in", str(certificate), "-noout", "-pubkey")
    assert public == openssl("pkey", "-in", str(key), "-pubout")
    assert "CN = ACME integration" in openssl("x509", "-in", str(certificate), "-noout", "-subject").replace(
        "=A", "= A"
    )
    assert "OK" in openssl("verify", "-CAfile", str(certificate), "-check_ss_sig", str(certificate))
    assert outcome.has_no_secret(*key.read_text().splitlines()[1:-1])
    fingerprint = (
        openssl("x509", "-in", str(certificate), "-noout", "-fingerprint", "-sha256").strip().partition("=")[2]
    )
    assert outcome.table["fingerprint sha256"] == [fingerprint]
    assert "1. Upload keys/prod/server.crt to the app in Salesforce" in outcome.message
    assert 'private_key_path = "keys/prod/server.key"' in outcome.message


def test_the_new_key_logs_in(run: Run, pair: Path, sf: SalesforceEmulator) -> None:
    user = sf.add_user("cert@acme.example")
    app = sf.add_app(certificates=[(pair / "server.crt").read_text()], preauthorised=[user.username])
    variables = {"SF_CLIENT_ID": app.client_id, "SF_USERNAME": user.username, "SF_LOGIN_URL": sf.url}
    paths = {"SF_PRIVATE_KEY_PATH": "pair/server.key", "SF_PRIVATE_CERTIFICATE_PATH": "pair/server.crt"}
    outcome = run("login", "jwt-bearer", env={**variables, **paths})
    assert (outcome.code, outcome.err) == (0, "")


def test_new_prints_the_paths_as_json(run: Run) -> None:
    outcome = run("cert", "new", "--json")
    assert outcome.err == ""
    facts = json.loads(outcome.out)
    assert (facts["key"], facts["certificate"], facts["p12"], facts["subject"]) == (
        *("server.key", "server.crt", None),
        "CN=kinetic-auth",
    )
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", facts["fingerprint_sha256"])
    assert dt.datetime.fromisoformat(facts["not_after"]) > dt.datetime.now(dt.UTC) + dt.timedelta(days=364)


def test_new_overwrites_files_only_with_force(run: Run, pair: Path) -> None:
    before = (pair / "server.key").read_text()
    refused = run("cert", "new", "--out", "pair")
    assert (refused.code, refused.out) == (2, "")
    assert refused.message == (
        "Error: pair/server.key and pair/server.crt already exist, and may be in use. "
        "Remedy: Name another folder with --out, or replace the files with --force."
    )
    (pair / "server.crt").unlink()
    assert "pair/server.key already exists, and may be in use." in run("cert", "new", "--out", "pair").message
    assert (pair / "server.key").read_text() == before
    (pair / "server.key").chmod(0o644)
    assert run("cert", "new", "--out", "pair", "--force").code == 0
    assert (pair / "server.key").read_text() != before
    assert mode(pair / "server.key") == "0o600"


@pytest.mark.parametrize("out", ["a file/below", "nul\0"])
def test_a_folder_that_cannot_be_created_is_reported(out: str, run: Run) -> None:
    Path("a file").touch()
    outcome = run("cert", "new", "--out", out)
    assert outcome.code == 2
    assert "cannot be written: " in outcome.message or "embedded null" in outcome.message
    assert "Remedy: Name another folder with --out." in outcome.message


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "server.key" / "in the way").mkdir(parents=True)
    with pytest.raises(ValueError, match="server.key cannot be written: "):
        write_file(tmp_path / "server.key", b"canary", 0o600, "Name another folder with --out.")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".server")] == []


@pytest.mark.parametrize("name", ["", "x" * 65, "line\nend"])
def test_an_invalid_common_name(name: str, run: Run) -> None:
    outcome = run("cert", "new", "--name", name)
    assert outcome.code == 2
    assert "--name takes 1 to 64 printable characters." in outcome.message


def test_p12_holds_both_under_the_passphrase_of_a_variable(run: Run) -> None:
    outcome = run("cert", "new", "--p12", "--passphrase-env", "BACKUP", env={"BACKUP": "canary-päss"})
    assert outcome.code == 0
    assert outcome.has_no_secret("canary-päss")
    assert mode(Path("server.p12")) == "0o600"
    assert outcome.table["p12"] == ["server.p12"]
    checked = run(
        *("cert", "check", "--cert", "server.crt", "--key", "server.p12", "--passphrase-env", "BACKUP"),
        env={"BACKUP": "canary-päss"},
    )
    assert checked.code == 0
    shown = openssl("pkcs12", "-in", "server.p12", "-passin", "pass:canary-päss", "-nodes")
    assert "BEGIN PRIVATE KEY" in shown
    assert "BEGIN CERTIFICATE" in shown


def test_p12_asks_for_a_passphrase_twice_and_shows_none() -> None:
    result = CliRunner().invoke(cli, ["cert", "new", "--p12"], input="canary\ncanary\n", prog_name="kinetic-auth")
    assert result.exit_code == 0
    assert "Passphrase of server.p12:" in result.stderr
    assert "canary" not in result.output
    assert "BEGIN PRIVATE KEY" in openssl("pkcs12", "-in", "server.p12", "-passin", "pass:canary", "-nodes")


def test_without_a_terminal_the_option_for_the_passphrase_is_named(run: Run) -> None:
    outcome = run("cert", "new", "--p12")
    assert outcome.code == 2
    printed = " ".join(outcome.message.split())
    assert "Error: --p12 needs a passphrase, and there is no terminal to ask for it." in printed
    assert "Remedy: Put it into a variable, and give its name: --passphrase-env NAME." in printed
    assert not Path("server.key").exists()


@pytest.mark.parametrize("env", [{}, {"canary-passphrase": ""}])
def test_a_passphrase_given_in_place_of_its_variable_is_not_quoted(run: Run, env: dict[str, str]) -> None:
    outcome = run("cert", "new", "--p12", "--passphrase-env", "canary-passphrase", env=env)
    assert outcome.code == 2
    assert outcome.message == (
        "Error: --passphrase-env names a variable that is not set, or empty. "
        "Remedy: Give the name of a variable that holds the passphrase, not the passphrase."
    )


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_show_agrees_with_openssl(form: str, run: Run, pair: Path) -> None:
    openssl("x509", "-in", "pair/server.crt", "-outform", form, "-out", "shown.crt")
    facts = json.loads(run("cert", "show", "shown.crt", "--json").out)
    printed = openssl("x509", "-in", "pair/server.crt", "-noout", "-fingerprint", "-sha256")
    assert facts["fingerprint_sha256"] == printed.strip().partition("=")[2]
    assert facts["size"] == Path("shown.crt").stat().st_size
    assert (facts["key"], facts["size_limit"], facts["days_left"], facts["problems"]) == ("RSA 2048", 4096, 364, [])
    assert facts["subject"] == facts["issuer"] == "CN=kinetic-auth"
    assert facts["not_before"] < facts["not_after"]


def test_show_prints_a_table(run: Run, pair: Path) -> None:
    outcome = run("cert", "show", "pair/server.crt")
    size = (pair / "server.crt").stat().st_size
    assert outcome.table["size"] == [f"{size} bytes of the 4096 that Salesforce accepts"]
    assert outcome.table["days left"] == ["364"]
    assert "problem" not in outcome.table
    assert outcome.err == ""


def test_show_prints_the_problems(run: Run) -> None:
    Path("old.crt").write_bytes(make_certificate(-3))
    outcome = run("cert", "show", "old.crt")
    assert outcome.code == 0
    assert outcome.table["problem"][0].startswith("expired on ")


@pytest.mark.parametrize("command", [("cert", "show"), ("cert", "check", "--cert")])
@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("gone.crt", None, "gone.crt cannot be read: No such file or directory."),
        ("nul\0.crt", None, "cannot be read: "),
        ("hello.crt", b"hello", "hello.crt is not a certificate in PEM or DER."),
        ("server.key", b"key", "server.key is a private key, not a certificate."),
    ],
)
def test_a_file_without_a_certificate_is_an_error(
    command: tuple[str, ...], name: str, contents: bytes | None, message: str, run: Run, keys: KeyPair
) -> None:
    if contents is not None:
        Path(name).write_bytes(keys.private_key_pem.encode() if contents == b"key" else contents)
    outcome = run(*command, name)
    assert (outcome.code, outcome.out) == (3, "")
    assert message in outcome.message
    assert outcome.message.endswith("Remedy: Name the certificate, a .crt file.")
    assert outcome.has_no_secret("MII")


def test_a_certificate_of_an_unknown_key_type_does_not_match_the_key(run: Run, pair: Path) -> None:
    Path("server.crt").write_bytes(certificate_of_an_unknown_key())
    assert check(run, "--cert", "server.crt", "--key", "pair/server.key")[1]["belongs_to_key"] is False


def check(run: Run, *args: str) -> tuple[int, dict[str, Any]]:
    outcome = run("cert", "check", *args, "--json")
    return outcome.code, json.loads(outcome.out)


def test_check_of_a_good_pair_is_0(run: Run, pair: Path) -> None:
    code, facts = check(run, "--cert", "pair/server.crt", "--key", "pair/server.key")
    assert (code, facts["state"], facts["belongs_to_key"], facts["days_left"], facts["problems"]) == (
        *(0, "ok", True, 364),
        [],
    )
    code, facts = check(run, "--cert", "pair/server.crt")
    assert (code, facts["belongs_to_key"]) == (0, None)


@pytest.mark.parametrize(
    ("days", "warn_days", "code", "state"),
    [
        (10, "30", 7, "expires soon"),
        (10, "10", 7, "expires soon"),
        (10, "9", 0, "ok"),
        (0.5, "1", 7, "expires soon"),
        (0.5, "0", 0, "ok"),
        (-0.5, "0", 8, "unfit"),
    ],
)
def test_check_counts_the_days(days: float, warn_days: str, code: int, state: str, run: Run) -> None:
    Path("server.crt").write_bytes(make_certificate(days))
    assert check(run, "--cert", "server.crt", "--warn-days", warn_days)[0] == code
    outcome = run("cert", "check", "--cert", "server.crt", "--warn-days", warn_days)
    assert outcome.table["state"] == [state]
    assert outcome.err == ""


def large_certificate() -> bytes:
    return make_certificate(99) + b"# padded\n" * 400


def certificate_of_an_elliptic_key() -> bytes:
    return make_certificate(99, ec.generate_private_key(ec.SECP256R1()))


def certificate_of_an_unknown_key() -> bytes:
    """A certificate whose key has an unassigned object identifier."""
    der = x509.load_pem_x509_certificate(make_certificate(99)).public_bytes(Encoding.DER)
    rsa_encryption = bytes.fromhex("06092a864886f70d010101")
    return der.replace(rsa_encryption, bytes.fromhex("06092a864886f70d01017f"))


def certificate_of_a_short_key() -> bytes:
    return new_key_pair(bits=1024).certificate_pem.encode()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: make_certificate(-3), r"expired on \d{4}-\d\d-\d\d"),
        (lambda: make_certificate(99, from_days=2), r"is not valid before \d{4}-\d\d-\d\d"),
        (large_certificate, r"has \d+ bytes, but Salesforce accepts at most 4096"),
        (
            certificate_of_a_short_key,
            "has a key of type RSA 1024, but Salesforce requires RSA of 2048 bits or more",
        ),
        (
            certificate_of_an_elliptic_key,
            "has a key of type EC 256, but Salesforce requires RSA of 2048 bits or more",
        ),
        (
            certificate_of_an_unknown_key,
            "has a key of type unknown, but Salesforce requires RSA of 2048 bits or more",
        ),
    ],
)
def test_check_of_a_certificate_that_salesforce_would_reject_is_8(
    make: Callable[[], bytes], problem: str, run: Run
) -> None:
    Path("server.crt").write_bytes(make())
    code, facts = check(run, "--cert", "server.crt")
    assert (code, facts["state"]) == (8, "unfit")
    assert any(re.fullmatch(problem, each) for each in facts["problems"]), facts["problems"]


def test_check_of_the_certificate_of_another_key_is_8(run: Run, pair: Path, keys: KeyPair) -> None:
    Path("other").mkdir()
    Path("other/server.key").write_text(keys.private_key_pem)
    outcome = run("cert", "check", "--cert", "pair/server.crt", "--key", "other/server.key")
    assert outcome.code == 8
    assert outcome.table["problem"] == ["does not belong to the key other/server.key"]
    assert outcome.has_no_secret("MII")


@pytest.mark.parametrize("command", [("new",), ("show", "x.crt"), ("check", "--cert", "x.crt")])
def test_without_cryptography_each_command_says_what_to_install(
    command: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    outcome = run("cert", *command)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.message == (
        "Error: kinetic-auth cert needs cryptography, which is not installed. "
        'Remedy: pip install cryptography; the extra has it too: pip install "kinetic-auth-core[jwt-bearer]"'
    )
