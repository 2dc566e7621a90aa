"""The token of a GitHub Actions job, asked for at the runner's service.

The protocol is GitHub's "OpenID Connect" reference: a GET to `ACTIONS_ID_TOKEN_REQUEST_URL`, with `&audience=` added
and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` as bearer, answers `{"value": "<JWT>"}`. Forgejo's runner does the same.
"""

import json
import os
import time
from urllib.parse import quote, urlsplit, urlunsplit

import attrs

from kinetic_auth_core.plugins import ConfigurationError, TransportError, http_get, url_problem
from kinetic_auth_token_exchange.problems import Problem

URL, TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
PERMISSION = (
    "Add to the job, or to the workflow: permissions: {id-token: write, contents: read}. A pull request from a fork "
    "never gets this permission, and a reusable workflow needs it from its caller as well."
)
_STATUS_PAGE = "Run the job again, and see www.githubstatus.com."
#: Seconds for each request. The login's deadline begins with its own first request.
DEADLINE_S = 10.0
#: Seconds before each further request, where the one before had no usable answer.
PAUSES_S = (0.5, 1.5)


@attrs.frozen
class Answer:
    """What the service answered, kept out of reprs and of the locals that a traceback shows."""

    status: int
    body: bytes = attrs.field(repr=False)

    @property
    def retryable(self) -> bool:
        """Whether asking again may help."""
        return self.status >= 500

    def token(self) -> bytes | None:
        """The token in it; None if there is none."""
        try:
            value = json.loads(self.body)["value"]
            return value.encode() if isinstance(value, str) and value else None
        except (ValueError, LookupError, TypeError, RecursionError):
            return None


def ask(audience: str) -> Answer | Problem:
    """Ask for a new token.

    Args:
        audience: Its audience.

    Returns:
        An answer with a token; or why there is none.
    """
    missing = [name for name in (URL, TOKEN) if not os.environ.get(name)]
    if missing:
        where = "the job may not ask for a token" if os.environ.get("GITHUB_ACTIONS") else "this is not a GitHub job"
        return Problem(f"{where}: {' and '.join(missing)} not set", PERMISSION)
    if problem := _url_problem(os.environ[URL]):
        return Problem(f"{URL} {problem}, so nothing was sent", "Let the runner set it: do not set it yourself.")
    found = _ask_once(audience)
    for pause_s in PAUSES_S:
        if not found.retryable:
            break
        time.sleep(pause_s)
        found = _ask_once(audience)
    if isinstance(found, Problem) or (found.status == 200 and found.token() is not None):
        return found
    if found.status in (401, 403):
        return Problem(f"GitHub refuses to issue a token (HTTP {found.status})", PERMISSION)
    if found.status == 200:
        return Problem("GitHub's answer has no token", _STATUS_PAGE)
    return Problem(f"GitHub answers with HTTP {found.status}", _STATUS_PAGE)


def _ask_once(audience: str) -> Answer | Problem:
    url = os.environ[URL]
    try:
        status, body = http_get(
            f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}",
            {"Authorization": f"Bearer {os.environ[TOKEN]}"},
            deadline_s=DEADLINE_S,
        )
        return Answer(status, body)
    except TransportError as error:
        return Problem(f"GitHub: {error.message.rstrip('.')}", _STATUS_PAGE, error.retryable)
    except ConfigurationError as error:
        return Problem(error.message.rstrip("."), error.remedy)


def _url_problem(url: str) -> str | None:
    """Why the request's token must not be sent to a URL; its query is allowed."""
    try:
        parts = urlsplit(url)
        return url_problem(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))
    except ValueError:
        return "is not a valid URL"
