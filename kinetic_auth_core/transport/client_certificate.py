"""The certificate by which this side identifies itself (mutual TLS): a certificate and its key, in PEM files."""

import os
import ssl
from collections.abc import Iterator

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import expanded, is_key_text

_MAX_BYTES = 1024 * 1024


@attrs.frozen(eq=False, repr=False, match_args=False)
class ClientCertificate:
    """Where certificate and key are.

    Attributes:
        cert: A PEM file with the certificate, and those of its authorities below the root.
        key: A PEM file with its private key; None: that is in the same file.
    """

    cert: str | os.PathLike[str]
    key: str | os.PathLike[str] | None = None

    def state(self) -> tuple[tuple[int, ...], ...]:
        """What tells the files from what they were before: they may be renewed while the process runs."""
        found = []
        for path in (each for each in (self.cert, self.key) if each):
            try:
                stat = expanded(path).stat()
            except (OSError, ValueError) as error:  # said when they are loaded
                raise_interruption(error)
                continue
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def load(self, context: ssl.SSLContext) -> None:
        """Have a TLS context identify itself by it.

        Args:
            context: The context, which gets certificate and key.

        Raises:
            ConfigurationError: A file cannot be used; it names the setting.
        """
        problems = list(self._problems())
        if not problems:
            try:
                context.load_cert_chain(expanded(self.cert), expanded(self.key) if self.key else None, _no_passphrase)
            except (OSError, ValueError) as error:
                raise_interruption(error)
                problems = [self._why(error)]
        if problems:
            raise ConfigurationError.of("Cannot use the client certificate", problems)

    def _problems(self) -> Iterator[str]:
        """What is wrong with the files themselves."""
        for name, path in (("client_cert", self.cert), ("client_cert_key", self.key)):
            if path is None:
                continue
            try:
                found = expanded(path)
                if found.exists() and not found.is_file():
                    yield f"{name}: {os.fspath(path)} is not a file"
                    continue
                with found.open("rb") as file:
                    too_large = len(file.read(_MAX_BYTES + 1)) > _MAX_BYTES
            except (OSError, ValueError) as error:
                raise_interruption(error)
                yield f"{name}: {os.fspath(path)} cannot be read: {getattr(error, 'strerror', None) or error}"
            else:
                if too_large:
                    yield f"{name}: {os.fspath(path)} is larger than {_MAX_BYTES} bytes"

    def _why(self, error: Exception) -> str:
        """Why OpenSSL does not take the files."""
        name, path = ("client_cert_key", self.key) if self.key else ("client_cert", self.cert)
        if isinstance(error, _EncryptedError):
            return f"{name}: the key in {os.fspath(path)} is encrypted: give it without a passphrase"
        if "KEY_VALUES_MISMATCH" in str(error) or "KEY_TYPE_MISMATCH" in str(error):
            return f"{name}: the key in {os.fspath(path)} does not belong to the certificate in {os.fspath(self.cert)}"
        with_key = "" if self.key else ", with its private key unless client_cert_key names another file"
        try:
            ssl.create_default_context().load_verify_locations(expanded(self.cert))
        except (OSError, ValueError):
            return f"client_cert: {os.fspath(self.cert)} is not a PEM file with a certificate{with_key}"
        return f"{name}: there is no private key in PEM form in {os.fspath(path)}"


class _EncryptedError(ValueError):
    """The key has a passphrase."""


def _no_passphrase() -> bytes:
    """Called for an encrypted key; without it, OpenSSL would ask at the terminal."""
    raise _EncryptedError


def client_certificate_problems(cert: object, key: object) -> list[str]:
    """What is wrong with the settings `client_cert` and `client_cert_key`, as `name: what`.

    Args:
        cert: The value of `client_cert`; None: not set.
        key: The value of `client_cert_key`; None: not set.
    """
    if not isinstance(cert, str | os.PathLike) or not isinstance(key, str | os.PathLike | None):
        return []  # not set; a wrong type is reported elsewhere
    if is_key_text(cert) or is_key_text(key):
        return []  # reported elsewhere, without the key
    try:
        ClientCertificate(cert, key).load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ConfigurationError as error:
        return list(error.problems)
    return []
