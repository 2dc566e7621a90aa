"""What signal handlers do in the middle of a login: raise, and use the source themselves. All signals are real ones."""

import base64
import functools
import io
import json
import logging
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.oauth.endpoints import json_object
from kinetic_auth_core.registry.hookspecs import KeyLoaderHooks
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_core.transport.connections import remaining_s

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers that send signals"),
    pytest.mark.usefixtures("full_tier"),
]

PASSWORD = "canary-of-the-password"


class JobTimeoutError(Exception):
    """What a job queue raises."""


class HardStop(BaseException):
    """What must not be caught."""


@pytest.fixture(autouse=True)
def _no_alarm_is_left() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A host that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as server:
        yield server


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def source_at(login_url: str, **settings: Any) -> kinetic.SessionSource:
    who = {"client_id": "id", "client_secret": "canary-of-the-secret", "username": "u@acme.example"}
    return kinetic.resolve("password", **who, password=PASSWORD, login_url=login_url, deadline=20, **settings)


class Raising:
    """A handler in each of the forms that Python takes."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def method(self, number: int, frame: object) -> None:
        raise self.error

    def __call__(self, *arguments: object) -> None:
        raise self.error

    def restoring(self, number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise self.error

    def for_job(self, job: str, number: int, frame: object) -> None:
        raise self.error


HANDLERS: dict[str, Callable[[Raising], Any]] = {
    "method": lambda raising: raising.method,
    "object": lambda raising: raising,
    "varargs": lambda raising: raising.__call__,
    "partial": lambda raising: functools.partial(raising.for_job, "job"),
    "restores the one before": lambda raising: raising.restoring,
}
ERRORS = [
    JobTimeoutError("over"),
    TimeoutError("over"),
    ConnectionError("x"),
    ValueError("x"),
    KeyboardInterrupt(),
    HardStop(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["session", "authenticate"])
def test_what_a_handler_raises_passes_as_it_is_and_nothing_is_sent_again(
    silent: socket.socket, error: BaseException, method: str
) -> None:
    source = source_at(url_of(silent))
    signal.signal(signal.SIGALRM, Raising(error))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    with pytest.raises(type(error)) as caught:
        getattr(source, method)()
    assert caught.value is error
    assert time.monotonic() - began < 5
    assert requests_at(silent) <= 1
    assert secrets_in_locals(error) == []
    assert remaining_s() == float("inf")


@pytest.mark.parametrize("form", HANDLERS)
def test_a_handler_of_any_form_is_recognised(silent: socket.socket, form: str) -> None:
    signal.signal(signal.SIGALRM, HANDLERS[form](Raising(TimeoutError("over"))))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(TimeoutError, match="over") as caught:
        source_at(url_of(silent)).session()
    assert type(caught.value) is TimeoutError


def test_an_authenticator_without_a_source_lets_it_pass_as_well(silent: socket.socket) -> None:
    authenticator = kinetic.OAuthAuthenticator("id", "secret", "u@acme.example", PASSWORD, login_url=url_of(silent))
    signal.signal(signal.SIGALRM, Raising(TimeoutError("over")))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(TimeoutError, match="over") as caught:
        authenticator.authenticate()
    assert secrets_in_locals(caught.value) == []


def requests_at(server: socket.socket) -> int:
    server.settimeout(0.2)
    count = 0
    try:
        while True:
            server.accept()[0].close()
            count += 1
    except TimeoutError:
        return count


def secrets_in_locals(error: BaseException) -> list[str]:
    """The frames of the library in a traceback and its causes whose locals show the password."""
    found, links = [], [error]
    for link in links:
        stack = link.__traceback__
        while stack is not None:
            name = stack.tb_frame.f_globals.get("__name__", "")
            if not name.startswith(("test_", "tests", "_pytest")) and PASSWORD in repr(stack.tb_frame.f_locals):
                found.append(name)
            stack = stack.tb_next
        links += [each for each in (link.__cause__, link.__context__) if each is not None]
        assert not hasattr(link, "request")
    return found


@attrs.frozen
class Waiting:
    """A provider that waits for an alarm in code of its own."""

    raises: BaseException | None = None

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        if self.raises is not None:
            raise self.raises
        time.sleep(5)
        return kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "1")


def test_what_a_handler_raises_in_a_plugins_code_is_not_the_plugins() -> None:
    signal.signal(signal.SIGALRM, Raising(JobTimeoutError("over")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(JobTimeoutError):
        kinetic.SessionSource(Waiting()).session()


class JobValueError(ValueError):
    """A time-out that looks like the error of a parser."""


def test_what_a_handler_raises_while_an_answer_is_read_is_no_wrong_answer() -> None:
    objects = b'{"answer": [' + b'{"a": 1},' * 100_000 + b"{}]}"

    def handler(_number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "_each_once":
            raise JobValueError("over")
        signal.setitimer(signal.ITIMER_REAL, 0.0005)  # it came elsewhere, such as while garbage is collected

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.005)
    with pytest.raises(JobValueError):
        all(json_object(objects) for _ in range(100))


def test_what_a_plugin_raises_itself_still_is() -> None:
    with pytest.raises(kinetic.AuthenticationError, match="the plugin 'Waiting' raised TimeoutError: mine"):
        kinetic.SessionSource(Waiting(TimeoutError("mine"))).session()


#: A signal comes while a file is opened: the audit hook sends it, and its handler raises an `OSError`.
INTERRUPT_OPENING = """
import json, os, signal, sys
import kinetic_auth_core as kinetic

provider, file, settings = json.loads(sys.stdin.read())
source = kinetic.resolve(provider, **settings)

def expire(number, frame):
    raise TimeoutError("the job's")

def watch(event, arguments):
    if event == "open" and str(arguments[0]) == file and signal.getsignal(signal.SIGALRM) is expire:
        signal.raise_signal(signal.SIGALRM)

signal.signal(signal.SIGALRM, expire)
sys.addaudithook(watch)
try:
    source.session()
    print("a session")
except BaseException as error:
    print(f"{type(error).__name__}: {error}")
signal.signal(signal.SIGALRM, signal.SIG_DFL)
print(source.session().is_valid())
"""


@pytest.mark.parametrize("where", ["private_key", "private_key_path", "client_cert", "subject_token"])
def test_what_a_handler_raises_while_a_file_is_opened_is_not_the_files(
    sf: SalesforceEmulator, key_pair: KeyPair, tmp_path: Path, where: str
) -> None:
    provider = "token-exchange" if where == "subject_token" else "jwt-bearer"
    settings, file = sf.settings(provider), tmp_path / "file"
    if where == "client_cert":
        file.write_text(key_pair.private_key_pem + key_pair.certificate_pem)
        settings[where] = str(file)
    elif where == "subject_token":
        payload = settings[where].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        file.write_text(settings[where])
        settings[where] = f"oidc://file{file}?audience={claims['aud']}"
    else:
        file.write_text(settings.pop("private_key"))
        settings[where] = str(file) if where == "private_key_path" else f"file://{file}"
    file.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT_OPENING],
        input=json.dumps([provider, str(file), settings]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["TimeoutError: the job's", "True"], done.stderr


class WrappingLoader:
    """A key loader that makes an error of its own of whatever is raised."""

    @kinetic.hookimpl
    def load_key(self, reference: kinetic.Reference) -> bytes:
        try:
            time.sleep(5)
        except OSError as error:
            raise kinetic.KeyLoadError(f"{reference}: the vault does not answer.") from error
        return b""


def test_what_a_handler_raises_in_a_key_loader_is_not_the_loaders() -> None:
    signal.signal(signal.SIGALRM, Raising(TimeoutError("over")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(TimeoutError, match="over"):
        KeyLoaderHooks(WrappingLoader()).load_key(kinetic.Reference("vault", "key"))


class SlowStore(kinetic.MemoryStore):
    """A store that waits for an alarm."""

    def get(self, key: str) -> kinetic.StoredValue | None:
        time.sleep(5)
        return super().get(key)


def test_what_a_handler_raises_in_a_store_is_no_outage_of_the_store() -> None:
    source = kinetic.SessionSource(Waiting(), store=SlowStore())
    signal.signal(signal.SIGALRM, Raising(TimeoutError("over")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(TimeoutError, match="over"):
        source.session()
    assert not source.store_is_down


class SlowObserver:
    """An observer that waits for an alarm."""

    @kinetic.hookimpl
    def session_issued(self, provider: str) -> None:
        time.sleep(5)


def test_what_a_handler_raises_in_an_observer_ends_the_call() -> None:
    session = kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "1")
    source = kinetic.SessionSource(Constant(session), observers=[SlowObserver()])
    signal.signal(signal.SIGALRM, Raising(JobTimeoutError("over")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(JobTimeoutError):
        source.session()


@attrs.frozen
class Constant:
    """A provider with a session at hand."""

    given: kinetic.SalesforceSession

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return self.given


SESSION = kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "1")


class _Lock:
    """The lock of a log handler; the signal comes when it was just acquired."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.is_armed = True

    def acquire(self) -> None:
        self.inner.acquire()
        if self.is_armed:
            self.is_armed = False
            signal.raise_signal(signal.SIGALRM)

    def release(self) -> None:
        self.inner.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return bool(self.inner._is_owned())


@pytest.fixture
def interrupted_handler() -> Iterator[logging.Handler]:
    handler, log = logging.StreamHandler(io.StringIO()), logging.getLogger("kinetic_auth_core")
    before = log.level
    handler.lock = _Lock(handler.lock)  # type: ignore[assignment]
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


def test_what_a_handler_raises_while_a_line_is_logged_leaves_no_lock_held(
    interrupted_handler: logging.Handler,
) -> None:
    error = JobTimeoutError("time is up")
    signal.signal(signal.SIGALRM, Raising(error).method)
    source = kinetic.SessionSource(Constant(SESSION))
    with pytest.raises(JobTimeoutError):
        source.session()
    other = threading.Thread(target=logging.getLogger("kinetic_auth_core").info, args=("another thread",), daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()


def test_what_a_handler_raises_while_the_library_logs_an_error_is_not_lost(
    interrupted_handler: logging.Handler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kinetic_auth_core.redaction")
    interrupted_handler.addFilter(lambda record: record.name == "kinetic_auth_core.redaction")
    signal.signal(signal.SIGALRM, Raising(JobTimeoutError("time is up")).method)
    with pytest.raises(JobTimeoutError) as caught:
        kinetic.SessionSource(Waiting(kinetic.CredentialsRejectedError("no"))).session()
    assert secrets_in_locals(caught.value) == []
    assert not interrupted_handler.lock._is_owned()  # type: ignore[union-attr]


def test_the_lock_of_a_handler_that_uses_the_source_itself_stays_with_it(interrupted_handler: logging.Handler) -> None:
    error = JobTimeoutError("time is up")
    signal.signal(signal.SIGALRM, Raising(error).method)
    source = kinetic.SessionSource(Constant(SESSION))
    held: list[bool] = []

    class Posts(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with pytest.raises(JobTimeoutError):
                source.session()
            held.extend(each.lock._is_owned() for each in (self, interrupted_handler))  # type: ignore[union-attr]

    Posts().handle(logging.makeLogRecord({"msg": "posted"}))
    assert held == [True, False]


def test_who_waits_for_an_interrupted_login_takes_it_over() -> None:
    source = kinetic.SessionSource(WaitsOnce())
    found: list[kinetic.SalesforceSession] = []
    waiting = threading.Thread(target=lambda: found.append(source.session()))

    def handler(*_: object) -> None:
        raise JobTimeoutError

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    threading.Timer(0.1, waiting.start).start()
    with pytest.raises(JobTimeoutError):
        source.session()
    waiting.join(10)
    assert found


@attrs.frozen
class WaitsOnce:
    """A provider whose first login never ends."""

    tries: list[None] = attrs.field(init=False, factory=list)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        self.tries.append(None)
        if len(self.tries) == 1:
            time.sleep(30)
        return kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "1")


STORM = """
    import json, random, signal, sys, time
    import attrs
    import kinetic_auth_core as kinetic

    @attrs.frozen
    class Counting:
        made: list[None] = attrs.field(init=False, factory=list)

        @kinetic.hookimpl
        def authenticate(self):
            self.made.append(None)
            return kinetic.SalesforceSession(f"00D!{len(self.made)}", "https://acme.my.salesforce.com", "", "1")

    class Stop(Exception):
        pass

    def handler(*_):
        if is_armed:
            raise Stop

    def cycle():
        source.invalidate(source.session())
        source.session()

    kept, again_after_s = json.loads(sys.argv[1])
    store = kinetic.FileStore("sessions") if kept == "file" else None
    source = kinetic.SessionSource(Counting(), store=store, login_budget=10**7)
    is_armed, interrupted, longest_s = False, 0, 0.0
    signal.signal(signal.SIGALRM, handler)
    began = time.monotonic()
    for _ in range(20):
        cycle()
    cycle_s = (time.monotonic() - began) / 20
    ends_at = time.monotonic() + 2
    while time.monotonic() < ends_at:
        try:
            try:
                is_armed = True
                signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, cycle_s * 1.2), again_after_s)
                cycle()
            finally:
                is_armed = False
        except Stop:
            interrupted += 1
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        began = time.monotonic()
        cycle()
        longest_s = max(longest_s, time.monotonic() - began)
    print(json.dumps([interrupted, longest_s]))
"""


@pytest.mark.parametrize("store", ["memory", "file"])
@pytest.mark.parametrize("again_after_s", [0.0, 0.0005], ids=["once", "in a row"])
def test_after_signals_at_any_line_the_source_works(run: Callable[..., str], store: str, again_after_s: float) -> None:
    interrupted, longest_s = json.loads(run(STORM, [store, again_after_s]))
    assert interrupted > 5
    assert longest_s < 4  # a lease or lock that is left behind would hold it for 5 s or more


@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_handler_may_use_the_source(sf: SalesforceEmulator, tmp_path: Path, store: str) -> None:
    kept: Any = {"name": "file", "path": str(tmp_path / "sessions")} if store == "file" else store
    source = kinetic.resolve("password", **sf.settings("password"), store=kept, login_budget=10**6)
    chance = random.Random(7)  # noqa: S311 - picks moments
    typed = 0

    def handler(*_: object) -> None:
        nonlocal typed
        try:
            source.invalidate(source.session())
            source.authenticate()
        except kinetic.KineticAuthError:
            typed += 1

    logging.disable(logging.WARNING)
    try:
        signal.signal(signal.SIGALRM, handler)
        ends_at = time.monotonic() + 2
        while time.monotonic() < ends_at:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(5e-5, 6e-3))
            source.invalidate(source.session())
            assert source.session().is_valid()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        logging.disable(logging.NOTSET)
    assert source.session().is_valid()


WHILE_THE_THREAD_STARTS = """
    import asyncio, json, os, signal, sys, threading
    import kinetic_auth_core as kinetic

    source = kinetic.resolve("client-credentials", **json.loads(sys.argv[1]))

    def handler(*_):
        threading.Timer(20, os._exit, [1]).start()
        try:
            source.session()
        except kinetic.ConfigurationError as error:
            print(error.message)

    def profile(frame, event, argument):
        if event == "call" and frame.f_code is threading.Thread.start.__code__:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGALRM)

    async def main():
        sys.setprofile(profile)
        print((await source.asession()).is_valid(), flush=True)
        print((await source.asession()).is_valid(), flush=True)
        os._exit(0)

    signal.signal(signal.SIGALRM, handler)
    asyncio.run(main())
"""


def test_a_handler_that_strikes_while_asession_starts_its_thread_does_not_wait_for_it(
    sf: SalesforceEmulator, run: Callable[..., str]
) -> None:
    said = run(WHILE_THE_THREAD_STARTS, sf.settings("client-credentials"))
    assert said == "session() was called from within the login that makes the session.\nTrue\nTrue"
