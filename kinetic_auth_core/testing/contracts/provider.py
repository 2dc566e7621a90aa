"""A test suite for providers: the behaviour that `kinetic_auth_core` and its users rely on.

A provider logs in at an emulated org, through `kinetic_auth_core.SessionSource` as in an application.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus
from weakref import WeakSet

import attrs

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing.contracts.checks import (
    THREADS,
    at_once,
    everything_said,
    expect,
    no_proxy_to_this_machine,
    often_switched,
    text_of_a_child,
    until,
    watched,
)
from kinetic_auth_core.testing.contracts.tenant import (
    Attempt,
    Tenant,
    has_deadline,
    is_outside_of_plugins,
    is_single_use,
    log_in,
    log_in_quietly,
    new_store,
    secrets_found,
    settings_of,
    settings_with,
    values_of,
)
from kinetic_auth_core.testing.emulator.emulator import SalesforceEmulator
from kinetic_auth_core.testing.emulator.faults import Answer, Delay, Fault, Html, NotJson, Raw, Redirect, Reset, Status
from kinetic_auth_core.testing.leaks import secrets_in

expected = functools.partial(expect, subject="provider")

_SHORTEST_SECRET = 6  # characters: a shorter text is a part of common words
_SLACK_S = 5.0
_HURRIED_S = 1.0

#: Ways in which an org gives no usable answer; `None` is an org that is down.
_FAILURES: dict[str, Fault | None] = {
    "is down": None,
    "resets the connection": Reset("request"),
    "resets the connection in its answer": Reset("body"),
    "does not speak HTTP": Raw(b"\x00\xfe\xff\r\n\r\n"),
    "answers with an HTML page": Html(200),
    "answers with 503": Status(503),
    "answers with an unknown status": Status(418),
    "redirects": Redirect("https://elsewhere.example.com/services/oauth2/token"),
    "answers with broken JSON": NotJson(),
    "answers with nothing": Answer(b""),
    "answers with JSON that is no object": Answer([]),
    "answers with an empty object": Answer({}),
    "answers with fields of wrong types": Answer({"access_token": 7, "instance_url": None, "id": [], "issued_at": {}}),
    "answers with text that is not UTF-8": Answer(b'{"access_token": "\xff\xfe"}'),
}

#: The classes of providers that have sent a request to an emulated org.
_asking: WeakSet[type] = WeakSet()


class ProviderContract(abc.ABC):
    """Subclass it with a name that pytest collects, define `make_provider`, inherit every test.

        class TestMyProvider(ProviderContract):
            def make_provider(self):
                login = self.emulator.default
                return MyProvider(login.client_id, login.client_secret, login_url=self.login_url)

    `make_provider` is called several times in a test, with other orgs and other values of `emulator.default`: make the
    instance from what these are at that moment. What a provider that asks something else than the org needs, such as
    a service of yours, is for a fixture.

    Attributes:
        longest_login_s: Seconds after which a provider without the setting `deadline` has to give up an org that does
            not answer.
        fork_limit_s: Seconds that a login in the child of a `fork` may take.
        failing_path: Which requests an org that fails answers wrongly: a path or a pattern. All of them by default; a
            provider that sends a person to the org may leave the person's requests out.
    """

    longest_login_s: float = 60.0
    fork_limit_s: float = 30.0
    failing_path: str = "*"

    @abc.abstractmethod
    def make_provider(self) -> Any:
        """Return a new instance that logs in at `self.login_url`, for example as `self.emulator.default`."""

    @property
    def emulator(self) -> SalesforceEmulator:
        """The emulated org, new for each test."""
        if not self._orgs:
            self._orgs.append(SalesforceEmulator().start())
        return self._orgs[-1]

    @property
    def login_url(self) -> str:
        """The address of `emulator`."""
        return self.emulator.url

    @functools.cached_property
    def _orgs(self) -> list[SalesforceEmulator]:
        return []

    @functools.cached_property
    def _opened(self) -> contextlib.ExitStack:
        return contextlib.ExitStack()

    def setup_method(self) -> None:
        """Keep the machine's proxies away from the org."""
        self._opened.enter_context(no_proxy_to_this_machine())

    def teardown_method(self) -> None:
        """Close what the test has opened."""
        self._opened.close()
        for org in self._orgs:
            org.close()

    # The contract of a plugin

    def test_it_fits_the_contract_of_providers(self) -> None:
        self._source(self.make_provider())

    def test_every_setting_has_a_help_text(self) -> None:
        without = [each.name for each in settings_of(self.make_provider()) if not each.help.strip()]
        expected(not without, f"settings without a help text: {', '.join(without)}")

    def test_a_setting_that_holds_a_secret_is_declared_secret(self) -> None:
        provider, secrets = self.make_provider(), self._secrets_of_the_org()
        for each in settings_of(provider):
            value = each.value_of(provider)
            is_shown = not each.secret and isinstance(value, str) and any(secret in value for secret in secrets)
            expected(not is_shown, f"the setting {each.name} holds a secret and is not declared with secret=True")

    # The constructor

    def test_its_constructor_sends_nothing(self) -> None:
        self.make_provider()  # whatever the factory prepares is there
        with watched() as activity:
            self.make_provider()
        expected(not activity.sent, f"the constructor uses the network or a process ({', '.join(activity.sent)})")

    def test_its_constructor_reads_no_secret(self) -> None:
        provider = self.make_provider()
        attrs.evolve(provider)  # what is read once in a process has been read
        with watched() as activity:
            attrs.evolve(provider)
        expected(not activity.read, f"the constructor reads {', '.join(activity.read)}; read it at the login")

    # The login

    def test_it_logs_in(self) -> None:
        tenant = self._tenant()
        session = self._session(tenant)
        expected(session.is_valid(), "the session is not valid")

    def test_authenticate_is_a_login_each_time(self) -> None:
        tenant = self._tenant()
        first = self._session(tenant)
        self._session(tenant)
        self.emulator.expire_all()
        second = self._session(tenant)
        if self._asks(tenant):
            expected(second.access_token != first.access_token, "authenticate() returned a session that had ended")

    def test_the_session_is_for_a_host_that_is_allowed(self) -> None:
        tenant = self._tenant()
        session = self._session(tenant)
        if self._asks(tenant):
            expected(
                session.instance_url.rstrip("/") == self.login_url,
                f"the session is for {session.instance_url}, and the org's instance is {self.login_url}",
            )

    def test_the_session_is_for_the_instance_that_the_org_names(self) -> None:
        tenant = self._tenant()
        self._session(tenant)
        elsewhere = self.login_url.replace("127.0.0.1", "localhost")
        self.emulator.policy.instance_url = elsewhere
        session = self._session(tenant)
        if self._asks(tenant):
            expected(
                session.instance_url.rstrip("/") == elsewhere,
                f"the session is for {session.instance_url}, and the org has answered with {elsewhere}",
            )

    def test_close_may_be_called_twice_and_the_next_login_works(self) -> None:
        tenant = self._tenant()
        self._session(tenant)
        close = getattr(tenant.provider, "close", None)
        for _ in range(2):
            tenant.source.close()
            if close is not None:
                close()
        self._session(tenant)

    # Errors

    def test_a_refusal_is_a_typed_error(self) -> None:
        tenant = self._tenant(hurried=True)
        self._session(tenant)
        for error, description in (
            ("invalid_grant", "authentication failure"),
            ("invalid_client_id", "client identifier invalid"),
            ("not_known_to_anybody", 'a "quoted" text\nof two lines'),
        ):
            self.emulator.refuse(error, description, times=None)
            self._fails_well(tenant, f"refuses the login as {error}")
            self.emulator.clear_faults()
        self.emulator.refuse("server_error", "", 500, times=None)
        self._fails_well(tenant, "refuses the login with 500")

    def test_an_org_without_a_usable_answer_is_a_typed_error(self) -> None:
        tenant = self._tenant(hurried=True)
        self._session(tenant)
        for what, fault in _FAILURES.items():
            with self._failing(fault):
                self._fails_well(tenant, what)

    def test_an_org_that_does_not_answer_is_given_up_in_time(self) -> None:
        tenant = self._tenant(hurried=True)
        self._session(tenant)
        limit_s = _HURRIED_S + _SLACK_S if has_deadline(tenant.provider) else self.longest_login_s
        self.emulator.break_transport(Delay(3600), times=None, path=self.failing_path)
        attempts: list[Attempt] = []
        thread = threading.Thread(target=lambda: attempts.append(log_in(tenant)), daemon=True)
        began = time.monotonic()
        thread.start()
        thread.join(limit_s)
        waited_s = time.monotonic() - began
        self.emulator.close()  # this ends the request
        thread.join(_SLACK_S)
        expected(waited_s < limit_s, f"a login waits for longer than {limit_s:.0f} s for an org that does not answer")
        self._check_failure(tenant, attempts[0], "does not answer")

    # Secrets

    def test_no_secret_is_shown(self) -> None:
        tenant = self._tenant()
        shown = f"{tenant.provider!r}\n{tenant.provider}\n{tenant.source.explain()!r}"
        found = [secret for secret in self._secrets(tenant) if secret in shown]
        expected(not found, f"repr, str or explain() show a secret: {settings_with(tenant, found)}")

    def test_no_secret_is_logged(self) -> None:
        with everything_said() as said:
            tenant = self._tenant(hurried=True)
            session = self._session(tenant)
            self.emulator.refuse("invalid_grant", "authentication failure", times=None)
            log_in(tenant)
        secrets = [*self._secrets(tenant), session.access_token]
        found = [piece for secret in secrets for piece in secrets_found(said, secret)]
        expected(not found, f"the log or the output shows a secret: {settings_with(tenant, found)}")

    def test_no_secret_is_in_an_error(self) -> None:
        tenant = self._tenant(hurried=True)
        session = self._session(tenant)
        secrets = [*self._secrets(tenant), session.access_token]
        self.emulator.refuse("invalid_grant", "authentication failure", times=None)
        attempts = {"refuses the login": log_in(tenant)}
        self.emulator.clear_faults()
        for what in ("answers with an HTML page", "answers with broken JSON", "is down"):
            with self._failing(_FAILURES[what]):
                attempts[what] = log_in(tenant)
        for what, attempt in attempts.items():
            if attempt.error is None:
                continue
            found = secrets_in(attempt.error, *secrets, is_test=is_outside_of_plugins)
            if attempt.raised is not None:
                found += secrets_in(attempt.raised.with_traceback(None), *secrets, is_test=is_outside_of_plugins)
            expected(not found, f"the error when the org {what} shows a secret: {settings_with(tenant, found)}")

    def test_no_secret_is_in_a_pickle(self) -> None:
        tenant = self._tenant(hurried=True)
        self._session(tenant)
        try:
            pickled = pickle.dumps(tenant.provider)
        except Exception:  # noqa: BLE001 - it refuses, by whatever error
            pickled = b""
        found = [secret for secret in self._secrets(tenant) if secret.encode() in pickled]
        expected(not found, "a pickle of the provider holds a secret; let __reduce__ raise a TypeError")
        self.emulator.refuse("invalid_grant", "authentication failure", times=None)
        if (error := log_in(tenant).error) is not None:
            pickled = pickle.dumps(error)
            copied = pickle.loads(pickled)  # noqa: S301 - made in the line above
            expected(type(copied) is type(error) and str(copied) == str(error), "an error does not survive pickling")
            found = [secret for secret in self._secrets(tenant) if secret.encode() in pickled]
            expected(not found, "the pickle of an error holds a secret")

    # What instances, threads and processes share

    def test_two_instances_do_not_share_a_session(self) -> None:
        for other in self._others(first := self._tenant()):
            for tenant in (first, other, first):
                self._session(tenant)

    def test_threads_with_instances_for_different_users_never_get_anothers_session(self) -> None:
        first = self._tenant()
        tenants = [first, *self._others(first)]
        for org in self._orgs:
            org.break_transport(Delay(0.01), times=None)  # logins overlap

        def log_in(number: int) -> None:
            for _ in range(3):
                self._session(tenants[number % len(tenants)])

        with often_switched():
            at_once(log_in, 4 * len(tenants))

    def test_threads_with_one_instance_each_get_a_session_of_their_own(self) -> None:
        tenant = self._tenant()
        self._session(tenant)
        with often_switched():
            tokens = at_once(lambda _: self._session(tenant).access_token)
        if self._asks(tenant):
            expected(len(set(tokens)) == THREADS, f"{THREADS} logins gave {len(set(tokens))} different sessions")

    def test_the_child_of_a_fork_logs_in_and_the_parent_goes_on(self) -> None:
        if not hasattr(os, "fork"):
            return
        tenant = self._tenant()
        before = self._session(tenant).access_token
        requests = self.emulator.count()
        self.emulator.break_transport(Delay(0.3))
        in_progress = threading.Thread(target=log_in_quietly, args=(tenant,))
        in_progress.start()
        if self._asks(tenant):
            until(lambda: self.emulator.count() > requests or not in_progress.is_alive(), "no request was sent")
        token = text_of_a_child(lambda: str(tenant.source.authenticate().access_token), self.fork_limit_s)
        in_progress.join()
        expected(token, "the child of a fork, made in the middle of a login, does not log in")
        if self._asks(tenant):
            expected(token != before, "the child of a fork returned the session of its parent")
            expected(self.emulator.is_live(str(token)), "the session of a child is not alive")
        self._session(tenant)

    # How the tests do it

    def _source(self, provider: Any) -> Any:
        if self._store is None and is_single_use(provider):
            self._store = new_store(self._opened)
        # Without the guard, the second login after a refusal would not reach the org.
        return self._opened.enter_context(kinetic.SessionSource(provider, store=self._store, lockout_guard=0))

    _store: Any = None  # of all sources of a test, for a provider whose token can be used once

    def _tenant(self, *, hurried: bool = False) -> Tenant:
        provider, login = self.make_provider(), self.emulator.default
        if hurried and has_deadline(provider):
            provider = attrs.evolve(provider, deadline=_HURRIED_S)
        return Tenant(provider, self.emulator, self._source(provider), login.username, login.client_id)

    def _others(self, first: Tenant) -> list[Tenant]:
        """Instances with other settings: for another user, through another app, in another org."""
        if not self._is_the_default(first, self._session(first)):
            changes: list[Callable[[], object]] = []
        else:
            changes = [
                lambda: first.org.renew_default(keep_app=True),
                lambda: first.org.renew_default(keep_user=True),
                first.org.renew_default,
            ]
        found = []
        for change in changes:
            change()
            tenant = self._tenant()
            if values_of(tenant.provider) != values_of(first.provider):  # else they are the same by right
                found.append(tenant)
        self._orgs.append(SalesforceEmulator().start())
        return [*found, self._tenant()]

    def _session(self, tenant: Tenant) -> Any:
        """Log in, and check that the session is the tenant's own."""
        session = tenant.source.authenticate()
        expected(isinstance(session, kinetic.SalesforceSession), "authenticate() does not return a SalesforceSession")
        if self._asks(tenant):
            holder = tenant.org.holder_of(session.access_token)
            expected(holder, "authenticate() returned a session that is not alive in the org of this instance")
            if self._follows_the_default:
                wanted = (tenant.username, tenant.client_id)
                expected(holder == wanted, f"an instance for {wanted[0]} got a session of {holder and holder[0]}")
        return session

    _follows_the_default = False

    def _is_the_default(self, tenant: Tenant, session: Any) -> bool:
        """Whether the factory uses `emulator.default`; from now on, each session is compared with it."""
        holder = tenant.org.holder_of(session.access_token)
        self._follows_the_default = holder == (tenant.username, tenant.client_id)
        return self._follows_the_default

    def _asks(self, tenant: Tenant) -> bool:
        """Whether the provider asks the org; one that takes its sessions from elsewhere does not."""
        if tenant.org.count():
            _asking.add(type(tenant.provider))
        return type(tenant.provider) in _asking

    @contextlib.contextmanager
    def _failing(self, fault: Fault | None) -> Iterator[None]:
        if fault is None:
            self.emulator.close()
        else:
            self.emulator.break_transport(fault, times=None, path=self.failing_path)
        try:
            yield
        finally:
            if fault is None:
                self.emulator.start()
            self.emulator.clear_faults()

    def _fails_well(self, tenant: Tenant, what: str) -> None:
        self._check_failure(tenant, log_in(tenant), what)

    def _check_failure(self, tenant: Tenant, attempt: Attempt, what: str) -> None:
        for error in filter(None, (attempt.raised, attempt.error)):
            expected(
                isinstance(error, kinetic.KineticAuthError),
                f"it raises {type(error).__name__} when the org {what}; raise a kinetic_auth_core.KineticAuthError",
            )
        if self._asks(tenant):
            expected(attempt.error, f"authenticate() returned a session, and the org {what}")

    def _secrets(self, tenant: Tenant) -> list[str]:
        values = [each.value_of(tenant.provider) for each in settings_of(tenant.provider) if each.secret]
        items = [item for value in values for item in (value if isinstance(value, list | tuple) else [value])]
        texts = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in items]
        found = {text for text in texts if isinstance(text, str) and len(text) >= _SHORTEST_SECRET}
        found.update(self._secrets_of_the_org())
        return sorted(found | {quote_plus(text) for text in found if "\n" not in text})

    def _secrets_of_the_org(self) -> list[str]:
        login = self.emulator.default
        return [login.client_secret, login.password, login.security_token, login.private_key_pem]
