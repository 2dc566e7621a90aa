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
import random
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.identity_provider import IdentityProvider
from kinetic_auth_core.testing.emulator.models import (
    SYSTEM_RANDOM,
    App,
    AuthorizationCode,
    LoginRecord,
    Policy,
    RefreshGrant,
    Session,
    User,
    new_id,
)
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError

HOUR_S: Final = 3600


class Org:
    """Users, apps, policy, tokens and login history of one org."""

    def __init__(self, clock: Callable[[], float], history_size: int, source: random.Random = SYSTEM_RANDOM) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.id = new_id("00D", source)
        self.policy = Policy()
        self.users: dict[str, User] = {}
        self.apps: dict[str, App] = {}
        self.sessions: dict[str, Session] = {}
        self.refresh_grants: dict[str, RefreshGrant] = {}  # by each of its tokens, the spent ones too
        self.codes: dict[str, AuthorizationCode] = {}
        self.history: deque[LoginRecord] = deque(maxlen=history_size)
        self.own_url = ""
        self.asked_url: ContextVar[str] = ContextVar("asked_url")
        self.identity_provider = IdentityProvider(clock, lambda: self.url)

    @functools.cached_property
    def signing_key(self) -> rsa.RSAPrivateKey:
        """The key of its JWT access tokens."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def url(self) -> str:
        """Its address: as the current request has it where it listens on every interface, else its own."""
        return self.asked_url.get(self.own_url)

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
        """Check what every login of a user requires, in any flow: networks, hours, and the rate of an hour."""
        if not user.active:
            raise OAuthError(*errors.INACTIVE_USER, history="User is Inactive")
        now = self.clock()
        ranges = [user.ip_ranges, self.policy.ip_ranges]
        outside = not (app.relax_ip or all(_within_ranges(ip, each) for each in ranges))
        untimely = not all(_within_hours(now, each) for each in (user.login_hours, self.policy.login_hours))
        if outside and untimely:
            raise OAuthError(*errors.IP_OR_LOGIN_HOURS, history="Restricted IP")
        if outside:
            raise OAuthError(*errors.IP_RESTRICTED, history="Restricted IP")
        if untimely:
            raise OAuthError(*errors.LOGIN_HOURS, history="Restricted Time Period")
        with self.lock:
            recent = user.recent_logins
            while recent and recent[0] <= now - HOUR_S:
                recent.popleft()
            if len(recent) >= self.policy.logins_per_hour:
                raise OAuthError(*errors.LOGIN_RATE, history="LOGIN_RATE_EXCEEDED")
            recent.append(now)

    def record_login(
        self, grant_type: str, ip: str, status: str, username: str | None = None, client_id: str | None = None
    ) -> None:
        """Add a row to the login history."""
        self.history.append(
            LoginRecord(
                time=self.clock(), username=username, client_id=client_id, grant_type=grant_type, ip=ip, status=status
            )
        )

    def open_session(self, user: User, app: App, flow: str, refresh_grant: RefreshGrant | None = None) -> Session:
        """Issue an access token, or return the live one if the policy shares sessions."""
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
                flow=flow,
                scope=refresh_grant.scope if refresh_grant else scope_of(app),
                issued_at=now,
                last_used=now,
                refresh_grant=refresh_grant,
            )
            self.sessions[session.token] = session
            return session

    def sign(self, app: App, identity: str, issued_at: str) -> str:
        """The `signature` of a token answer: Base64 of an HMAC-SHA256 over the identity URL and the time of issue."""
        digest = hmac.digest(app.client_secret.encode(), f"{identity}{issued_at}".encode(), hashlib.sha256)
        return base64.b64encode(digest).decode("ascii")

    def new_code(self, user: User, app: App, scope: str, redirect_uri: str, challenge: str | None) -> str:
        """Issue an authorization code."""
        code = f"aPrx{secrets.token_urlsafe(48)}=="  # as Salesforce's end, so that a client has to decode them
        end = self.clock() + self.policy.code_lifetime_s
        with self.lock:
            self.codes[code] = AuthorizationCode(user, app, scope, redirect_uri, challenge, end)
        return code

    def new_refresh_grant(self, user: User, app: App, scope: str, token: str | None = None) -> RefreshGrant:
        """Grant a refresh token to an app for a user; made up if None."""
        granted = RefreshGrant(token or _new_refresh_token(), user, app, scope, self.clock())
        with self.lock:
            self.refresh_grants[granted.token] = granted
        return granted

    def rotate(self, granted: RefreshGrant) -> None:
        """Replace the refresh token of a grant; the one before is spent."""
        with self.lock:
            granted.spent.add(granted.token)
            granted.token = _new_refresh_token()
            self.refresh_grants[granted.token] = granted

    def revoke_grant(self, granted: RefreshGrant) -> None:
        """Void the refresh token of a grant and all access tokens that came from it."""
        with self.lock:
            for token in granted.spent | {granted.token}:
                self.refresh_grants.pop(token, None)
            for session in [each for each in self.sessions.values() if each.refresh_grant is granted]:
                del self.sessions[session.token]

    # Tokens in use

    def use(self, token: str) -> Session | None:
        """Find the session of an access token, None if it is dead or unknown, and count this as a use of it."""
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
        """Void an access token, or a refresh token with its access tokens; return whether there was such a token."""
        with self.lock:
            granted = self.refresh_grants.get(token)
            if granted is None or granted.token != token:
                return self.expire(token)
            self.revoke_grant(granted)
            return True

    def expire(self, token: str) -> bool:
        """Void an access token, and nothing else; return whether it was alive."""
        with self.lock:
            return self.peek(token) is not None and self.sessions.pop(token, None) is not None

    def drop_sessions(self, *, refresh_tokens: bool) -> int:
        """Void every access token, and every refresh token if asked to; return how many access tokens there were."""
        with self.lock:
            count = len(self.sessions)
            self.sessions.clear()
            if refresh_tokens:
                self.refresh_grants.clear()
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


def scope_of(app: App) -> str:
    """All scopes of an app, as the `scope` of an answer."""
    return " ".join(sorted(app.scopes))


def newest_version(now: float) -> int:
    """The newest API version: three a year, 66 of them in Spring '26 (February, June, October)."""
    date = dt.datetime.fromtimestamp(now, dt.UTC)
    return max(66, 66 + 3 * (date.year - 2026) + (date.month - 2) // 4)


def _new_refresh_token() -> str:
    return f"5Aep{secrets.token_urlsafe(48)}"


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
