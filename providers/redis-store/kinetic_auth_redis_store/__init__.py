"""kinetic-auth's session store in Redis or Valkey: one login for all processes, encrypted."""

from kinetic_auth_redis_store.store import RedisStore

__all__ = ["RedisStore"]
