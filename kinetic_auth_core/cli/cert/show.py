"""`kinetic-auth cert show`: what a certificate says, and whether Salesforce would take it."""

import datetime as dt
from pathlib import Path

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import json_option
from kinetic_auth_core.cli.output import emit_json, emit_record
from kinetic_auth_core.keys.signer import require_cryptography


@click.command(cls=Command, short_help="Show a certificate.")
@click.argument("file", metavar="FILE")
@json_option
def show(file: str, as_json: bool) -> None:
    """Show the certificate in FILE, PEM or DER: whose it is, its fingerprint, how long it is valid, how large it is.

    \b
    --json prints
      {"file", "subject", "issuer", "fingerprint_sha256", "not_before", "not_after", "days_left",
       "key", "size", "size_limit", "problems": [text, ...]}
    where times are ISO 8601 in UTC, sizes bytes, and "problems" says why Salesforce would not take it.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    require_cryptography("kinetic-auth cert")
    from kinetic_auth_core.cli.cert.certificates import MAX_BYTES, CertificateFile

    found = CertificateFile.read(Path(file))
    now = dt.datetime.now(dt.UTC)
    facts = {
        "file": file,
        "subject": found.certificate.subject.rfc4514_string(),
        "issuer": found.certificate.issuer.rfc4514_string(),
        "fingerprint_sha256": found.fingerprint,
        "not_before": _utc(found.certificate.not_valid_before_utc),
        "not_after": _utc(found.certificate.not_valid_after_utc),
        "days_left": found.days_left(now),
        "key": found.key_called,
        "size": found.size,
        "size_limit": MAX_BYTES,
        "problems": found.problems(now),
    }
    if as_json:
        emit_json(facts)
        return
    problems = facts.pop("problems")
    limit = facts.pop("size_limit")
    size = f"{found.size} bytes of the {limit} that Salesforce takes"
    rows = {**facts, "size": size}.items()
    emit_record((label.replace("_", " "), value) for label, value in rows)
    if problems:
        emit_record([("problem", problem) for problem in found.problems(now)])


def _utc(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
