"""The org without HTTP, as tests use it: users, apps, policy, time, tokens and login history."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from kinetic_auth_core.testing.emulator.admission import REFRESH_SCOPES
from kinetic_auth_core.testing.emulator.keys import check_certificate
from kinetic_auth_core.testing.emulator.models import (
    CLIENT_CREDENTIALS,
    FLOWS,
    SYSTEM_RANDOM,
    App,
    LoginRecord,
    Policy,
    User,
    listed,
    new_id,
)
from kinetic_auth_core.testing.emulator.org import Org, scope_of
from kinetic_auth_core.testing.emulator.sobjects import SObjects


class OrgAdministration:
    """One org; the part of `SalesforceEmulator` that needs no network.

    Args:
        clock: Returns the time in Unix seconds; `advance` adds to it.
        records_kept: How many rows of login history to keep.
        source: What ids are drawn from.

    Attributes:
        policy: The org's settings, to change at will.
        identity_provider: Issues the subject tokens that the handler of `default.app` takes.
    """

    def __init__(self, clock: Callable[[], float], records_kept: int, source: random.Random = SYSTEM_RANDOM) -> None:
        self._source_of_time = clock
        self._ahead_s = 0.0
        self._org = Org(self.now, records_kept, source)
        self._ids = random.Random(source.random())  # noqa: S311 - no secrets; and the order of records moves no secret
        self._data = SObjects(self._org, self._ids)
        self.policy: Policy = self._org.policy
        self.identity_provider = self._org.identity_provider

    @property
    def org_id(self) -> str:
        """The id of the org, 18 characters."""
        return self._org.id

    # The time

    def now(self) -> float:
        """The emulator's time, in Unix seconds; the `Date` of its answers shows it too."""
        return self._source_of_time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Set the emulator's clock forward by so many seconds, or back by a negative number."""
        self._ahead_s += seconds

    # Users, apps and records

    @property
    def users(self) -> list[User]:
        """Its users, whose records can be changed."""
        return list(self._org.users.values())

    @property
    def apps(self) -> list[App]:
        """Its apps, whose records can be changed."""
        return list(self._org.apps.values())

    def add_user(
        self, username: str, password: str | None = None, security_token: str | None = None, **settings: Any
    ) -> User:
        """Create a user: their record, which can be changed at will. None for a secret makes one up.

        Args:
            username: The login name.
            password: The password.
            security_token: The security token.
            **settings: Further fields of `User`.

        Raises:
            ValueError: A user of that name exists.
        """
        if not username or not isinstance(username, str):
            raise ValueError("a user has a username")
        user = User(
            username=username,
            id=settings.pop("id", None) or new_id("005", self._ids),
            password=secrets.token_urlsafe(12) if password is None else password,
            security_token=secrets.token_urlsafe(18) if security_token is None else security_token,
            **settings,
        )
        with self._org.lock:
            if self._org.find_user(username) is not None:
                raise ValueError(f"a user {username} already exists")
            self._org.users[username.lower()] = user
        return user

    def add_app(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        certificates: Iterable[str] = (),
        flows: Iterable[str] = FLOWS,
        scopes: Iterable[str] = ("api",),
        preauthorised: Iterable[str] = (),
        **settings: Any,
    ) -> App:
        """Create an app: its record, which can be changed at will. None for key or secret makes one up.

        Args:
            client_id: The consumer key.
            client_secret: The consumer secret.
            certificates: The certificates to upload, PEM.
            flows: The flows to enable, of `FLOWS`.
            scopes: The OAuth scopes to select.
            preauthorised: Usernames that an administrator has approved.
            **settings: Further fields of `App`.

        Raises:
            ValueError: An app with that consumer key exists, a flow is unknown, or a certificate is not acceptable.
        """
        app = App(
            client_id=f"3MVG9{secrets.token_urlsafe(60)}" if client_id is None else client_id,
            client_secret=secrets.token_hex(32).upper() if client_secret is None else client_secret,
            flows=flows,
            scopes=scopes,
            preauthorised=preauthorised,
            **settings,
        )
        for pem in listed(certificates):
            self.upload_certificate(app, pem)
        with self._org.lock:
            if app.client_id in self._org.apps:
                raise ValueError("an app with that consumer key already exists")
            self._org.apps[app.client_id] = app
        return app

    def upload_certificate(self, app: App, pem: str, *, replace: bool = False) -> None:
        """Upload a certificate (PEM) to an app, besides the existing ones or to replace them.

        Raises:
            ValueError: It is larger than 4 KB, not an X.509 certificate, without an RSA key of 2048 bits, or expired.
        """
        uploaded = check_certificate(pem, self.now())
        app.certificates = [uploaded] if replace else [*app.certificates, uploaded]

    def add_records(self, kind: str, *records: dict[str, Any]) -> list[str]:
        """Add records of an object such as `Contact`, given by their fields without `Id`; return their ids.

        The data begin with five accounts. An object or a field that is new is added as well.
        """
        return [self._data.insert(kind, record) for record in records]

    def issue_access_token(self, app: App, user: User) -> str:
        """Issue an access token without a request, as for something else than the code under test."""
        return self._org.open_session(user, app, CLIENT_CREDENTIALS).token

    def grant_refresh_token(self, app: App, user: User) -> str:
        """Grant a refresh token, as a login through the browser would.

        Raises:
            ValueError: The app has none of the scopes `refresh_token`, `offline_access` and `full`.
        """
        if not app.scopes & REFRESH_SCOPES:
            raise ValueError("the app has no scope for refresh tokens: add refresh_token")
        return self._org.new_refresh_grant(user, app, scope_of(app)).token

    # Tokens and history

    def revoke(self, token: str) -> bool:
        """Void one token, as an administrator would; return whether it was alive."""
        return self._org.revoke(token)

    def expire(self, token: str) -> bool:
        """Expire one access token, as if unused for too long; return whether it was alive."""
        return self._org.expire(token)

    def revoke_all(self) -> int:
        """Void every access and refresh token; return how many access tokens there were."""
        return self._org.drop_sessions(refresh_tokens=True)

    def expire_all(self) -> int:
        """Expire every access token, as if unused for too long; return how many there were."""
        return self._org.drop_sessions(refresh_tokens=False)

    def is_live(self, token: str) -> bool:
        """Whether an access token is alive; asking does not count as a use of it."""
        return self._org.peek(token) is not None

    def holder_of(self, token: str) -> tuple[str, str] | None:
        """The username and the consumer key that an access token was issued to; None if it is not alive."""
        session = self._org.peek(token)
        return None if session is None else (session.user.username, session.app.client_id)

    @property
    def history(self) -> list[LoginRecord]:
        """The login history, oldest first."""
        with self._org.lock:
            return list(self._org.history)
