"""Checks of secrets, keys and certificates, by what a login does before it sends anything."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.log_warnings import warn_of, warnings_captured
from kinetic_auth_core.cli.exit_codes import NO_KEY, USAGE
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.login.credentials import Credentials, references
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import make_instance
from kinetic_auth_core.registry.hookspecs import LoginRequest
from kinetic_auth_core.settings.schema import exactly_one_of, schema

#: How a warning begins that the check of the certificates has said.
ABOUT_A_CERTIFICATE = "the certificate "
#: How many days before the end of a certificate the warnings begin.
_WARN_DAYS = 30
#: How the Consumer Keys of all apps begin.
_CONSUMER_KEY = "3MVG9"


def check_secrets(examination: Examination) -> None:
    """What references name is fetched, as at each login, and the provider's instances are made of it."""
    spec, report = examination.spec, examination.report
    credentials = Credentials(spec.values, spec.loader, spec.binary, spec.rows)
    errors: list[KineticAuthError] = []
    with warnings_captured() as warnings:
        for number in range(credentials.count):
            try:
                values = credentials.load(number)
                examination.instances.append(make_instance(spec.provider, spec.make, spec.rows, values))
            except KineticAuthError as error:
                errors.append(error)
    for failure in errors:
        if examination.instances:
            report.add("secrets", "warning", failure.message, failure.remedy)
        else:
            report.failed("secrets", failure)
    if not errors:
        names = dict.fromkeys(f"{name} from {reference.scheme}://" for name, reference in references(spec.values))
        report.add("secrets", "ok", f"{', '.join(names)}: fetched." if names else "none is a reference.")
    warn_of(report, "secrets", warnings)
    if examination.instances:
        _check_texts(examination, examination.instances[0])
        _check_consumer_secret(examination, examination.instances[0])


def _check_texts(examination: Examination, instance: Any) -> None:
    """Secrets with a line break, or with blanks or quotes around them: copied, or left by a shell, YAML or TOML."""
    report = examination.report
    named = {check.setting for check in report.checks if check.status == "failure"}
    for each in schema(type(instance)):
        value = each.value_of(instance)
        if not each.secret or each.takes_bytes or not isinstance(value, str) or each.name in named:
            continue
        if what := _stray(value):
            report.add(
                "secrets",
                "failure",
                f"{each.name} has {what}, which counts as a part of it.",
                f"Write {each.name} without it: in a shell printf %s instead of echo, in YAML > or | adds line breaks.",
                each.name,
                code=USAGE,
                is_suspicion=True,
            )


def _check_consumer_secret(examination: Examination, instance: Any) -> None:
    """A Consumer Key in the place of the Consumer Secret."""
    key, secret = (getattr(instance, name, None) for name in ("client_id", "client_secret"))
    if not isinstance(secret, str) or not secret.startswith(_CONSUMER_KEY):
        return
    is_swapped = not str(key).startswith(_CONSUMER_KEY)
    examination.report.add(
        "secrets",
        "failure",
        f"client_id and client_secret look swapped: client_secret begins with {_CONSUMER_KEY}, as Consumer Keys do."
        if is_swapped
        else f"client_secret looks like a Consumer Key: it begins with {_CONSUMER_KEY}.",
        "Set client_id to the app's Consumer Key, and client_secret to its Consumer Secret.",
        "client_secret",
        code=USAGE,
        is_suspicion=True,
    )


def _stray(text: str) -> str:
    """What a secret has that does not look like a part of it; empty if there is nothing."""
    if "\n" in text or "\r" in text:
        return "a line break"
    if text != text.strip():
        return "blanks around it"
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return "quotes around it"
    return "" if text.isprintable() else "a control character"


def check_certificate(examination: Examination) -> None:
    """The certificates that settings name: readable, and their days."""
    spec, report = examination.spec, examination.report
    named = [
        row
        for row in spec.rows
        if "cert" in row.name and not row.secret and row.value and not row.name.endswith("_key") and "." not in row.name
    ]
    if not named:
        report.skip("certificate", "no setting names a certificate.")
    for row in named:
        _check_dates(examination, row.name, Path(str(row.value)))


def _check_dates(examination: Examination, name: str, path: Path) -> None:
    from kinetic_auth_core.cli.cert.certificates import CertificateFile

    report, now = examination.report, dt.datetime.now(dt.UTC)
    try:
        file = CertificateFile.read(path)
    except KineticAuthError as error:
        report.failed("certificate", error, name)
        return
    is_uploaded = name != "client_cert"
    found = file.problems(now)
    problems = [each for each in found if each.startswith(("expired", "is not valid"))]
    others = [each for each in found if each not in problems and is_uploaded]
    renew = (
        "Make a new key and certificate (kinetic-auth cert new), upload the certificate to the app, and set both here."
        if is_uploaded
        else "Have its authority issue a new one."
    )
    end, left = file.certificate.not_valid_after_utc.date(), file.days_left(now)
    if problems:
        what = f"the certificate {path} {' and '.join(problems)}."
        report.add("certificate", "failure", what, renew, name, code=NO_KEY)
    elif others:  # the file may have more than what was uploaded
        what = f"the certificate {path} {' and '.join(others)}."
        report.add("certificate", "warning", what, renew, name)
    elif left < _WARN_DAYS:
        what = f"the certificate {path} expires on {end}, in {left} day(s)."
        report.add("certificate", "warning", what, renew, name)
    else:
        report.add("certificate", "ok", f"{path} is valid until {end}, {left} days from now.", "", name)


def check_key(examination: Examination) -> None:
    """The private key, by the form of a token request, which the provider makes and nobody sends."""
    report, spec = examination.report, examination.spec
    cls = type(examination.instances[0])
    signs = any(each.secret and each.takes_bytes for each in schema(cls))
    if not (signs and issubclass(cls, GrantAuthenticator)) or cls.single_use or cls.asks_a_person:
        report.skip("key", f"{spec.provider} signs with no key.")
        return
    request = LoginRequest(provider=spec.provider, environment=spec.environment, host=spec.host, now=time.time())
    errors: list[KineticAuthError] = []
    with warnings_captured() as warnings:
        for instance in examination.instances:
            try:
                instance.grant(request)
            except KineticAuthError as error:
                errors.append(error)
    for failure in errors:
        if len(errors) < len(examination.instances):
            report.add("key", "warning", failure.message, failure.remedy)
        else:
            report.failed("key", failure, fallback=_key_setting(examination))
    if not errors:
        report.add("key", "ok", f"it can be read, and signs{_with_certificate(examination.instances[0])}.")
    others = [each for each in warnings if not each.startswith(ABOUT_A_CERTIFICATE)]
    warn_of(report, "key", others, _key_setting(examination))


def _key_setting(examination: Examination) -> str | None:
    """The setting that gives the key: a secret that takes bytes, or the file in its place."""
    cls = type(examination.instances[0])
    secret = {each.name for each in schema(cls) if each.secret and each.takes_bytes}
    names = [name for group in exactly_one_of(cls) if secret & set(group) for name in group] or sorted(secret)
    return next((name for name in names if examination.spec.values.get(name)), None)


def _with_certificate(instance: Any) -> str:
    named = [each.name for each in schema(type(instance)) if each.name.endswith("certificate_path")]
    return "; the certificate belongs to it" if any(getattr(instance, name) for name in named) else ""
