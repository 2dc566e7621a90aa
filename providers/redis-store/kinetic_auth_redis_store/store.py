"""The session store: its settings, and the operations of the contract in Redis."""

import hmac
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import attrs

from kinetic_auth_core import ConfigurationError, Once, SessionStore, StoredValue, setting
from kinetic_auth_core.plugins import (
    HOW_TO_MAKE_A_KEY,
    FernetSealer,
    PlainSealer,
    Sealer,
    ValidatedMeta,
    keys_of,
    reset_after_fork,
)
from kinetic_auth_redis_store import scripts
from kinetic_auth_redis_store.address import check_url, connect

logger = logging.getLogger(__name__)

_MAX_TIMEOUT_S = 60
_MAX_STORED_BYTES = 1024 * 1024  # a session has a few kilobytes
_LOOKED_AT = 100  # values
#: The settings of the server that decide whether a value that it has confirmed can be lost.
_DURABILITY_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
_GLOB = re.compile(r"[\\*?\[\]]")


def _check_key(instance: Any, _attribute: object, value: Any) -> None:
    """Check the keys; and, on a complete instance, whether they agree with `encrypt`."""
    if keys := keys_of(value):
        FernetSealer(keys)
    if instance is None:
        return
    if instance.encrypt and not keys:
        what = f"is missing: a session in Redis is as good as a password. To make one: {HOW_TO_MAKE_A_KEY}"
        raise ConfigurationError(f"{what}. To store sessions in clear, set encrypt to false")
    if keys and not instance.encrypt:
        raise ConfigurationError("contradicts encrypt = false: omit one of them")


def _check_prefix(_instance: object, _attribute: object, value: str) -> None:
    if not value.isprintable() or not value.isascii() or set(value) & set("{} "):
        raise ConfigurationError("must be ASCII without blanks, { and }, which group keys in a cluster")


def _check_timeout(_instance: object, _attribute: object, value: float) -> None:
    if not 0 < value <= _MAX_TIMEOUT_S:
        raise ConfigurationError(f"must be a number of seconds above 0, up to {_MAX_TIMEOUT_S}")


def _check_replicas(_instance: object, _attribute: object, value: int) -> None:
    if value < 0:
        raise ConfigurationError("must be a number of replicas, 0 or more")


def _now() -> tuple[float, float]:
    """By two clocks: the first stands still while the machine sleeps, the second may be set back."""
    return time.monotonic(), time.time()


@attrs.define(eq=False)
class RedisStore(SessionStore, metaclass=ValidatedMeta):
    """Keeps sessions in Redis or Valkey, so that all processes of a deployment share one login.

    Safe for threads and after `fork`. Errors of redis-py are raised unchanged: a source then uses its own memory.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database if needed. A private CA for
            TLS: `rediss://host:6380/0?ssl_ca_certs=/etc/ssl/ca.pem`.
        key: A Fernet key; or a list, of which the first encrypts and all decrypt, so that keys can be rotated.
        encrypt: False stores sessions in clear, without a key.
        prefix: The prefix of all names in Redis.
        timeout: Seconds for connecting, and for each answer.
        replicas: How many replicas have to confirm a value before it counts as stored (`WAIT`).

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.

    Attributes:
        most_idle_s: Seconds for which an idle connection is used again. A store is asked about once in the life of a
            session, and a gateway or balancer forgets an idle connection after minutes without a word: a command that
            is sent over it gets no answer.
    """

    durable: ClassVar[bool] = True
    most_idle_s: ClassVar[float] = 10.0

    url: str = setting(
        help="Where Redis is: redis://, rediss:// (TLS) or unix://; may hold a password.",
        secret=True,
        validator=check_url,
    )
    key: str | Sequence[str] | None = setting(
        default=None,
        help="Fernet key that encrypts what is stored; or a list: the first encrypts, all decrypt.",
        secret=True,
        validator=_check_key,
    )
    encrypt: bool = setting(default=True, help="False stores sessions in clear, without a key.")
    prefix: str = setting(default="kinetic-auth:", help="Prefix of all names in Redis.", validator=_check_prefix)
    timeout: float = setting(default=1.0, help="Seconds for connecting, and for each answer.", validator=_check_timeout)
    replicas: int = setting(
        default=0, help="Replicas that have to confirm each value (WAIT).", validator=_check_replicas
    )
    _client: Once[Any] = attrs.field(init=False, repr=False, factory=Once)
    _clean_at: tuple[float, float] = attrs.field(init=False, repr=False, factory=_now)
    _sealer: Once[Sealer] = attrs.field(init=False, repr=False, factory=Once)
    _warned: threading.Lock = attrs.field(init=False, repr=False, factory=threading.Lock)

    def __attrs_post_init__(self) -> None:
        reset_after_fork(self)

    @classmethod
    def import_modules(cls) -> None:
        """Import redis-py and cryptography. Called when a source is made."""
        import redis.backoff
        import redis.retry  # noqa: F401 - all three are used in functions

    def get(self, key: str) -> StoredValue | None:
        """The value; None if there is none, it has expired, is longer than 1 MiB, or cannot be decrypted."""
        name = self._name(key, "value")
        found = self._run(scripts.GET, name, _MAX_STORED_BYTES)
        if not isinstance(found, list):
            self._warn_of_unreadable()
            return None
        stored, generation = found
        if stored is None and generation is None:
            return None
        value = None if stored is None else self._seal().open(name, stored)
        if value is None or generation is None or not generation.isdigit():
            self._warn_of_unreadable()
            return None
        return StoredValue(value, int(generation))

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value; see `SessionStore.put`."""
        name = self._name(key, "value")
        sealed = self._seal().seal(name, value)
        arguments = (name, _text(generation), sealed, _milliseconds(expires_in_s))
        if not self.replicas:
            made = self._run(scripts.PUT, *arguments)
        else:
            with self._redis().client() as connection:  # WAIT is about what the same connection has written
                made = self._run(scripts.PUT, *arguments, client=connection)
                if made is not None:
                    self._await_replicas(connection)
        return None if made is None else int(made)

    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Delete a value; see `SessionStore.delete`."""
        return bool(self._run(scripts.DELETE, self._name(key, "value"), _text(generation)))

    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Take the lease of a key; see `SessionStore.acquire`."""
        return bool(self._run(scripts.ACQUIRE, self._name(key, "lease"), holder, _milliseconds(expires_in_s)))

    def release(self, key: str, holder: str) -> None:
        """Release the lease if `holder` still has it."""
        self._run(scripts.RELEASE, self._name(key, "lease"), holder)

    def naming_key(self) -> bytes | None:
        """Derived from the last key of the list, the oldest; None where sessions are stored in clear."""
        keys = keys_of(self.key)
        return hmac.digest(keys[-1].encode(), b"kinetic-auth names of sessions", "sha256") if keys else None

    def durability_problems(self) -> list[str]:
        """What in the server's configuration can lose a value that `put` has stored, as far as it may be asked."""
        from redis import RedisError

        client = self._redis()
        try:
            found = {name: text for asked in _DURABILITY_SETTINGS for name, text in client.config_get(asked).items()}
            connected = client.info("replication").get("connected_slaves", 0)
        except RedisError as error:
            return [
                f"its configuration may not be read ({type(error).__name__}), so nobody has checked that it is durable"
            ]
        return configuration_problems(found, int(connected), self.replicas)

    def key_problems(self) -> list[str]:
        """Whether none of the first values that it holds can be decrypted, though there are some."""
        if not self.encrypt:
            return []
        prefix = _GLOB.sub(r"\\\g<0>", self.prefix)
        pattern = f"{prefix}{{*}}:value"
        names = list(islice(self._redis().scan_iter(match=pattern, count=_LOOKED_AT), _LOOKED_AT))
        found = [(name, self._run(scripts.GET, name, _MAX_STORED_BYTES)) for name in map(_name_of, names)]
        stored = [(name, answer[0]) for name, answer in found if isinstance(answer, list) and answer[0] is not None]
        if not stored or any(self._seal().open(name, value) is not None for name, value in stored):
            return []
        return [f"none of the {len(stored)} values there can be decrypted: they were written with another key"]

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        if (client := self._client.take()) is not None:
            client.close()

    def _name(self, key: str, what: str) -> str:
        """The name in Redis. A cluster hashes the part in braces: everything of a key is on one node."""
        return f"{self.prefix}{{{key}}}:{what}"

    def _run(self, script: str, name: str, *arguments: str | bytes | int, client: Any = None) -> Any:
        from redis import ReadOnlyError

        client = client or self._redis()
        try:
            return client.eval(script, 1, name, *arguments)
        except ReadOnlyError:  # the other end has become a replica: the address may lead to the new master by now
            if client.connection is not None:
                client.connection.disconnect()
            client.connection_pool.disconnect(inuse_connections=False)
            raise

    def _await_replicas(self, client: Any) -> None:
        confirmed = client.wait(self.replicas, _milliseconds(self.timeout / 2))
        if confirmed < self.replicas:
            logger.warning(
                "Redis: %d of %d replicas have confirmed a value in time, so a failover may lose it",
                confirmed,
                self.replicas,
            )

    def _redis(self) -> Any:
        """The client, without idle connections; untyped: redis-py types each answer as a possible awaitable."""
        client, now = self._client.get(lambda: connect(self.url, self.timeout)), _now()
        if max(each - then for each, then in zip(now, self._clean_at, strict=True)) > self.most_idle_s:
            self._clean_at = now
            client.connection_pool.disconnect(inuse_connections=False)  # what stays was in use since then
        return client

    def _seal(self) -> Sealer:
        return self._sealer.get(lambda: FernetSealer(keys_of(self.key)) if self.encrypt else PlainSealer())

    def _warn_of_unreadable(self) -> None:
        """Warn once: each login finds the value again until a session replaces it."""
        if self._warned.acquire(blocking=False):  # never released: once
            logger.warning(
                "a value in Redis cannot be read: wrong key or corrupted, or longer than 1 MiB. It is ignored, and the "
                "next stored session replaces it. Processes with another key log in separately"
            )

    def _after_fork(self) -> None:
        """In the child: connections and locks of the client belong to the parent."""
        self._client = Once()


def _name_of(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _text(generation: int | None) -> str:
    return "" if generation is None else str(generation)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def configuration_problems(settings: Mapping[str, str], connected: int, replicas: int) -> list[str]:
    """What may lose a value that Redis has confirmed, as ends of sentences that begin with the server.

    Args:
        settings: What `CONFIG GET` has answered; a setting that is missing is not judged.
        connected: How many replicas are connected.
        replicas: How many of them have to confirm a value.
    """
    found = []
    if settings.get("appendonly", "yes") != "yes":
        found.append("appendonly is off, so a restart loses the newest values: set appendonly yes")
    elif settings.get("appendfsync", "always") == "no":
        found.append("appendfsync is no, so a crash of the machine loses the newest values: set everysec or always")
    policy = settings.get("maxmemory-policy", "noeviction")
    if settings.get("maxmemory", "0") != "0" and policy != "noeviction":
        found.append(f"maxmemory-policy is {policy}, which may evict a token: set noeviction")
    if connected and not replicas:
        found.append("it has replicas, and a failover loses values that are not replicated yet: set replicas (WAIT)")
    return found
