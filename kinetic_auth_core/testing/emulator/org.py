"""The state of one emulated org: users, apps, live tokens, login history. Without HTTP.

Every change is made under one lock; a REST call takes it once.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import hmac
import ipaddress
import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from kinetic_auth_core.testing.emulator import error_rows as rows
from kinetic_auth_core.testing.emulator.error_rows import OAuthError
from kinetic_auth_core.testing.emulator.identity_provider import IdentityProvider
from kinetic_auth_core.testing.emulator.records import App, LoginRecord, Policy, RefreshToken, Session, User, new_id

HOUR_S: Final = 3600


class Org:
    """Users, apps, policy, tokens and login history of one org.

    Args:
        clock: Returns the time in Unix seconds.
        history_size: Rows of login history to keep; older ones are dropped.
    """

    def __init__(self, clock: Callable[[], float], history_size: int) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.id = new_id("00D")
        self.policy = Policy()
        self.users: dict[str, User] = {}
        self.apps: dict[str, App] = {}
        self.sessions: dict[str, Session] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.history: deque[LoginRecord] = deque(maxlen=history_size)
        self.url = ""
        self.identity_provider = IdentityProvider(clock, lambda: self.url)

    @functools.cached_property
    def signing_key(self) -> rsa.RSAPrivateKey:
        """The key of its JWT access tokens."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def instance_url(self) -> str:
        """The `instance_url` of answers, without a final slash."""
        return self.policy.instance_url or self.url

    def identity_url(self, user: User) -> str:
        """The identity URL of a user, which is the `id` of a token answer."""
        return f"{self.policy.identity_host or self.url}/id/{self.id}/{user.id}"

    def find_user(self, username: str) -> User | None:
        """The user of that name (case-insensitive), or None."""
        return self.users.get(username.lower())

    # Logging in

    def check_login(self, user: User, app: App, ip: str) -> None:
        """Check what every login of a user requires, in any flow.

        Args:
            user: The user.
            app: The app.
            ip: The client's address.

        Raises:
            OAuthError: The user is inactive, outside their networks or hours, or over the hourly rate.
        """
        if not user.active:
            raise OAuthError(*rows.INACTIVE_USER, history="User is Inactive")
        now = self.clock()
        outside = not (app.relax_ip or _within_ranges(ip, user.ip_ranges))
        untimely = not _within_hours(now, user.login_hours)
        if outside and untimely:
            raise OAuthError(*rows.IP_OR_LOGIN_HOURS, history="Restricted IP")
        if outside:
            raise OAuthError(*rows.IP_RESTRICTED, history="Restricted IP")
        if untimely:
            raise OAuthError(*rows.LOGIN_HOURS, history="Restricted Time Period")
        with self.lock:
            recent = user.recent_logins
            while recent and recent[0] <= now - HOUR_S:
                recent.popleft()
            if len(recent) >= self.policy.logins_per_hour:
                raise OAuthError(*rows.LOGIN_RATE, history="LOGIN_RATE_EXCEEDED")
            recent.append(now)

    def open_session(self, user: User, app: App, grant: str, refresh_token: str | None = None) -> Session:
        """Issue an access token, or return the live one if the policy shares sessions.

        Args:
            user: Its user.
            app: The app it is issued to.
            grant: The flow that led to it, by its name in `FLOWS`.
            refresh_token: The refresh token it came from, if any.

        Returns:
            The session.
        """
        now = self.clock()
        with self.lock:
            if self.policy.reuse_sessions:
                for session in self.sessions.values():
                    if session.user is user and session.app is app and self._alive(session, now):
                        session.last_used = now
                        return session
            session = Session(
                token=self._new_token(user, app, now),
                user=user,
                app=app,
                grant=grant,
                scope=" ".join(sorted(app.scopes)),
                issued_at=now,
                last_used=now,
                refresh_token=refresh_token,
            )
            self.sessions[session.token] = session
            return session

    def sign(self, app: App, identity: str, issued_at: str) -> str:
        """The `signature` of a token answer: Base64 of an HMAC-SHA256 over the identity URL and the time of issue."""
        digest = hmac.digest(app.client_secret.encode(), f"{identity}{issued_at}".encode(), hashlib.sha256)
        return base64.b64encode(digest).decode("ascii")

    def new_refresh_token(self, user: User, app: App) -> RefreshToken:
        """Grant a refresh token to an app for a user."""
        granted = RefreshToken(f"5Aep{secrets.token_urlsafe(48)}", user, app, self.clock())
        with self.lock:
            self.refresh_tokens[granted.token] = granted
        return granted

    # Tokens in use

    def use(self, token: str) -> Session | None:
        """Find the session of an access token and count this as a use of it.

        Args:
            token: The access token.

        Returns:
            The session, or None if it is dead or unknown.
        """
        with self.lock:
            session = self.peek(token)
            if session is not None:
                session.last_used = self.clock()
            return session

    def peek(self, token: str) -> Session | None:
        """Find the session of an access token without counting it as a use."""
        with self.lock:
            session = self.sessions.get(token)
            if session is not None and not self._alive(session, self.clock()):
                del self.sessions[token]
                return None
            return session

    def revoke(self, token: str) -> bool:
        """Void an access token, or a refresh token with all access tokens that came from it.

        Args:
            token: Either kind of token.

        Returns:
            Whether there was such a token.
        """
        with self.lock:
            if self.refresh_tokens.pop(token, None) is None:
                return self.peek(token) is not None and self.sessions.pop(token, None) is not None
            for session in [each for each in self.sessions.values() if each.refresh_token == token]:
                del self.sessions[session.token]
            return True

    def drop_sessions(self, *, refresh_tokens: bool) -> int:
        """Void every access token, and every refresh token if asked to; return how many access tokens there were."""
        with self.lock:
            count = len(self.sessions)
            self.sessions.clear()
            if refresh_tokens:
                self.refresh_tokens.clear()
            return count

    def _alive(self, session: Session, now: float) -> bool:
        return session.user.active and now - session.last_used <= self.policy.session_timeout_s

    def _new_token(self, user: User, app: App, now: float) -> str:
        if not self.policy.jwt_access_tokens:
            return f"{self.id[:15]}!AQ{secrets.token_urlsafe(72)}"
        claims: dict[str, Any] = {
            "iss": self.instance_url,
            "sub": f"uid:{user.id}",
            "aud": [self.instance_url],
            "client_id": app.client_id,
            "scp": sorted(app.scopes),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + self.policy.session_timeout_s),
            "jti": secrets.token_urlsafe(16),
        }
        return jwt.encode(claims, self.signing_key, algorithm="RS256", headers={"kid": self.id})


def _within_ranges(ip: str, ranges: tuple[str, ...]) -> bool:
    address = ipaddress.ip_address(ip)
    return not ranges or any(address in ipaddress.ip_network(each) for each in ranges)


def _within_hours(now: float, hours: tuple[dt.time, dt.time] | None) -> bool:
    if hours is None:
        return True
    first, last = hours
    time_of_day = dt.datetime.fromtimestamp(now, dt.UTC).time()
    if first <= last:
        return first <= time_of_day <= last
    return time_of_day >= first or time_of_day <= last
