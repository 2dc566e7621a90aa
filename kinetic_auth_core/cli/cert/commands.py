"""`kinetic-auth cert new`, `show` and `check`: keys and their certificates."""

import datetime as dt
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import EXPIRES_SOON, OK, UNFIT_CERTIFICATE
from kinetic_auth_core.cli.new_files import refuse_to_overwrite, write_file
from kinetic_auth_core.cli.options import json_option, passphrase_in, passphrase_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note, utc
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.keys.signer import require_cryptography

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    from kinetic_auth_core.cli.cert.certificates import CertificateFile

_PURPOSE = "kinetic-auth cert"
_ELSEWHERE = "Name another folder with --out."
_MAX_NAME = 64  # characters of a common name (RFC 5280, appendix A)
_PRIVATE = 0o600
_PUBLIC = 0o644
_STATES = {OK: "ok", EXPIRES_SOON: "expires soon", UNFIT_CERTIFICATE: "unfit"}


@attrs.frozen
class _Targets:
    """The files to write; None for those that are not wanted."""

    key: Path | None
    certificate: Path
    p12: Path | None

    @property
    def wanted(self) -> list[Path]:
        return [path for path in (self.key, self.certificate, self.p12) if path is not None]


def _name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not 0 < len(value) <= _MAX_NAME or not value.isprintable():
        raise click.UsageError(f"--name takes 1 to {_MAX_NAME} printable characters.")
    return value


@click.command(cls=Command)
@click.option("--out", metavar="DIR", default=".", help="The folder for the files. Default: the current one.")
@click.option("--name", metavar="CN", default="kinetic-auth", callback=_name, help="The certificate's common name.")
@click.option("--days", type=click.IntRange(1, 36500), default=365, show_default=True, help="How long it is valid.")
@click.option(
    "--bits", type=click.Choice(["2048", "3072", "4096"]), default="2048", show_default=True, help="Length of the key."
)
@click.option("--p12", is_flag=True, help="Write server.p12 too: both in one encrypted file, for a backup.")
@click.option("--key", metavar="REFERENCE", help="Certify this key, a file or reference (kms://...), not a new one.")
@passphrase_option("Variable with the passphrase: locks --p12, opens an encrypted --key. Default for --p12: ask.")
@click.option("--force", is_flag=True, help="Replace existing files.")
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

    Only you can read server.key (mode 0600). With --key no key is made; a key in a KMS signs there.

    \b
    --json prints
      {"key", "certificate", "p12", "subject", "fingerprint_sha256", "not_after"}
    with null for a file that was not written; "not_after" is ISO 8601 in UTC.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    require_cryptography(_PURPOSE)
    from cryptography.hazmat.primitives.asymmetric import rsa

    from kinetic_auth_core.cli.cert.certificates import CertificateFile, pem, self_signed
    from kinetic_auth_core.cli.cert.keys import RemoteKey, load_key

    folder = Path(out)
    targets = _Targets(
        None if key else folder / "server.key", folder / "server.crt", folder / "server.p12" if p12 else None
    )
    if not force:
        refuse_to_overwrite(targets.wanted, "Name another folder with --out")
    passphrase = passphrase_in(passphrase_env)
    private_key = load_key(key, passphrase) if key else rsa.generate_private_key(65537, int(bits))
    if p12 and isinstance(private_key, RemoteKey):
        raise ConfigurationError("--p12 needs the private key, which never leaves its KMS.", remedy="Leave --p12 out.")
    if p12 and passphrase is None:
        passphrase = _prompt_for_passphrase()
    certificate = self_signed(private_key, name, days)
    if targets.key is not None:
        write_file(targets.key, _pkcs8(private_key), _PRIVATE, _ELSEWHERE)
    write_file(targets.certificate, pem(certificate), _PUBLIC, _ELSEWHERE)
    if targets.p12 is not None and passphrase is not None:
        write_file(targets.p12, _pkcs12(private_key, certificate, name, passphrase), _PRIVATE, _ELSEWHERE)
    _print_new(targets, CertificateFile.read(targets.certificate), key, as_json)


def _prompt_for_passphrase() -> bytes:
    try:
        answer: str = click.prompt("Passphrase of server.p12", hide_input=True, confirmation_prompt=True, err=True)
    except click.Abort:
        if _has_terminal():
            raise  # Ctrl-C
        raise ConfigurationError(
            "--p12 needs a passphrase, and there is no terminal to ask for it.",
            remedy="Put it into a variable, and give its name: --passphrase-env NAME.",
        ) from None
    return answer.encode()


def _has_terminal() -> bool:
    """Whether a password can be asked for: on the terminal itself, whatever stdin is."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return sys.stdin.isatty()


def _pkcs8(key: "rsa.RSAPrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pkcs12(key: "rsa.RSAPrivateKey", certificate: "x509.Certificate", name: str, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificate, None, BestAvailableEncryption(passphrase)
    )


def _print_new(targets: _Targets, written: "CertificateFile", key: str | None, as_json: bool) -> None:
    facts = {
        "key": targets.key,
        "certificate": targets.certificate,
        "p12": targets.p12,
        "subject": written.certificate.subject.rfc4514_string(),
        "fingerprint_sha256": written.fingerprint,
        "not_after": utc(written.certificate.not_valid_after_utc),
    }
    if as_json:
        emit_json(facts)
        return
    _print_facts({label: value for label, value in facts.items() if value is not None})
    setting = f'private_key_path = "{targets.key}"'
    if key is not None:
        setting = f'private_key = "{key}"' if "://" in key else f'private_key_path = "{key}"'
    note(
        "\nNext:\n"
        f'1. Upload {targets.certificate} to the app in Salesforce ("Enable JWT Bearer Flow"; connected app: '
        '"Use digital signatures").\n'
        f"2. In kinetic-auth.toml: {setting}\n"
        f'   and, to be warned before it expires: private_certificate_path = "{targets.certificate}"\n'
        "3. Try it: kinetic-auth login jwt-bearer"
    )


def _print_facts(facts: dict[str, object], problems: Collection[str] = ()) -> None:
    rows = [(label.replace("_", " "), value) for label, value in facts.items()]
    emit_record([*rows, *(("problem", problem) for problem in problems)])


@click.command(cls=Command)
@click.argument("file", metavar="FILE")
@json_option
def show(file: str, as_json: bool) -> None:
    """Show the certificate in FILE, PEM or DER: its subject, fingerprint, validity and size.

    \b
    --json prints
      {"file", "subject", "issuer", "fingerprint_sha256", "not_before", "not_after", "days_left",
       "key", "size", "size_limit", "problems": [text, ...]}
    where times are ISO 8601 in UTC, sizes bytes, and "problems" says why Salesforce would not accept it.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    require_cryptography(_PURPOSE)
    from kinetic_auth_core.cli.cert.certificates import MAX_BYTES, CertificateFile

    found = CertificateFile.read(Path(file))
    now = dt.datetime.now(dt.UTC)
    facts: dict[str, object] = {
        "file": file,
        "subject": found.certificate.subject.rfc4514_string(),
        "issuer": found.certificate.issuer.rfc4514_string(),
        "fingerprint_sha256": found.fingerprint,
        "not_before": utc(found.certificate.not_valid_before_utc),
        "not_after": utc(found.certificate.not_valid_after_utc),
        "days_left": found.days_left(now),
        "key": found.key_type,
    }
    problems = found.problems(now)
    if as_json:
        emit_json({**facts, "size": found.size, "size_limit": MAX_BYTES, "problems": problems})
    else:
        _print_facts({**facts, "size": f"{found.size} bytes of the {MAX_BYTES} that Salesforce accepts"}, problems)


@click.command(cls=Command)
@click.option("--cert", metavar="FILE", required=True, help="The certificate, PEM or DER.")
@click.option("--key", metavar="FILE|REFERENCE", help="The private key that it should belong to.")
@click.option(
    "--warn-days",
    type=click.IntRange(0, 3650),
    default=30,
    show_default=True,
    help="How many days before its end it counts as expiring soon.",
)
@passphrase_option("Variable with the passphrase of an encrypted --key.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, *, cert: str, key: str | None, warn_days: int, passphrase_env: str | None, as_json: bool
) -> None:
    """Check that a certificate is valid, belongs to the key, and does not expire soon.

    \b
    Exit codes for monitoring:
      0  valid, with more than --warn-days days left
      3  the certificate or the key could not be read
      7  valid, but expires within --warn-days days
      8  expired, not valid yet, of another key, or not accepted by Salesforce
    --json prints
      {"certificate", "state", "days_left", "not_after", "belongs_to_key", "problems": [text, ...]}
    where "state" is "ok", "expires soon" or "unfit", and "belongs_to_key" null without --key.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    require_cryptography(_PURPOSE)
    from kinetic_auth_core.cli.cert.certificates import CertificateFile
    from kinetic_auth_core.cli.cert.keys import load_key

    found = CertificateFile.read(Path(cert))
    now = dt.datetime.now(dt.UTC)
    belongs = None if key is None else found.belongs_to(load_key(key, passphrase_in(passphrase_env)).public_key())
    problems = found.problems(now)
    if belongs is False:
        problems.append(f"does not belong to the key {key}")
    days_left = found.days_left(now)
    code = UNFIT_CERTIFICATE if problems else EXPIRES_SOON if days_left < warn_days else OK
    facts: dict[str, object] = {
        "certificate": cert,
        "state": _STATES[code],
        "days_left": days_left,
        "not_after": utc(found.certificate.not_valid_after_utc),
        "belongs_to_key": belongs,
    }
    if as_json:
        emit_json({**facts, "problems": problems})
    else:
        _print_facts(facts, problems)
    ctx.exit(code)
