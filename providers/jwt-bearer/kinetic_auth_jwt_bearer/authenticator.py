"""The JWT bearer grant: its settings, and its form field, an assertion (RFC 7523, section 3) signed by python-jose.

The core sends the request and reads the answer.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core import (
    ConfigurationError,
    GrantAuthenticator,
    KeyLoadError,
    LoginRequest,
    Once,
    Signer,
    current_tally,
    login_url_setting,
    setting,
    single_line,
    url_setting,
)
from kinetic_auth_core.plugins import ConnectionOptions, LocalSigner, frozen, read_private_key

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Validity of an assertion in seconds. Salesforce accepts at most 3 minutes.
LIFETIME_S = 180
ALGORITHM = "RS256"


def default_audience(login_url: str) -> str:
    """The default audience (`aud`) for a login host.

    `test.salesforce.com`, sandboxes' and scratch orgs' My Domains: `https://test.salesforce.com`. Any other host is its
    own audience: `login.salesforce.com`, a production My Domain, an Experience site.

    Args:
        login_url: The host that logs in, with scheme.
    """
    host = urlsplit(str(login_url)).hostname or ""
    is_sandbox = host.endswith((".sandbox.my.salesforce.com", ".scratch.my.salesforce.com")) or (
        host.endswith(".my.salesforce.com") and "--" in host
    )
    return "https://test.salesforce.com" if is_sandbox else login_url


_REFERENCE = re.compile(r"(?:^|[/\\])(?:file|env|secret-manager|kms):[/\\]")
_PEM = re.compile(r"-----BEGIN|(?:\\n[^\\]*){8}|[\r\n]|.{1024}")


def _check_path(_instance: object, _attribute: object, value: object) -> None:
    """Reject a key given in place of its path: a path is shown in messages, reprs and logs.

    A key's line ends may be escaped; a few backslashes followed by an n are a path on Windows. A reference belongs into
    private_key as well; one from a config file has got the file's folder in front.
    """
    if value is not None and _REFERENCE.search(str(value)):
        raise ConfigurationError("is a reference, not a path: set it as private_key (SF_PRIVATE_KEY)")
    if value is not None and _PEM.search(str(value)):
        raise ConfigurationError("is a key, not a path: set it as private_key (SF_PRIVATE_KEY)")


def _check_certificate_path(_instance: object, _attribute: object, value: object) -> None:
    """Reject a certificate, or its key, given in place of its path."""
    if value is not None and (_REFERENCE.search(str(value)) or _PEM.search(str(value))):
        what = "a reference" if _REFERENCE.search(str(value)) else "a certificate or a key"
        raise ConfigurationError(f"is {what}, not a path: write the certificate into a file, and give its path")


@frozen
class JWTAuthenticator(GrantAuthenticator):
    """Logs in with an assertion signed by a private key; no secret is sent.

    Args:
        client_id: The app's Consumer Key: the issuer (`iss`).
        username: The Salesforce user to log in as: the subject (`sub`).
        private_key: The RSA private key as text (PEM, JWK, or base64 of any format), as bytes in any format, or a
            `Signer`. Or a list of keys, the current one and the next: if one is rejected because it does not
            belong to the certificate, the next is tried.
        private_key_path: A file with that key, in any format: PEM, PKCS12, JWK, DER. Exactly one of the two.
        login_url: The host that logs in, with https://.
        audience: `aud` of the assertion, one URL. Default: see `default_audience`.
        passphrase: The passphrase of an encrypted key.
        client_secret: The app's Consumer Secret, if it has one; the login does not send it.
        private_certificate_path: The certificate of the key. The first login then checks that the two belong together,
            and a warning is logged from 30 days before it expires.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named. The key is read at the first login.
    """

    provider_name: ClassVar[str] = "jwt-bearer"
    exactly_one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("private_key", "private_key_path"),)

    client_id: str = setting(help="Consumer Key of the app.", validator=single_line)
    username: str = setting(help="Salesforce user to log in as.", validator=single_line)
    private_key: str | bytes | Signer | Sequence[str | bytes | Signer] | None = setting(
        default=None,
        help="RSA private key, as text; or a list: the current key and the next.",
        secret=True,
        identity=False,
    )
    private_key_path: str | os.PathLike[str] | None = setting(
        default=None, help="File with the RSA private key.", validator=_check_path, identity=False
    )
    if TYPE_CHECKING:

        def __init__(
            self,
            client_id: str,
            username: str,
            private_key: str | bytes | Signer | Sequence[str | bytes | Signer] | None = None,
            private_key_path: str | os.PathLike[str] | None = None,
            login_url: str = ...,
            *,
            audience: str | None = None,
            passphrase: str | None = None,
            client_secret: str | None = None,
            private_certificate_path: str | os.PathLike[str] | None = None,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting()
    audience: str | None = url_setting(
        default=None,
        help="Audience of the assertion, one URL; default: derived from login_url.",
        kw_only=True,
        derived=lambda self: default_audience(self.login_url),
    )
    passphrase: str | None = setting(
        default=None, help="Passphrase of an encrypted key.", secret=True, identity=False, kw_only=True
    )
    client_secret: str | None = setting(
        default=None, help="Consumer Secret; not needed to log in.", secret=True, identity=False, kw_only=True
    )
    private_certificate_path: str | os.PathLike[str] | None = setting(
        default=None,
        help="File with the key's certificate, to be warned before it expires.",
        validator=_check_certificate_path,
        identity=False,
        kw_only=True,
    )
    _key: Once[Signer] = attrs.field(init=False, repr=False, eq=False, factory=Once)

    @classmethod
    def import_modules(cls) -> None:
        """Import what the login needs: python-jose and cryptography. Called when a source is made."""
        import jose.jwt  # noqa: F401 - used by the login

        import kinetic_auth_jwt_bearer.certificate  # noqa: F401 - as above

        LocalSigner.import_modules()

    def grant(self, request: LoginRequest) -> Mapping[str, str]:
        """The form fields: a newly signed assertion.

        Args:
            request: What the login is made for.

        Raises:
            KeyLoadError: The key cannot be read, or is not an RSA private key of 2048 bits or more; or the certificate
                does not belong to it.
        """
        signer = self._key.get(lambda: self._prepare_signer(request.now))
        current_tally().key_fingerprint = signer.key_id
        audience = self.audience or default_audience(self.login_url)
        assertion = sign_assertion(
            signer, issuer=self.client_id, subject=self.username, audience=audience, now=request.now
        )
        return {"grant_type": GRANT_TYPE, "assertion": assertion}

    def _prepare_signer(self, now: float) -> Signer:
        signer = self._signer()  # which reports a cryptography that does not import
        from kinetic_auth_jwt_bearer.certificate import check_certificate

        if signer.algorithm != ALGORITHM:
            raise KeyLoadError(
                f"the key {signer.key_id} signs with {signer.algorithm}; Salesforce accepts only {ALGORITHM}.",
                remedy="Use an RSA key of 2048 bits or more.",
            )
        if self.private_certificate_path:
            check_certificate(Path(self.private_certificate_path), signer, now)
        return signer

    def _signer(self) -> Signer:
        if isinstance(self.private_key, Signer):
            return self.private_key
        if isinstance(self.private_key, str | bytes) and self.private_key:
            return read_private_key(self.private_key, self.passphrase)
        return read_private_key(Path(os.fsdecode(self.private_key_path or "")), self.passphrase)


def sign_assertion(signer: Signer, *, issuer: str, subject: str, audience: str, now: float) -> str:
    """Make a signed assertion: python-jose encodes it, and the signer signs.

    Args:
        signer: Signs with RS256.
        issuer: The Consumer Key.
        subject: The username.
        audience: One URL, with scheme.
        now: Unix seconds.

    Returns:
        The compact JWS.

    Raises:
        Exception: Whatever the signer raised; usually a `KineticAuthError`.
        TypeError: The signer returned no bytes.
    """
    from jose import jwt
    from jose.backends.base import Key
    from jose.exceptions import JOSEError

    key: Any = Key(None, ALGORITHM)
    key.sign = lambda message: _signature(signer, message)
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(now) + LIFETIME_S}
    try:
        return str(jwt.encode(claims, key, algorithm=ALGORITHM))
    except JOSEError as error:  # python-jose wraps the error of the signer in its own
        failure = error.__context__ or error
    raise failure


def _signature(signer: Signer, message: bytes) -> bytes:
    signature: object = signer.sign(message)
    if isinstance(signature, bytes | bytearray | memoryview):
        return bytes(signature)
    raise TypeError(f"{type(signer).__name__}.sign() returned {type(signature).__name__}, not bytes")
