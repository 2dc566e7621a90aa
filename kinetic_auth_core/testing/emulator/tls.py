"""Certificates for the emulator's TLS, good ones and, on request, bad ones."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings

import attrs
import trustme

from kinetic_auth_core.testing.emulator.keys import show_the_real_datetime


@attrs.frozen
class TlsProfile:
    """How the emulator presents itself over TLS.

    Args:
        hosts: Names and addresses the certificate is valid for.
        expired: True for a certificate that expired yesterday.
        maximum_version: The newest TLS version to speak, for example `ssl.TLSVersion.TLSv1_1`; None for any.
        client_authority_pem: The authority of client certificates, PEM: every connection needs one of it (mutual TLS);
            None to demand none.
    """

    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    expired: bool = False
    maximum_version: ssl.TLSVersion | None = None
    client_authority_pem: str | None = None


class Tls:
    """A certificate authority of one emulator, with the server's certificate."""

    def __init__(self, profile: TlsProfile) -> None:
        show_the_real_datetime()
        authority = trustme.CA()
        # Else the year 3000, trustme's own: OpenSSL goes by the machine's clock, also where a test has set Python's.
        end = dt.datetime.now(dt.UTC) - dt.timedelta(days=1) if profile.expired else None
        certificate = authority.issue_cert(*profile.hosts, not_after=end)
        self.authority_pem = authority.cert_pem.bytes()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if profile.maximum_version is not None:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the old version is intended
                self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                self.context.maximum_version = profile.maximum_version
        if profile.client_authority_pem is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(cadata=profile.client_authority_pem)
        certificate.configure_cert(self.context)
