"""Providers that keep the contract, and providers that break one rule each; `test_contracts` runs the suite on them.

Each broken one names the tests that have to fail; all others have to pass.
"""

import json
import logging
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import ProviderContract


@attrs.frozen
class Sound(kinetic.GrantAuthenticator):
    """Made of the core's base class."""

    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True)

    def grant(self, *_: Any) -> Mapping[str, str]:
        return {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@attrs.frozen
class SoundByHand:
    """Without it."""

    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True)
    login_url: str = kinetic.login_url_setting()

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        fields = self.ask()
        try:
            return kinetic.SalesforceSession(
                *(str(fields[name]) for name in ("access_token", "instance_url", "id", "issued_at"))
            )
        except (LookupError, TypeError):
            raise kinetic.TransportError("the answer is not Salesforce's") from None

    def __reduce__(self) -> Any:
        raise TypeError("it holds secrets")

    def ask(self) -> Any:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        status, said = None, "no answer"
        try:
            opener = urllib.request.build_opener(_NoRedirect)
            with opener.open(f"{self.login_url}/services/oauth2/token", urlencode(form).encode(), 2) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            status, said = error.code, f"HTTP status {error.code}"
            error.close()
        except Exception as error:  # noqa: BLE001 - urllib raises those of five modules
            said = type(error).__name__
        raise kinetic.AuthenticationError(f"the login failed: {said}", status=status)


class _Suite(ProviderContract):
    provider: type
    breaks: tuple[str, ...] = ()

    def make_provider(self) -> Any:
        login = self.emulator.default
        return self.provider(client_id=login.client_id, client_secret=login.client_secret, login_url=self.login_url)


class TestSound(_Suite):
    provider = Sound


class TestSoundByHand(_Suite):
    provider = SoundByHand
    longest_login_s = 5


@attrs.frozen
class TakenFromElsewhere:
    """Asks no org, as a command or a vault that holds a session."""

    token: str = kinetic.setting(help="The token.", secret=True)
    instance_url: str = kinetic.setting(help="Its instance.")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return kinetic.SalesforceSession(self.token, self.instance_url, "https://localhost/id/00D/005", "0")

    def __reduce__(self) -> Any:
        raise TypeError("it holds secrets")


class TestTakenFromElsewhere(ProviderContract):
    def make_provider(self) -> TakenFromElsewhere:
        return TakenFromElsewhere("00D000000000001!canary-token", self.login_url)


# One rule broken each


class TestNetworkInTheConstructor(_Suite):
    breaks = ("its_constructor_sends_nothing",)

    @attrs.frozen
    class provider(Sound):
        def __attrs_post_init__(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", urlsplit(self.login_url).port)):
                pass


class TestNetworkInAThreadOfTheConstructor(_Suite):
    breaks = ("its_constructor_sends_nothing",)

    @attrs.frozen
    class provider(Sound):
        def __attrs_post_init__(self) -> None:
            threading.Thread(target=lambda: socket.getaddrinfo("127.0.0.1", 80)).start()


class TestKeyReadInTheConstructor(_Suite):
    breaks = ("its_constructor_reads_no_secret",)

    @attrs.frozen
    class provider(Sound):
        key: Path = kinetic.setting(Path(os.devnull), help="A file.")

        def __attrs_post_init__(self) -> None:
            self.key.read_bytes()


class TestSecretInAnError(_Suite):
    breaks = ("no_secret_is_in_an_error", "no_secret_is_in_a_pickle")

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            try:
                return super().authenticate(*args)
            except kinetic.KineticAuthError:
                raise kinetic.AuthenticationError(f"{self.client_id}:{self.client_secret} was refused") from None


class TestSecretInAFieldOfAnError(_Suite):
    breaks = ("no_secret_is_in_an_error", "no_secret_is_in_a_pickle")

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            try:
                return super().authenticate(*args)
            except kinetic.KineticAuthError as error:
                error.form = {"client_secret": self.client_secret}  # type: ignore[attr-defined]
                raise


class TestSecretInTheLog(_Suite):
    breaks = ("no_secret_is_logged",)

    @attrs.frozen
    class provider(Sound):
        def grant(self, *args: Any) -> Mapping[str, str]:
            form = super().grant(*args)
            logging.getLogger("acme").debug("asking with %s", form)
            return form


class TestTokenOnStdout(_Suite):
    breaks = ("no_secret_is_logged",)

    @attrs.frozen
    class provider(SoundByHand):
        @kinetic.hookimpl
        def authenticate(self) -> Any:
            session = super().authenticate()
            print(session.access_token)
            return session

    longest_login_s = 5


class TestSecretInTheRepr(_Suite):
    breaks = ("no_secret_is_shown", "a_setting_that_holds_a_secret_is_declared_secret")

    @attrs.frozen
    class provider(Sound):
        client_secret: str = kinetic.setting(help="Consumer Secret.")


class TestSecretInAPickle(_Suite):
    breaks = ("no_secret_is_in_a_pickle",)
    provider = SoundByHand
    longest_login_s = 5

    def make_provider(self) -> Any:
        login = self.emulator.default
        return Pickled(login.client_id, login.client_secret, self.login_url)


@attrs.frozen
class Pickled(SoundByHand):
    """As Python does by default."""

    def __reduce__(self) -> Any:
        return type(self), (self.client_id, self.client_secret, self.login_url)


class TestUntypedException(_Suite):
    breaks = (
        "a_refusal_is_a_typed_error",
        "an_org_without_a_usable_answer_is_a_typed_error",
        "an_org_that_does_not_answer_is_given_up_in_time",
    )

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            try:
                return super().authenticate(*args)
            except kinetic.KineticAuthError as error:
                raise RuntimeError(error.message) from None


class TestUntypedExceptionForGarbage(_Suite):
    breaks = ("an_org_without_a_usable_answer_is_a_typed_error",)
    longest_login_s = 5

    @attrs.frozen
    class provider(SoundByHand):
        @kinetic.hookimpl
        def authenticate(self) -> Any:
            fields = self.ask()
            names = ("access_token", "instance_url", "id", "issued_at")
            return kinetic.SalesforceSession(*(fields[name] for name in names))


class TestLeavesTheProcess(_Suite):
    breaks = (
        "a_refusal_is_a_typed_error",
        "an_org_without_a_usable_answer_is_a_typed_error",
        "an_org_that_does_not_answer_is_given_up_in_time",
    )

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            try:
                return super().authenticate(*args)
            except kinetic.KineticAuthError:
                raise SystemExit(1) from None


class TestWaitsForever(_Suite):
    breaks = ("an_org_that_does_not_answer_is_given_up_in_time",)
    longest_login_s = 1

    @attrs.frozen
    class provider(SoundByHand):
        @kinetic.hookimpl
        def authenticate(self) -> Any:
            time.sleep(1.5)
            return super().authenticate()


_last: dict[str, str] = {}


class TestStateSharedBetweenThreads(_Suite):
    breaks = ("threads_with_instances_for_different_users_never_get_anothers_session",)

    @attrs.frozen
    class provider(Sound):
        def grant(self, *args: Any) -> Mapping[str, str]:
            _last.update(super().grant(*args))
            time.sleep(0.002)
            return dict(_last)


class TestSessionOfTheClass(_Suite):
    breaks = (
        "two_instances_do_not_share_a_session",
        "authenticate_is_a_login_each_time",
        "threads_with_instances_for_different_users_never_get_anothers_session",
    )

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            if "session" not in vars(type(self)):
                type(self).session = super().authenticate(*args)  # type: ignore[attr-defined]
            return type(self).session  # type: ignore[attr-defined]


class TestSessionByApp(_Suite):
    """Kept for each app: two users of one app get one session."""

    breaks = (
        "two_instances_do_not_share_a_session",
        "authenticate_is_a_login_each_time",
        "threads_with_instances_for_different_users_never_get_anothers_session",
    )

    def make_provider(self) -> Any:
        login = self.emulator.default
        return ByApp(login.client_id, login.client_secret, login.username, login.password, login_url=self.login_url)


_by_app: dict[tuple[str, str], Any] = {}


@attrs.frozen
class ByApp(Sound):
    username: str = kinetic.setting(help="User.")
    password: str = kinetic.setting(help="Password.", secret=True)

    @kinetic.hookimpl
    def authenticate(self, *args: Any) -> Any:
        key = (self.login_url, self.client_id)
        if key not in _by_app:
            _by_app[key] = super().authenticate(*args)
        return _by_app[key]


class TestSessionForAnotherHost(_Suite):
    breaks = ("the_session_is_for_a_host_that_is_allowed",)

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            return attrs.evolve(super().authenticate(*args), instance_url="https://salesforce.example.com")


class TestSessionForAnotherOrgOfSalesforce(_Suite):
    """The guards allow the host by default, and the org has named another."""

    breaks = ("the_session_is_for_a_host_that_is_allowed", "the_session_is_for_the_instance_that_the_org_names")

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            return attrs.evolve(super().authenticate(*args), instance_url="https://acme.my.salesforce.com")


class TestSessionForTheLoginHost(_Suite):
    breaks = ("the_session_is_for_the_instance_that_the_org_names",)

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            return attrs.evolve(super().authenticate(*args), instance_url=self.login_url)


class TestClosedForGood(_Suite):
    breaks = ("close_may_be_called_twice_and_the_next_login_works",)
    longest_login_s = 5

    @attrs.frozen
    class provider(SoundByHand):
        _closed: list[bool] = attrs.field(init=False, eq=False, factory=list)

        def close(self) -> None:
            if self._closed:
                raise RuntimeError("closed twice")
            self._closed.append(True)


class TestLockOfTheParent(_Suite):
    """A lock that another thread holds while the process forks is never free in the child."""

    breaks = ("the_child_of_a_fork_logs_in_and_the_parent_goes_on",)
    fork_limit_s = 2

    @attrs.frozen
    class provider(Sound):
        _lock: Any = attrs.field(init=False, repr=False, eq=False, factory=threading.Lock)

        @kinetic.hookimpl
        def authenticate(self, *args: Any) -> Any:
            with self._lock:
                return super().authenticate(*args)


class TestNoHelpText(_Suite):
    breaks = ("every_setting_has_a_help_text",)

    @attrs.frozen
    class provider(Sound):
        colour: str = "red"


class TestDoesNotFit(_Suite):
    breaks = ("it_fits_the_contract_of_providers",)

    @attrs.frozen
    class provider(Sound):
        @kinetic.hookimpl
        def authenticat(self) -> None: ...


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
