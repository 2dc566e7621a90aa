"""The subject token: what it says of itself, and whether it may be sent.

Its payload is read **without verification**: the org verifies the signature. These checks find a token that cannot be
accepted, or that is meant for somebody else, before it leaves this machine.
"""

import base64
import json
import re
from typing import Any, Self

import attrs

from kinetic_auth_token_exchange.problems import Problem

#: Seconds by which the issuer's clock may be ahead of ours.
SKEW_S = 30.0

_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@attrs.frozen
class SubjectToken:
    """A token, kept out of reprs and of the locals that a traceback shows.

    Attributes:
        text: The token, a compact JWS.
        issuer: Its `iss`.
        subject: Its `sub`.
    """

    text: str = attrs.field(repr=False)
    issuer: str
    subject: str

    @classmethod
    def read(cls, raw: bytes, audience: str, now: float, remedy: str) -> Self | Problem:
        """Read a token, without verifying its signature.

        Args:
            raw: The token; blanks around it do not count.
            audience: The only `aud` that it may have.
            now: Unix seconds.
            remedy: What to do about a token of another audience.

        Returns:
            The token; or why it must not be sent. Not raised: the token would be among a traceback's locals.
        """
        text = raw.decode("ascii", "replace").strip()
        claims = _claims(text)
        if claims is None:
            return Problem("the token is not a signed JWT", "Correct the reference: it must name a token in JWT form.")
        return _problem(claims, audience, now, remedy) or cls(text, claims["iss"], claims["sub"])


def _claims(text: str) -> dict[str, Any] | None:
    """The payload of a JWT; None if it is none."""
    if not _COMPACT_JWS.fullmatch(text):
        return None
    payload = text.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _problem(claims: dict[str, Any], audience: str, now: float, remedy: str) -> Problem | None:
    """Why a token with these claims must not be sent."""
    if claims.get("aud") not in (audience, [audience]):
        return Problem(f"the token is for {_audiences(claims.get('aud'))}, not for {audience!r} alone", remedy)
    if claims.get("iss") == audience:
        return Problem(f"{audience!r} is the token's own issuer, whose interfaces it would open as well", remedy)
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str) or not claims[name]:
            return Problem(f"the token has no {name}", "Ask the operators of the identity provider for it.")
    expires: Any = claims.get("exp")
    begins: Any = claims.get("nbf", 0)
    if not _is_time(expires) or not _is_time(begins):
        return Problem("the token does not say until when it is valid", "Use a token with exp, and nbf as a number.")
    if expires <= now:
        what = f"the token expired {now - expires:.0f} s ago"
        return Problem(what, "Set this machine's clock by NTP; if it is right, the token is no longer renewed.")
    if begins > now + SKEW_S:
        what = f"the token is not valid for another {begins - now:.0f} s"
        return Problem(what, "Set this machine's clock by NTP.")
    return None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _audiences(found: object) -> str:
    """Audiences as a message may show them: not secret, but anybody's text."""
    items = found if isinstance(found, list) else [found]
    shown = [ascii(item[:100]) for item in items[:5] if isinstance(item, str) and item]
    return " and ".join(shown) or "no audience"
