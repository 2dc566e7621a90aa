"""A token endpoint that rotates refresh tokens, strictly: presenting a spent token ends the grant.

It keeps a record of every presentation, and can fail at chosen points. `rotation.py` and the tests of states use it.
"""

import collections
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

Fault = Callable[["_Handler", dict[str, str]], bool]


class RotatingOrg:
    """An org with one app. Start it with `with`.

    Attributes:
        presented: How often each refresh token was presented.
        issued: How many refresh tokens were issued.
        kept: Which of the refresh tokens are valid.
        refusals: How many requests were refused.
        life_s: Seconds that an access token lives.
    """

    def __init__(self, life_s: float = 7200.0, port: int = 0) -> None:
        self.life_s = life_s
        self.presented: collections.Counter[str] = collections.Counter()
        self.requests: list[dict[str, str]] = []
        self.families: dict[str, int] = {}
        self.kept: set[str] = set()
        self.spent: set[str] = set()
        self.dead_families: set[int] = set()
        self.unanswered: set[str] = set()
        self.refusals = 0
        self.rotates = True
        self._serial = 0
        self._faults: collections.deque[Fault] = collections.deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.org = self  # type: ignore[attr-defined]  # its handlers find the org there
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def consent(self) -> str:
        """Begin a grant, as a login in the browser does; its first refresh token."""
        with self._lock:
            return self._issue(len(self.families))

    def fail_next(self, *faults: Fault) -> None:
        """Have the next requests run into faults, one after the other."""
        self._faults.extend(faults)

    def refresh(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer a refresh: the status and the fields."""
        token = form.get("refresh_token", "")
        with self._lock:
            family = self.families.get(token)
            if family in self.dead_families or family is None or (token in self.spent):
                if family is not None:
                    self.dead_families.add(family)
                    self.kept -= {each for each in self.kept if self.families[each] == family}
                self.refusals += 1
                return 400, {"error": "invalid_grant", "error_description": "expired access/refresh token"}
            new = {}
            if self.rotates:
                self.spent.add(token)
                self.kept.discard(token)
                new = {"refresh_token": self._issue(family)}
            self._serial += 1
            return 200, {
                "access_token": f"00Dxx0000000001!{self._serial}",
                "instance_url": self.url,
                "id": f"{self.url}/id/00Dxx0000000001/005xx0000000001",
                "issued_at": str(int(time.time() * 1000)),
                "expires_in": self.life_s,
                **new,
            }

    @property
    def issued(self) -> int:
        """How many refresh tokens were issued."""
        return len(self.families)

    def note(self, form: dict[str, str]) -> Fault | None:
        """Record a presentation; the fault that it runs into, if any."""
        with self._lock:
            self.requests.append(form)
            self.presented[form.get("refresh_token", "")] += 1
            return self._faults.popleft() if self._faults else None

    def presented_too_often(self) -> list[str]:
        """Tokens that were presented twice although the first answer arrived, or more often than twice."""
        return [
            token
            for token, times in self.presented.items()
            if times > 2 or (times == 2 and token not in self.unanswered)
        ]

    def _issue(self, family: int) -> str:
        token = f"rotating-{len(self.families)}-{os.urandom(6).hex()}"
        self.families[token] = family
        self.kept.add(token)
        return token


def drop(handler: "_Handler", form: dict[str, str]) -> bool:
    """Close the connection before the request has any effect."""
    handler.org.unanswered.add(form.get("refresh_token", ""))
    handler.close_connection = True
    return True


def lose_the_answer(handler: "_Handler", form: dict[str, str]) -> bool:
    """Do what is asked, and close the connection without an answer."""
    handler.org.refresh(form)
    return drop(handler, form)


def answer(status: int, error: str, description: str = "") -> Fault:
    """Refuse the request."""

    def refuse(handler: "_Handler", form: dict[str, str]) -> bool:
        handler.org.unanswered.add(form.get("refresh_token", ""))
        handler.answer(status, {"error": error, "error_description": description})
        return True

    return refuse


def kill_before(handler: "_Handler", form: dict[str, str]) -> bool:
    """Kill the process that asks, before its request has any effect."""
    os.kill(int(form["pid"]), signal.SIGKILL)
    return drop(handler, form)


def kill_after(handler: "_Handler", form: dict[str, str]) -> bool:
    """Kill the process that asks once its token is spent, before it gets the answer."""
    handler.org.refresh(form)
    return kill_before(handler, form)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def org(self) -> RotatingOrg:
        """The org."""
        org: RotatingOrg = self.server.org  # type: ignore[attr-defined]  # set by the org itself
        return org

    def do_POST(self) -> None:
        """Answer a token request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.path == "/services/oauth2/revoke":
            self._revoke(form)
            return
        fault = self.org.note(form)
        if fault is not None and fault(self, form):
            return
        self.answer(*self.org.refresh(form))

    def _revoke(self, form: dict[str, str]) -> None:
        token = form.get("token", "")
        if token in self.org.kept:
            self.org.dead_families.add(self.org.families[token])
            self.org.kept.discard(token)
            self.answer(200, {})
        else:
            self.answer(400, {"error": "invalid_token"})

    def answer(self, status: int, fields: dict[str, Any]) -> None:
        """Send an answer."""
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
