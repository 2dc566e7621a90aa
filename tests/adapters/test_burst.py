"""Tokens that die in the middle of a burst: one login each, and no caller sees a 401."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import attrs
import httpx
import requests
import requests.adapters

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.httpx import SalesforceAuth as HttpxAuth
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.testing import SalesforceEmulator

CALLS: Final = 2_000
REVOCATIONS: Final = 5
LIMITS: Final = "/services/data/v62.0/limits"


@attrs.define
class Revoker:
    """Voids all tokens while calls are under way, five times, with some 300 calls between two of them.

    A call that is being made again for one revocation must not meet the next: it would be refused twice, rightly. So the
    next one waits until every caller has finished a call that it began after the last. By then the new session is live
    for all of them, and whoever is on the way has sent nothing twice. Callers who are far ahead wait for those behind.
    """

    sf: SalesforceEmulator
    callers: int
    revoked: int = 0
    begun: int = 0
    finished: int = 0
    _seen: dict[int, int] = attrs.field(factory=dict)

    def may_begin(self) -> bool:
        """Whether there is another call to make, by now; also where there is none."""
        return self.begun >= CALLS or self.revoked == REVOCATIONS or self.begun < 350 * (self.revoked + 1)

    def begin(self) -> int | None:
        """How often tokens have been revoked before the call that begins; None if all calls have been made."""
        if self.begun == CALLS:
            return None
        self.begun += 1
        return self.revoked

    def done(self, caller: int, revoked_when_begun: int) -> None:
        """A call is finished."""
        self.finished += 1
        self._seen[caller] = revoked_when_begun
        settled = len(self._seen) == self.callers and min(self._seen.values()) == self.revoked
        if settled and self.revoked < REVOCATIONS and self.finished >= 300 * (self.revoked + 1):
            self.revoked += 1
            self.sf.revoke_all()


def test_64_threads_lose_five_tokens_and_no_call(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    callers = 64
    revoker, turn = Revoker(sf, callers), threading.Condition()
    statuses: list[int] = []
    with requests.Session() as http:
        http.auth = SalesforceAuth(source)
        http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=callers))

        def call_on(caller: int) -> None:
            while True:
                with turn:
                    assert turn.wait_for(revoker.may_begin, 60)
                    revoked = revoker.begin()
                if revoked is None:
                    return
                statuses.append(http.get(sf.url + LIMITS, timeout=60).status_code)
                with turn:
                    revoker.done(caller, revoked)
                    turn.notify_all()

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(call_on, range(callers)))
    assert statuses == [200] * CALLS
    assert (revoker.revoked, sf.token_requests) == (REVOCATIONS, 1 + REVOCATIONS)
    assert sf.count("GET", LIMITS, 401) >= REVOCATIONS


def test_200_tasks_lose_five_tokens_and_no_call(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    callers = 200
    revoker = Revoker(sf, callers)
    statuses: list[int] = []

    async def run() -> None:
        turn = asyncio.Condition()
        limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
        async with httpx.AsyncClient(auth=HttpxAuth(source), timeout=60, limits=limits, trust_env=False) as http:

            async def call_on(caller: int) -> None:
                while True:
                    async with turn:
                        await turn.wait_for(revoker.may_begin)
                        revoked = revoker.begin()
                    if revoked is None:
                        return
                    statuses.append((await http.get(sf.url + LIMITS)).status_code)
                    async with turn:
                        revoker.done(caller, revoked)
                        turn.notify_all()

            await asyncio.gather(*map(call_on, range(callers)))

    asyncio.run(run())
    assert statuses == [200] * CALLS
    assert (revoker.revoked, sf.token_requests) == (REVOCATIONS, 1 + REVOCATIONS)
    assert sf.count("GET", LIMITS, 401) >= REVOCATIONS
