"""A provider's instance with its org, and what one login of it ends with: what the suite for providers judges."""

import contextlib
import functools
import io
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing.emulator.emulator import SalesforceEmulator
from kinetic_auth_core.testing.leaks import secrets_in


@attrs.frozen
class Attempt:
    """A login: the session or the error that it ended with, and what `authenticate` itself raised."""

    session: Any = None
    error: BaseException | None = None
    raised: BaseException | None = None


@attrs.frozen(eq=False)
class Tenant:
    """A provider's instance and its org, with the login that was its default when the instance was made."""

    provider: Any
    org: SalesforceEmulator
    source: Any
    username: str
    client_id: str


def settings_of(provider: Any) -> Any:
    """The schema of a provider's settings."""
    from kinetic_auth_core.plugins import schema

    return schema(type(provider))


def values_of(provider: Any) -> dict[str, Any]:
    """The values of a provider's settings, by name."""
    return {each.name: each.value_of(provider) for each in settings_of(provider)}


def has_deadline(provider: Any) -> bool:
    """Whether a provider has the setting `deadline`."""
    return any(each.name == "deadline" for each in settings_of(provider))


def log_in_quietly(tenant: Tenant) -> None:
    """Log in by the tenant's source; a failure is of no interest."""
    with contextlib.suppress(Exception):
        tenant.source.authenticate()


def log_in(tenant: Tenant) -> Attempt:
    """Log in by a new source, and keep what came of it, and what the provider's own method raised."""
    opened = contextlib.ExitStack()
    store = new_store(opened) if is_single_use(tenant.provider) else None  # a mark of the attempt before is not there
    source = kinetic.SessionSource(tenant.provider, store=store, lockout_guard=0)
    cls = type(tenant.provider)
    original = getattr(cls, "authenticate", None)
    raised: list[BaseException] = []

    def authenticate(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)  # type: ignore[misc]  # None is not called
        except BaseException as error:
            raised.append(error)
            raise

    if original is not None:
        opened.enter_context(mock.patch.object(cls, "authenticate", functools.wraps(original)(authenticate)))
    try:
        return Attempt(session=source.authenticate())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - judged by the tests
        return Attempt(error=error, raised=raised[-1] if raised else None)
    finally:
        source.close()
        opened.close()


def secrets_found(said: io.StringIO, secret: str) -> list[str]:
    """The pieces of a secret that a text shows."""
    return secrets_in(said.getvalue() or "nothing", secret, is_test=is_outside_of_plugins)


def is_outside_of_plugins(file: str) -> bool:
    """Whether a file is of the suites or a test: what its variables hold is not shown to users."""
    path = Path(file)
    return path.parent == Path(__file__).parent or path.name.startswith(("test_", "conftest"))


def settings_with(tenant: Tenant, found: list[str]) -> str:
    """Which settings the found secrets are of; never the secrets."""
    names = [
        each.name
        for each in settings_of(tenant.provider)
        if any(isinstance(value := each.value_of(tenant.provider), str) and piece in value for piece in found)
    ]
    return ", ".join(names) or "one that the org has issued"


def is_single_use(provider: Any) -> bool:
    """Whether a provider's class says that what it logs in with can be used once."""
    return getattr(type(provider), "single_use", False) is True


def new_store(opened: contextlib.ExitStack) -> Any:
    """A store that the child of a fork shares, in a folder that is removed at the end.

    Args:
        opened: Removes it.
    """
    return kinetic.FileStore(opened.enter_context(tempfile.TemporaryDirectory()))
