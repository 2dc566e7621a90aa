"""Calls in a warm process: a login, and reading the live session."""

import datetime as dt
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import botocore.credentials
import google.oauth2.credentials
import keystoneauth1.access.access
import keystoneauth1.identity.v3
import requests
from comparisons.rounds import Comparison, Contestant, cpu_ms, per_call_ns
from comparisons.servers import Org
from kinetic_core import JWTAuthenticator as KineticCoreAuthenticator

import kinetic_auth_core as kinetic
from kinetic_auth_core.plugins import read_private_key
from kinetic_auth_jwt_bearer import JWTAuthenticator
from kinetic_auth_jwt_bearer.authenticator import GRANT_TYPE, sign_assertion


def comparisons(org: Org) -> Iterator[Comparison]:
    """Comparisons of calls.

    Args:
        org: Speaks plain http.
    """
    logins: dict[str, Callable[[], Any]] = {
        "floor: one signature, one requests.Session.post": _floor(org),
        "kinetic-auth: source.authenticate()": kinetic.resolve("jwt-bearer", **org.settings).authenticate,
        "kinetic-auth: JWTAuthenticator.authenticate()": JWTAuthenticator(**org.settings).authenticate,
        "kinetic-core": KineticCoreAuthenticator(**org.settings).authenticate,
    }
    yield Comparison(
        "warm login",
        "ms",
        [Contestant(name, functools.partial(cpu_ms, call)) for name, call in logins.items()],
        rounds=150,
        note="CPU time of the client. The floor makes no session of the answer and checks nothing.",
    )
    sends_nothing = kinetic.SessionSource(_SendsNothing(), login_budget=1_000_000)
    yield Comparison(
        "what a source adds to a login",
        "ns",
        [Contestant("kinetic-auth: source.authenticate()", functools.partial(per_call_ns, sends_nothing.authenticate))],
        note="CPU time of a call out of 2,000, with a provider that sends nothing.",
    )
    yield Comparison(
        "read the live session",
        "ns",
        [Contestant(name, functools.partial(per_call_ns, call)) for name, call in _reads(org).items()],
        note="CPU time of a call out of 2,000. azure-identity is left out: it has no credential that is live without "
        "a login at Microsoft.",
    )


@attrs.frozen
class _SendsNothing:
    """A provider whose session is there already."""

    session: kinetic.SalesforceSession = attrs.field(
        init=False, factory=lambda: kinetic.SalesforceSession("token", "https://acme.my.salesforce.com", "", "0")
    )

    @kinetic.hookimpl
    def authenticate(self, request: kinetic.LoginRequest | None = None) -> kinetic.SalesforceSession:  # noqa: ARG002 - the hook's
        """The session."""
        return self.session


def _floor(org: Org) -> Callable[[], Any]:
    session, login_url = requests.Session(), org.settings["login_url"]
    signer = read_private_key(Path(org.settings["private_key_path"]))

    def log_in() -> object:
        assertion = sign_assertion(
            signer,
            issuer=org.settings["client_id"],
            subject=org.settings["username"],
            audience=login_url,
            now=time.time(),
        )
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        return session.post(f"{login_url}/services/oauth2/token", data=form).json()["access_token"]

    return log_in


def _reads(org: Org) -> dict[str, Callable[[], Any]]:
    """Each gives what a request needs, of a credential that is live for hours."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(hours=10)
    source = kinetic.resolve("jwt-bearer", **org.settings)
    source.session()
    of_google = google.oauth2.credentials.Credentials("token", expiry=end.replace(tzinfo=None))
    of_aws = botocore.credentials.RefreshableCredentials("id", "key", "token", end, refresh_using=dict, method="none")
    of_openstack = keystoneauth1.identity.v3.Token("http://127.0.0.1", "token")
    body = {"token": {"expires_at": end.isoformat(), "issued_at": end.isoformat(), "methods": ["token"]}}
    of_openstack.auth_ref = keystoneauth1.access.access.AccessInfoV3(body, auth_token="token")  # noqa: S106 - no secret
    headers: dict[str, str] = {}
    return {
        "google-auth: before_request()": lambda: of_google.before_request(None, "GET", "https://example.com", headers),
        "kinetic-auth: source.session()": source.session,
        "botocore: get_frozen_credentials()": of_aws.get_frozen_credentials,
        "keystoneauth1: get_token()": lambda: of_openstack.get_token(None),
        "floor: two clocks": lambda: (time.monotonic(), time.time()),
    }
