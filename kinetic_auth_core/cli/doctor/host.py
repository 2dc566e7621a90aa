"""Checks of the login host's name, without asking it: what kind of org it is, and whether the audience fits to it."""

import re
from typing import Literal
from urllib.parse import urlsplit

from kinetic_auth_core.cli.advice import MY_DOMAIN
from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.exit_codes import USAGE
from kinetic_auth_core.settings.hosts import is_within, login_host_problem

Kind = Literal["production", "sandbox"]

_GENERIC: dict[str, Kind] = {"login.salesforce.com": "production", "test.salesforce.com": "sandbox"}
#: Hosts of an instance, also those of the SOAP API: na139.salesforce.com, emea-api.salesforce.com.
_INSTANCE = re.compile(r"([a-z]{2,4}\d{1,3}s?|[a-z]{2,4}\d{0,3}-api)\.salesforce\.com")
#: What follows the top-level domain of the usernames that a sandbox has copied: ada@acme.com.dev.
_COPIED = re.compile(r"@.+\.(com|org|net|edu|gov|io|de|fr|uk)\.\w+$")
_SANDBOX = re.compile(r"([a-z0-9-]+--[a-z0-9-]+)\.my\.salesforce\.com")


def check_login_host(examination: Examination) -> None:
    """The host and the audience, by their names."""
    report, spec = examination.report, examination.spec
    setting = examination.host_setting
    if setting is None:
        report.skip("login host", f"{spec.provider} has no setting login_url.")
        return
    url = str(spec.displayed(setting))
    host, kind = urlsplit(url).hostname or "", kind_of_org(url)
    before = len(report.checks)
    if problem := host_problem(host):
        remedy = MY_DOMAIN.format(setting=setting)
        report.add("login host", "failure", problem, remedy, setting, code=USAGE, is_suspicion=True)
    audience = spec.displayed("audience")
    if audience is not None and (problem := audience_problem(url, audience)):
        row = next(row for row in spec.rows if row.name == "audience")
        named = "audience" if row.source != "default" else setting
        report.add("login host", "failure", problem, _audience_remedy(url), named, code=USAGE, is_suspicion=True)
    username = spec.displayed("username") or ""
    if host == "login.salesforce.com" and _COPIED.search(username):
        report.add(
            "login host",
            "warning",
            f"the username {username} looks like that of a sandbox, but {host} is for production orgs.",
            "For a sandbox set login_url to its My Domain, or to https://test.salesforce.com.",
            setting,
        )
    if len(report.checks) == before:
        what = f", of a {kind} org" if kind else ""
        report.add("login host", "ok", f"{host}{what}{f'; audience {audience}' if audience else ''}.", "", setting)


def host_problem(host: str) -> str | None:
    """Why nobody logs in at a host of Salesforce's, as a sentence; None if somebody may.

    Args:
        host: The host of a login URL.
    """
    if _INSTANCE.fullmatch(host):
        return f"{host} is the address of one instance, or of the SOAP API, which an org leaves when it moves."
    if host == "my.salesforce.com":
        return f"{host} lacks the name of the org: https://<name>.my.salesforce.com."
    if is_within(host, ("visualforce.com",)):
        return f"{host} is the address of pages."
    name = host.removesuffix(".salesforce.com")
    if name != host and "." not in name and host not in _GENERIC:
        return f"{host} is not the address of an org: that of an org named {name} is https://{name}.my.salesforce.com."
    return None


def sandbox_host(host: str) -> str | None:
    """The My Domain of a sandbox, where a host has the form that Salesforce gave up: acme--dev.my.salesforce.com.

    Args:
        host: The host of a login URL.
    """
    return f"https://{match[1]}.sandbox.my.salesforce.com" if (match := _SANDBOX.fullmatch(host)) else None


def kind_of_org(url: str) -> Kind | None:
    """Whether a login host is for production orgs or for sandboxes and scratch orgs; None if its name does not say.

    Args:
        url: A login URL, or an audience.
    """
    host = urlsplit(url).hostname or ""
    if host in _GENERIC:
        return _GENERIC[host]
    if not is_within(host, ("my.salesforce.com",)):
        return None
    is_sandbox = "--" in host or host.endswith((".sandbox.my.salesforce.com", ".scratch.my.salesforce.com"))
    return "sandbox" if is_sandbox else "production"


def audience_problem(login_url: str, audience: str) -> str | None:
    """Why an audience cannot be right for a login host, as a sentence; None if it may be, or the names do not say.

    Args:
        login_url: The login host.
        audience: The audience of the assertion.
    """
    if problem := login_host_problem(audience):
        return f"the audience {audience} {problem}."
    host, other = urlsplit(login_url).hostname or "", urlsplit(audience).hostname or ""
    kind, other_kind = kind_of_org(login_url), kind_of_org(audience)
    if host == other or kind is None or other_kind is None:
        return None
    if kind != other_kind:
        return (
            f"host and audience are of different kinds: login_url {login_url} is for a {kind} org, and audience "
            f"{audience} for a {other_kind} org."
        )
    if host not in _GENERIC and other not in _GENERIC:
        return f"host and audience are different orgs: login_url {login_url}, audience {audience}."
    return None


def _audience_remedy(url: str) -> str:
    generic = "https://test.salesforce.com" if kind_of_org(url) == "sandbox" else "https://login.salesforce.com"
    return f"Set audience to {generic} or to {url}, or remove it: it follows from login_url. Or correct login_url."
