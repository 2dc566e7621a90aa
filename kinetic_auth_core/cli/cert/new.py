"""`kinetic-auth cert new`: a key and its self-signed certificate, or a certificate for a key that is there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.cert.files import PRIVATE, PUBLIC, check_free, write
from kinetic_auth_core.cli.options import json_option, passphrase_in, passphrase_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.keys.signer import require_cryptography

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    from kinetic_auth_core.cli.cert.certificates import CertificateFile

_MAX_NAME = 64  # characters of a common name (RFC 5280, appendix A)


@attrs.frozen
class _Targets:
    """The files that are written; None for those that are not."""

    key: Path | None
    certificate: Path
    p12: Path | None

    @property
    def wanted(self) -> list[Path]:
        return [path for path in (self.key, self.certificate, self.p12) if path is not None]


def _name(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    if not 0 < len(given) <= _MAX_NAME or not given.isprintable():
        raise click.UsageError(f"--name takes 1 to {_MAX_NAME} printable characters.")
    return given


@click.command(cls=Command, short_help="Make a key and its certificate.")
@click.option("--out", metavar="DIR", default=".", help="The folder for the files. Default: this one.")
@click.option("--name", metavar="CN", default="kinetic-auth", callback=_name, help="The certificate's common name.")
@click.option("--days", type=click.IntRange(1, 36500), default=365, show_default=True, help="How long it is valid.")
@click.option(
    "--bits", type=click.Choice(["2048", "3072", "4096"]), default="2048", show_default=True, help="Length of the key."
)
@click.option("--p12", is_flag=True, help="Write server.p12 too: both in one encrypted file, for a backup.")
@click.option("--key", metavar="REFERENCE", help="Certify this key, a file or reference (kms://...), not a new one.")
@passphrase_option("Variable with the passphrase: locks --p12, opens an encrypted --key. Default for --p12: ask.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
def new(
    *,
    out: str,
    name: str,
    days: int,
    bits: str,
    p12: bool,
    key: str | None,
    passphrase_env: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make a key and its self-signed certificate: server.key and server.crt.

    Only you can read server.key (mode 0600). With --key no key is made; one that stays in a KMS signs there.

    \b
    --json prints
      {"key", "certificate", "p12", "subject", "fingerprint_sha256", "not_after"}
    with null for a file that was not written; "not_after" is ISO 8601 in UTC.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    require_cryptography("kinetic-auth cert")
    from kinetic_auth_core.cli.cert.certificates import CertificateFile, pem, self_signed

    folder = Path(out)
    targets = _Targets(
        None if key else folder / "server.key", folder / "server.crt", folder / "server.p12" if p12 else None
    )
    if not force:
        check_free(targets.wanted)
    passphrase = passphrase_in(passphrase_env)
    private_key = _key(key, int(bits), passphrase)
    if p12 and _stays_away(private_key):
        raise ConfigurationError(
            "--p12 wants the key itself, and this one never leaves its place.", remedy="Leave --p12 out."
        )
    if p12 and passphrase is None:
        passphrase = _asked()
    certificate = self_signed(private_key, name, days)
    if targets.key is not None:
        write(targets.key, _pkcs8(private_key), PRIVATE)
    write(targets.certificate, pem(certificate), PUBLIC)
    if targets.p12 is not None and passphrase is not None:
        write(targets.p12, _pkcs12(private_key, certificate, name, passphrase), PRIVATE)
    _tell(targets, CertificateFile.read(targets.certificate), key, as_json)


def _asked() -> bytes:
    try:
        answer: str = click.prompt("Passphrase of server.p12", hide_input=True, confirmation_prompt=True, err=True)
    except click.Abort:
        if _is_somebody_there():
            raise  # Ctrl-C
        raise ConfigurationError(
            "--p12 needs a passphrase, and there is nobody to ask for it.",
            remedy="Put it into a variable, and give its name: --passphrase-env NAME.",
        ) from None
    return answer.encode()


def _is_somebody_there() -> bool:
    """Whether a password could be asked for: on the terminal itself, whatever stdin is."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return sys.stdin.isatty()


def _key(given: str | None, bits: int, passphrase: bytes | None) -> "rsa.RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa

    from kinetic_auth_core.cli.cert.signing_key import load_key

    return load_key(given, passphrase) if given else rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _stays_away(key: "rsa.RSAPrivateKey") -> bool:
    from kinetic_auth_core.cli.cert.signing_key import RemoteKey

    return isinstance(key, RemoteKey)


def _pkcs8(key: "rsa.RSAPrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pkcs12(key: "rsa.RSAPrivateKey", certificate: "x509.Certificate", name: str, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificate, None, BestAvailableEncryption(passphrase)
    )


def _tell(targets: _Targets, made: "CertificateFile", key: str | None, as_json: bool) -> None:
    facts = {
        "key": targets.key,
        "certificate": targets.certificate,
        "p12": targets.p12,
        "subject": made.certificate.subject.rfc4514_string(),
        "fingerprint_sha256": made.fingerprint,
        "not_after": made.certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }
    if as_json:
        emit_json(facts)
        return
    emit_record((label.replace("_", " "), value) for label, value in facts.items() if value is not None)
    setting = f'private_key_path = "{targets.key}"'
    if key is not None:
        setting = f'private_key = "{key}"' if "://" in key else f'private_key_path = "{key}"'
    note(
        "\nNext:\n"
        f'1. Upload {targets.certificate} to the app in Salesforce ("Use digital signatures").\n'
        f"2. In kinetic-auth.toml: {setting}\n"
        f'   and, to be warned before it ends: private_certificate_path = "{targets.certificate}"\n'
        "3. Try it: kinetic-auth login jwt-bearer"
    )
