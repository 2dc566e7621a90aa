"""Tokens that expire during a burst of calls: one login each, and no caller gets a 401."""

import asyncio
import importlib.util
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import attrs
import httpx
import pytest
import requests
import requests.adapters

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.httpx import SalesforceAuth as HttpxAuth
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.testing import SalesforceEmulator

REVOCATIONS: Final = 5
LIMITS: Final = "/services/data/v62.0/limits"


@attrs.define
class Revoker:
    """Revokes all tokens during the calls, five times, at equal intervals.

    A call that is being made again for one revocation must not meet the next: it would be refused twice, rightly. So
    the next one waits until every caller has finished a call that it began after the last. By then the new session is
    live for all of them, and no call in progress is repeated. Callers that are far ahead wait for the others.
    """

    sf: SalesforceEmulator
    callers: int
    calls: int
    revoked: int = 0
    begun: int = 0
    finished: int = 0
    _latest: dict[int, int] = attrs.field(factory=dict)  # by caller: the number of revocations when the call began
    _settled: dict[int, int] = attrs.field(factory=dict)

    @property
    def _next(self) -> float:
        """The number of calls that the next revocation comes after."""
        return self.calls * (self.revoked + 1) / (REVOCATIONS + 1)

    def may_begin(self, caller: int) -> bool:
        """Whether the caller may begin; also if no call is left."""
        behind = self._latest.get(caller) != self.revoked
        ahead = self.begun >= 1.1 * self._next
        return behind or not ahead or self.revoked == REVOCATIONS or self.begun == self.calls

    def begin(self, caller: int) -> bool:
        """Begin a call; False if all have been made."""
        if self.begun == self.calls:
            return False
        self.begun += 1
        self._latest[caller] = self.revoked
        return True

    def done(self, caller: int) -> bool:
        """A call is finished.

        Returns:
            Whether the waiting callers should check again.
        """
        self.finished += 1
        self._settled[caller] = self._latest[caller]
        settled = len(self._settled) == self.callers and min(self._settled.values()) == self.revoked
        if settled and self.revoked < REVOCATIONS and self.finished >= self._next:
            self.revoked += 1
            self.sf.revoke_all()
            return True
        return self.begun == self.calls


def test_no_call_of_64_threads_fails_when_five_tokens_expire(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    callers, calls = 64, 2_000
    revoker, turn = Revoker(sf, callers, calls), threading.Condition()
    statuses: list[int] = []
    with requests.Session() as http:
        http.auth = SalesforceAuth(source)
        http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=callers))

        def call_on(caller: int) -> None:
            while True:
                with turn:
                    assert turn.wait_for(lambda: revoker.may_begin(caller), 60)
                    if not revoker.begin(caller):
                        return
                statuses.append(http.get(sf.url + LIMITS, timeout=60).status_code)
                with turn:
                    if revoker.done(caller):
                        turn.notify_all()

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(call_on, range(callers)))
    assert statuses == [200] * calls
    assert (revoker.revoked, sf.token_requests) == (REVOCATIONS, 1 + REVOCATIONS)
    assert sf.count("GET", LIMITS, 401) >= REVOCATIONS


def test_no_call_of_100_tasks_fails_when_five_tokens_expire(
    sf: SalesforceEmulator, source: kinetic.SessionSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("sniffio") is None:
        monkeypatch.setitem(sys.modules, "sniffio", None)  # or httpcore looks for it on disk at each of its locks
    callers, calls = 100, 700
    revoker = Revoker(sf, callers, calls)
    statuses: list[int] = []

    async def run() -> None:
        turn = asyncio.Condition()
        limits = httpx.Limits(max_connections=12, max_keepalive_connections=12)  # its pool takes time for each
        async with httpx.AsyncClient(auth=HttpxAuth(source), timeout=60, limits=limits, trust_env=False) as http:

            async def call_on(caller: int) -> None:
                while True:
                    async with turn:
                        await turn.wait_for(lambda: revoker.may_begin(caller))
                        if not revoker.begin(caller):
                            return
                    statuses.append((await http.get(sf.url + LIMITS)).status_code)
                    async with turn:
                        if revoker.done(caller):
                            turn.notify_all()

            await asyncio.gather(*map(call_on, range(callers)))

    asyncio.run(run())
    assert statuses == [200] * calls
    assert (revoker.revoked, sf.token_requests) == (REVOCATIONS, 1 + REVOCATIONS)
    assert sf.count("GET", LIMITS, 401) >= REVOCATIONS
