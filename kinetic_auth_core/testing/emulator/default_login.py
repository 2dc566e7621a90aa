"""A working login, for tests that need any."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from typing import Any

import attrs

from kinetic_auth_core.testing.emulator.administration import OrgAdministration
from kinetic_auth_core.testing.emulator.exchange import TokenHandler
from kinetic_auth_core.testing.emulator.identity_provider import AUDIENCE
from kinetic_auth_core.testing.emulator.keys import KeyPair, new_key_pair
from kinetic_auth_core.testing.emulator.models import SYSTEM_RANDOM, App, User, new_id, new_text

WEB_LOGIN_REDIRECT = "http://localhost:1717/OauthRedirect"
"""The redirect of the default app: that of `web-login` and of the `sf` command."""

_DAYS = 36_500
"""How long its certificate is valid: also for a test that sets the clock years ahead."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "password": ("client_id", "client_secret", "username", "password", "security_token"),
    "jwt-bearer": ("client_id", "username", "private_key"),
    "client-credentials": ("client_id", "client_secret"),
    "refresh-token": ("client_id", "client_secret"),
    "web-login": ("client_id", "client_secret", "username"),
    "token-exchange": ("client_id", "subject_token"),
}
_CALLED: Mapping[str, str] = {"private_key": "private_key_pem"}


@attrs.frozen(kw_only=True)
class DefaultLogin:
    """A user and an app that every flow accepts, with everything needed to log in. No secret is shown by `repr`.

    Args:
        client_id: The consumer key.
        client_secret: The consumer secret.
        username: The user.
        password: Their password, without the security token.
        security_token: Their security token.
        private_key_pem: The key whose certificate is uploaded to the app.
        subject_token: A token of the identity provider, which lives for a day.
        user: The user's record, to change at will.
        app: The app's record, likewise.
    """

    client_id: str
    client_secret: str = attrs.field(repr=False)
    username: str
    password: str = attrs.field(repr=False)
    security_token: str = attrs.field(repr=False)
    private_key_pem: str = attrs.field(repr=False)
    subject_token: str = attrs.field(repr=False)
    user: User = attrs.field(repr=False)
    app: App = attrs.field(repr=False)

    def settings(self, provider: str) -> dict[str, Any]:
        """The settings that a provider needs to log in, except the login URL and the refresh token.

        Raises:
            ValueError: They are not known for this provider.
        """
        if provider not in _NEEDED:
            raise ValueError(
                f"only the settings of {', '.join(_NEEDED)} are known, not those of {provider!r}; take what it needs "
                "from emulator.default (client_id, client_secret, username, ...) and emulator.url"
            )
        return {name: getattr(self, _CALLED.get(name, name)) for name in _NEEDED[provider]}


def make_default_login(
    org: OrgAdministration,
    keys: KeyPair,
    user: User | None = None,
    app: App | None = None,
    source: random.Random | None = None,
) -> DefaultLogin:
    """Create a user and an app that every flow accepts, the app with the certificate of `keys`."""
    draw = source or SYSTEM_RANDOM
    user = user or org.add_user(
        f"default-{new_text(8, draw).lower()}@emulator.example", new_text(16, draw), new_text(24, draw),
        id=new_id("005", draw),
    )  # fmt: skip
    app = app or org.add_app(
        f"3MVG9{new_text(80, draw)}",
        new_text(64, draw).upper(),
        certificates=[keys.certificate_pem],
        scopes={"api", "id", "refresh_token"},
        permitted_users="self",
        redirect_uris={WEB_LOGIN_REDIRECT},
        run_as=user.username,
    )
    app.preauthorised |= {user.username.lower()}
    issuer, subject = org.identity_provider, f"system:serviceaccount:acme:{user.username.partition('@')[0]}"
    app.token_handlers = app.token_handlers or [
        TokenHandler(name="DefaultHandler", issuer=issuer.issuer, audience=AUDIENCE, keys=issuer.jwks)
    ]
    app.token_handlers[0].subjects[subject] = user.username
    return DefaultLogin(
        client_id=app.client_id,
        client_secret=app.client_secret,
        username=user.username,
        password=user.password,
        security_token=user.security_token,
        private_key_pem=keys.private_key_pem,
        subject_token=issuer.issue(subject, exp=int(org.now()) + 86_400),
        user=user,
        app=app,
    )


def default_key_pair(source: random.Random | None) -> KeyPair:
    """The key pair of all default logins of an emulator; without a source, of all emulators of a process."""
    return _shared_key_pair() if source is None else new_key_pair(days=_DAYS, source=source)


@functools.cache
def _shared_key_pair() -> KeyPair:
    return new_key_pair(days=_DAYS)
