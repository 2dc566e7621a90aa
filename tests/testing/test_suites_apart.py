"""The suites for plugins do not depend on the machine's settings, and leave none behind."""

import os
import threading
from typing import Any

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_password import OAuthAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


@pytest.fixture(autouse=True)
def _a_proxy_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


class TestBehindAProxy(ProviderContract):
    def make_provider(self) -> OAuthAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("password")
        return OAuthAuthenticator(**settings)


def test_a_test_of_a_suite_leaves_nothing_behind() -> None:
    variables, threads = dict(os.environ), threading.active_count()
    suite = TestBehindAProxy()
    for name in ("test_it_logs_in", "test_two_instances_do_not_share_a_session", "test_no_secret_is_logged"):
        suite.setup_method()
        getattr(suite, name)()
        suite.teardown_method()
        assert dict(os.environ) == variables
        assert threading.active_count() == threads
        suite = TestBehindAProxy()
