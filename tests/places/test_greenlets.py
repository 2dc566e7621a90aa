"""gevent and eventlet: sockets of theirs, many logins in one thread, and patches that come late or by halves."""

import secrets
import time
from collections.abc import Callable

import pytest

from kinetic_auth_core.testing import Delay, Dribble, SalesforceEmulator

Run = Callable[..., str]

GEVENT = """
    import json, sys
    {patch}
    import gevent
    import kinetic_auth_core as kinetic
    from kinetic_auth_core.transport.connections import remaining_s

    source = kinetic.resolve("jwt-bearer", **json.loads(sys.argv[1]))
    {later}
    jobs = [gevent.spawn(source.{method}) for _ in range({count})]
    gevent.joinall(jobs, timeout=30)
    failed = [repr(job.exception) for job in jobs if not job.value]
    print(len({{job.value.access_token for job in jobs if job.value}}), failed)
    assert remaining_s() == float("inf"), "a deadline was left behind"
"""

EVENTLET = """
    import json, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import eventlet
    {patch}
    import kinetic_auth_core as kinetic
    from kinetic_auth_core.transport.connections import remaining_s

    source = kinetic.resolve("jwt-bearer", **json.loads(sys.argv[1]))
    pool = eventlet.GreenPool()
    found = [pool.spawn(source.{method}) for _ in range({count})]
    with eventlet.Timeout(30):
        print(len({{each.wait().access_token for each in found}}), [])
    assert remaining_s() == float("inf"), "a deadline was left behind"
"""


@pytest.mark.parametrize(
    "patch",
    [
        "from gevent import monkey; monkey.patch_all()",
        "from gevent import monkey; monkey.patch_all(thread=False)",
        "from gevent import monkey; monkey.patch_all(thread=False, time=False)",
        "from gevent import monkey; monkey.patch_socket(); monkey.patch_ssl()",
        "",
    ],
    ids=["all", "no-threads", "no-threads-no-time", "sockets", "nothing"],
)
def test_thirty_greenlets_get_one_session_by_one_login(tls_org: SalesforceEmulator, run: Run, patch: str) -> None:
    tls_org.break_transport(Delay(0.2))
    before = tls_org.token_requests
    program = GEVENT.format(patch=patch, later="", method="session", count=30)
    assert run(program, tls_org.settings("jwt-bearer")) == "1 []"
    assert tls_org.token_requests - before == 1


@pytest.mark.parametrize("threads", [True, False])
def test_logins_of_greenlets_leave_each_other_alone(tls_org: SalesforceEmulator, run: Run, threads: bool) -> None:
    patch = f"from gevent import monkey; monkey.patch_all(thread={threads})"
    program = GEVENT.format(patch=patch, later="", method="authenticate", count=5)
    assert run(program, tls_org.settings("jwt-bearer")).endswith(" []")


def test_gevent_may_be_patched_after_the_source_was_made(tls_org: SalesforceEmulator, run: Run) -> None:
    """As gunicorn's gevent worker does with preload_app: the application is imported before the fork."""
    later = "import warnings; warnings.simplefilter('ignore'); from gevent import monkey; monkey.patch_all()"
    program = GEVENT.format(patch="", later=later, method="session", count=5)
    assert run(program, tls_org.settings("jwt-bearer")) == "1 []"


def test_gevent_may_be_patched_after_a_login(tls_org: SalesforceEmulator, run: Run) -> None:
    """As an application does that logs in while it is imported."""
    later = """source.session()
    import warnings; warnings.simplefilter('ignore'); from gevent import monkey; monkey.patch_all()"""
    program = GEVENT.format(patch="", later=later, method="authenticate", count=5)
    assert run(program, tls_org.settings("jwt-bearer")) == "5 []"


@pytest.mark.parametrize("patch", ["eventlet.monkey_patch()", "eventlet.monkey_patch(thread=False)", ""])
@pytest.mark.parametrize("method", ["session", "authenticate"])
def test_eventlet_logs_in_by_tls(tls_org: SalesforceEmulator, run: Run, patch: str, method: str) -> None:
    program = EVENTLET.format(patch=patch, method=method, count=5)
    assert run(program, tls_org.settings("jwt-bearer")).endswith(" []")


DEADLINE = """
    import json, sys, time, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    {patch}
    import kinetic_auth_core as kinetic

    source = kinetic.resolve("jwt-bearer", deadline=1, **json.loads(sys.argv[1]))
    began = time.monotonic()
    try:
        source.session()
    except kinetic.TransportError as error:
        print(time.monotonic() - began < 3, error.message[-200:])
"""


@pytest.mark.parametrize(
    "patch", ["from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()", ""]
)
def test_the_deadline_holds_for_an_answer_that_dribbles(tls_org: SalesforceEmulator, run: Run, patch: str) -> None:
    tls_org.break_transport(Dribble())
    printed = run(DEADLINE.format(patch=patch), tls_org.settings("jwt-bearer"))
    assert printed.startswith("True ")
    assert "within the deadline of 1 s" in printed


INTERRUPTED = """
    import json, sys, time, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    {patch}
    import kinetic_auth_core as kinetic

    source = kinetic.resolve("refresh-token", store={{"name": "file", "path": "sessions"}}, **json.loads(sys.argv[1]))

    def limited():
        try:
            with library.Timeout(0.2):
                source.session()
        except library.Timeout:
            print("timed out")

    def again():
        print(source.session().is_valid())

    for each in (limited, again):
        job = library.spawn(each)
        getattr(job, "join", None) and job.join() or getattr(job, "wait", bool)()
"""


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize(
    "patch",
    [
        "from gevent import monkey; monkey.patch_all(thread={}); import gevent as library",
        "import eventlet as library; library.monkey_patch(all=True, thread={})",
    ],
    ids=["gevent", "eventlet"],
)
def test_a_greenlet_that_is_interrupted_in_mid_login_loses_no_token(
    tls_org: SalesforceEmulator,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    patch: str,
    rotates: bool,
    threads: bool,
) -> None:
    user = tls_org.add_user(f"{secrets.token_hex(4)}@greenlets.example")
    app = tls_org.add_app(scopes=("api", "refresh_token"))
    monkeypatch.setattr(tls_org.policy, "rotate_refresh_tokens", rotates)
    settings = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": tls_org.grant_refresh_token(app, user),
        "login_url": tls_org.url,
        "ca_bundle": str(tls_org.ca_bundle),
    }
    tls_org.break_transport(Delay(1.0))
    began = time.monotonic()
    assert run(INTERRUPTED.format(patch=patch.format(threads)), settings) == "timed out\nTrue"
    assert time.monotonic() - began < 30  # and not the time of a mark whose login had no answer
