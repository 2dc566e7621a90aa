"""The TLS context: keys are written nowhere, and certificates are checked strictly where the CA is a public one."""

import ssl
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest

from kinetic_auth_core.transport.pools import tls_context


@pytest.mark.parametrize("where", ["/nonexistent/folder/keys.log", "keys.log"])
def test_sslkeylogfile_has_no_effect(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", where)
    context: Any = tls_context(certifi.where(), None, is_strict=True)
    assert context.keylog_filename is None
    assert not Path("keys.log").exists()


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_server_has_to_show_a_certificate_for_its_name(is_strict: bool) -> None:
    context = tls_context(certifi.where(), None, is_strict=is_strict)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    strict = bool(context.verify_flags & ssl.VERIFY_X509_STRICT)
    assert strict is (is_strict and sys.version_info >= (3, 13))
