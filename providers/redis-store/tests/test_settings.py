"""The store's settings, and the errors for invalid ones, which do not show the value."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_core.plugins import schema
from kinetic_auth_redis_store import RedisStore

KEY = Fernet.generate_key().decode()
HOW_TO_MAKE_ONE = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
LOGIN = {"client_id": "id", "username": "ada@acme.com", "private_key": "key"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6380/3",
        "redis://:word@[::1]:6380/",
        "rediss://user:p%40ss@cache.internal:6380/0?ssl_ca_certs=/etc/ca.pem&client_name=app",
        "unix:///run/redis.sock",
        "unix://:word@/run/redis.sock?db=3",
    ],
)
def test_urls_of_three_schemes_are_accepted(url: str) -> None:
    assert RedisStore(url, KEY).url == url


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "is empty"),
        ("localhost:6379", "must begin with redis://, rediss:// (TLS) or unix://"),
        ("https://word@localhost", "must begin with redis://"),
        ("redis:/word", "must begin with redis://"),
        ("redis://", "needs a host"),
        ("redis://:word@:6379", "needs a host"),
        ("redis://:word@host:0", "a port between 1 and 65535"),
        ("redis://:word@host:70000", "is not a valid URL"),
        ("redis://:wo/rd@host:6379", "is not a valid URL"),
        ("redis://:word@host/staging", "needs a number as its database"),
        ("redis://:word@host?db=", "needs a number as its database"),
        ("redis://:word@host/0?ssl_cert_reqs=none", "has an option that is not one of client_name, db, ssl_ca_certs"),
        ("rediss://:word@host/0?socket_timeout=900", "has an option that is not one of"),
        ("redis://:word@host/0#x", "or an unescaped ? or # in its password"),
        ("redis://:word@host/0?ssl_ca_certs=/ca.pem", "has TLS options without TLS"),
        ("unix://run/redis.sock", "must have the absolute path of a socket"),
    ],
)
def test_any_other_url_is_rejected_without_showing_it(url: str, what: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as refused:
        RedisStore(url, KEY)
    [problem] = refused.value.problems
    assert what in problem
    assert "word" not in problem.replace("password", "")


def test_the_error_for_a_missing_key_says_how_to_create_one() -> None:
    nothing: list[Any] = [None, "", []]
    for key in nothing:
        with pytest.raises(kinetic.ConfigurationError) as refused:
            RedisStore("redis://localhost", key)
        assert "key: is missing: a session in Redis is as good as a password" in str(refused.value)
        assert HOW_TO_MAKE_ONE in str(refused.value)
        assert "set encrypt to false" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("canary", "key: is not a Fernet key"),
        (KEY[:-4] + "canary", "key: is not a Fernet key"),
        ("cänary", "key: is not a Fernet key"),
        ([KEY, "canary"], "key: no. 2 of the list is not a Fernet key"),
    ],
    ids=["too short", "not base64", "not ASCII", "in a list"],
)
def test_a_malformed_key_is_rejected_without_showing_it(key: Any, what: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as refused:
        RedisStore("redis://localhost", key)
    assert what in str(refused.value)
    assert HOW_TO_MAKE_ONE in str(refused.value)
    assert not any(secret in f"{refused.value!r} {refused.value}" for secret in ("canary", "cänary", KEY))


def test_a_key_and_encrypt_false_contradict_each_other() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="key: contradicts encrypt = false"):
        RedisStore("redis://localhost", KEY, encrypt=False)
    assert RedisStore("redis://localhost", encrypt=False).key is None


@pytest.mark.parametrize("prefix", ["a b", "{a}", "ä", "a\n"])
def test_a_prefix_that_would_split_a_key_over_a_cluster_is_rejected(prefix: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="prefix: must be ASCII without blanks"):
        RedisStore("redis://localhost", KEY, prefix=prefix)


@pytest.mark.parametrize("timeout", [0, -1, 61, float("nan"), float("inf")])
def test_a_timeout_outside_of_its_range_is_rejected(timeout: float) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="timeout: must be a number of seconds above 0, up to 60"):
        RedisStore("redis://localhost", KEY, timeout=timeout)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(kinetic.ConfigurationError) as refused:
        RedisStore("http://localhost", "canary", prefix="{", timeout=0)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["url", "key", "prefix", "timeout"]


def test_resolve_reports_problems_before_anything_is_sent() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"url": "redis://localhost"}, "key (from default): is missing"),
        ({"key": KEY}, "store.url is missing"),
        ({"url": "redis://localhost", "key": ["env://KEY", "canary"]}, "no. 2 of the list: is not a Fernet key"),
        ({"url": "redis://localhost", "key": KEY, "encrypt": False}, "key (from keyword): contradicts encrypt = false"),
    ]
    for store, what in cases:
        with pytest.raises(kinetic.ConfigurationError) as refused:
            kinetic.resolve("password", **LOGIN, store={"name": "redis", **store})
        assert what in str(refused.value)
        assert not any(secret in str(refused.value) for secret in ("canary", KEY))


def test_settings_can_come_from_variables_and_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"": "redis", "_URL": "redis://:word@localhost", "_KEY": KEY, "_TIMEOUT": "0.5"}.items():
        monkeypatch.setenv(f"SF_STORE{name}", value)
    rows = {row.name: row for row in kinetic.resolve("jwt-bearer", **LOGIN).explain()}
    assert rows["store"].value == "redis"
    assert rows["store.timeout"].value == 0.5
    for name in ("store.url", "store.key"):
        assert rows[name].secret
        assert rows[name].value == "********"
        assert rows[name].source == f"SF_STORE_{name[6:].upper()}"


def test_every_setting_has_a_help_text() -> None:
    assert [each.name for each in schema(RedisStore)] == ["url", "key", "encrypt", "prefix", "timeout", "replicas"]
    assert all(each.help.endswith(".") for each in schema(RedisStore))


def test_its_repr_shows_neither_url_nor_key() -> None:
    assert repr(RedisStore("redis://:word@localhost", KEY)) == (
        "RedisStore(encrypt=True, prefix='kinetic-auth:', timeout=1.0, replicas=0)"
    )


def test_constructing_a_store_sends_nothing_and_does_not_import_redis() -> None:
    script = f"""
import sys
from kinetic_auth_redis_store import RedisStore
assert "redis" not in sys.modules and "cryptography" not in sys.modules
RedisStore("redis://127.0.0.1:1", {KEY!r})
assert "redis" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
