"""How the next session is obtained: from the store, or by one login for all processes that share the store.

Sharing within the process is handled by `single_flight`.
"""

import logging
import random
import time
import uuid
from collections import deque

from kinetic_auth_core.login.flow import LoginFlow
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.stores.session_cache import CachedSession, Freshness, Lease, SessionCache

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_REMEMBERED = 32  # tokens


class Refresher:
    """Finds or makes the next session.

    Args:
        cache: Where the session is kept for others.
        flow: Logs in.
        lifetime_s: The assumed lifetime of a session, in seconds.
    """

    def __init__(self, cache: SessionCache, flow: LoginFlow, lifetime_s: float) -> None:
        self._cache = cache
        self._flow = flow
        self._lifetime_s = lifetime_s
        self._dead: deque[str] = deque(maxlen=_REMEMBERED)
        self._made_here: deque[str] = deque(maxlen=_REMEMBERED)

    def mark_dead(self, session: SalesforceSession) -> bool:
        """Mark a session as dead, so that it is not read from the store again.

        Returns:
            True the first time.
        """
        is_news = session.access_token not in self._dead
        if is_news:
            self._dead.append(session.access_token)
        return is_news

    def forget(self, session: SalesforceSession) -> None:
        """Delete a dead session from the store, so that no other process finds it there."""
        self._cache.forget(session)

    def next_session(self) -> CachedSession:
        """A session that is neither dead nor expired: the one in the store, else a new one.

        While another process logs in, this waits for its result, but no longer than a lease lasts.

        Raises:
            KineticAuthError: The login failed.
        """
        holder, pause_s = uuid.uuid4().hex, _FIRST_PAUSE_S
        give_up_at = time.monotonic() + self._cache.lease_s + _LONGEST_PAUSE_S
        while True:
            if cached := self.cached():
                return cached
            if (lease := self._cache.acquire(holder)) is not None:
                return self._under_lease(lease, younger_than=None)
            if time.monotonic() >= give_up_at:  # others fail one after the other, or the store frees no lease
                waited_s = self._cache.lease_s
                logger.warning("waited %.0f s for another process's login; logging in without the lease", waited_s)
                return self._log_in()
            time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load, hides nothing
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def refresh(self, stale: CachedSession) -> CachedSession | None:
        """A session younger than a stale one; None while another process is refreshing it.

        Raises:
            KineticAuthError: The login failed.
        """
        if cached := self.cached(younger_than=stale):
            return cached
        lease = self._cache.acquire(uuid.uuid4().hex)
        return self._under_lease(lease, younger_than=stale) if lease else None

    def was_made_here(self, session: SalesforceSession) -> bool:
        """Whether a session comes from a login of this source and not from the store."""
        return session.access_token in self._made_here

    def _under_lease(self, lease: Lease, younger_than: CachedSession | None) -> CachedSession:
        try:
            return self.cached(younger_than) or self._log_in()  # it may be stored between the look and the lease
        finally:
            self._cache.release(lease)

    def _log_in(self) -> CachedSession:
        made = CachedSession.of(self._flow.login(), self._lifetime_s)
        token = made.session.access_token
        if token in self._dead:  # Salesforce may hand back the same session, alive again
            self._dead.remove(token)
        self._made_here.append(token)
        self._cache.write(made)
        return made

    def cached(self, younger_than: CachedSession | None = None) -> CachedSession | None:
        """The session in the store, if it can be used; without a login.

        Args:
            younger_than: It must be younger than this one, and fresh.
        """
        cached = self._cache.read()
        if cached is None or cached.freshness() is Freshness.EXPIRED or cached.session.access_token in self._dead:
            return None
        if younger_than is not None and (
            cached.freshness() is Freshness.STALE or cached.born_at <= younger_than.born_at
        ):
            return None
        return cached
