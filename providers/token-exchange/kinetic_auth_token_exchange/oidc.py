"""The key loader `oidc`: a new subject token at each login, from GitHub Actions or from a file of Kubernetes."""

import json
import time

import attrs

from kinetic_auth_core.plugins import Reference, hookimpl, suggest
from kinetic_auth_token_exchange import github, projected_file
from kinetic_auth_token_exchange.audiences import owner_of
from kinetic_auth_token_exchange.problems import Problem
from kinetic_auth_token_exchange.subject_token import SubjectToken

_FORMS = "Write oidc://github?audience=... or oidc://file/<absolute path>?audience=...."
_OWN_NAME = (
    "Choose a name that only this org's handler accepts, such as its My Domain, https://acme.my.salesforce.com, and "
    "write it here, in the handler, and for Kubernetes into the pod's spec."
)


@attrs.frozen
class OidcLoader:
    """Resolves `oidc://github?audience=A` and `oidc://file/<absolute path>?audience=A`.

    Nothing is kept: each load asks again. The payload of a token is read without verification, to find one that is
    stale or meant for somebody else before it leaves.
    """

    @hookimpl
    def load_key(self, reference: Reference) -> bytes:
        """A subject token, as it is issued now.

        Raises:
            KeyLoadError: There is none, or it must not be sent; the message says why, and what to do.
        """
        return _subject_token(reference).text.encode()

    @hookimpl
    def identity(self, reference: Reference) -> str:
        """Whom the token names now: issuer, subject and audience.

        Raises:
            KeyLoadError: As for `load_key`.
        """
        token = _subject_token(reference)
        return json.dumps([token.issuer, token.subject, reference.query["audience"]])

    @hookimpl
    def check_reference(self, reference: Reference) -> None:
        """Check a reference without asking anybody.

        Raises:
            KeyLoadError: The place or an option is unknown, a part is missing, or the audience is that of another
                platform.
        """
        if problem := _problem(reference):
            raise problem.error(reference)


def _subject_token(reference: Reference) -> SubjectToken:
    found = _problem(reference) or _fetch(reference)
    if isinstance(found, Problem):
        raise found.error(reference)
    return found


def _fetch(reference: Reference) -> SubjectToken | Problem:
    audience = reference.query["audience"]
    if reference.rest == "github":
        answer = github.ask(audience)
        if isinstance(answer, Problem):
            return answer
        remedy = "Report this to GitHub: it was asked for this audience."
        return SubjectToken.read(answer.token() or b"", audience, time.time(), remedy)
    path = _path(reference)
    content = projected_file.read(path, audience)
    if isinstance(content, Problem):
        return content
    return SubjectToken.read(content.value, audience, time.time(), projected_file.pod_spec(path, audience))


def _path(reference: Reference) -> str:
    return reference.rest.removeprefix("file")


def _problem(reference: Reference) -> Problem | None:
    """What is wrong with the text of a reference."""
    place, _, path = reference.rest.partition("/")
    if place not in ("github", "file"):
        return Problem(f"{place!r} is not a source of oidc://{suggest(place, ('github', 'file'))}", _FORMS)
    if place == "github" and reference.rest != "github":
        return Problem("nothing may follow github", _FORMS)
    if place == "file" and (not path or path.endswith("/")):
        return Problem("it names no file", _FORMS)
    if reference.field is not None:
        return Problem("a token has no fields", "Omit #... at the end of the reference.")
    for option in reference.query:
        if option != "audience":
            return Problem(f"{place} has no option {option!r}{suggest(option, ['audience'])}", _FORMS)
    return _audience_problem(reference.query.get("audience", ""))


def _audience_problem(audience: str) -> Problem | None:
    if not audience:
        return Problem("the token needs an audience", _OWN_NAME)
    if audience != audience.strip() or not audience.isprintable():
        return Problem("its audience has blanks around it, or a control character in it", _OWN_NAME)
    if owner := owner_of(audience):
        what = f"the audience {audience!r} is that of {owner}, which such a token would open as well"
        return Problem(what, _OWN_NAME)
    return None
