"""`kinetic-auth cert check`: whether a certificate and a key belong together, and for how long; for monitoring."""

import datetime as dt
from pathlib import Path

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import EXPIRES_SOON, OK, UNFIT_CERTIFICATE
from kinetic_auth_core.cli.options import json_option, passphrase_in, passphrase_option
from kinetic_auth_core.cli.output import emit_json, emit_record
from kinetic_auth_core.keys.signer import require_cryptography

_STATES = {OK: "ok", EXPIRES_SOON: "expires soon", UNFIT_CERTIFICATE: "unfit"}


@click.command(cls=Command, short_help="Check a certificate and its key.")
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
    """Check that a certificate is good, that it belongs to the key, and that it does not end soon.

    \b
    Exit codes for monitoring:
      0  good, with more than --warn-days days left
      3  the certificate or the key could not be had or read
      7  good, but expires within --warn-days days
      8  expired, not valid yet, another key's, or nothing that Salesforce takes
    --json prints
      {"certificate", "state", "days_left", "not_after", "belongs_to_key", "problems": [text, ...]}
    where "state" is "ok", "expires soon" or "unfit", and "belongs_to_key" null without --key.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    require_cryptography("kinetic-auth cert")
    from kinetic_auth_core.cli.cert.certificates import CertificateFile
    from kinetic_auth_core.cli.cert.signing_key import load_key

    found = CertificateFile.read(Path(cert))
    now = dt.datetime.now(dt.UTC)
    belongs = None if key is None else found.belongs_to(load_key(key, passphrase_in(passphrase_env)).public_key())
    problems = found.problems(now)
    if belongs is False:
        problems.append(f"does not belong to the key {key}")
    days_left = found.days_left(now)
    code = UNFIT_CERTIFICATE if problems else EXPIRES_SOON if days_left < warn_days else OK
    facts = {
        "certificate": cert,
        "state": _STATES[code],
        "days_left": days_left,
        "not_after": found.certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
        "belongs_to_key": belongs,
    }
    if as_json:
        emit_json({**facts, "problems": problems})
    else:
        rows = [(label.replace("_", " "), value) for label, value in facts.items()]
        emit_record([*rows, *(("problem", problem) for problem in problems)])
    ctx.exit(code)
