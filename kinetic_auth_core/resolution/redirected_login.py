"""What a source logs in with while tests redirect logins to an emulator."""

from collections.abc import Mapping
from typing import Any

import attrs

from kinetic_auth_core.events import LoginRequest
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import LoginSpec, spec_for
from kinetic_auth_core.registry.loading import Observers
from kinetic_auth_core.settings.schema import setting
from kinetic_auth_core.transport import redirection
from kinetic_auth_core.transport.redirection import Redirection


@attrs.frozen
class EmulatorLogin(GrantAuthenticator):
    """Logs in at an emulator, instead of a provider that starts a program or a browser, or is not known to it."""

    client_id: str = setting(help="Consumer Key of the emulator's app.")
    client_secret: str = setting(help="Consumer Secret of the emulator's app.", secret=True)

    def grant(self, _request: LoginRequest) -> Mapping[str, str]:
        """The fields of the client credentials grant."""
        fields = {"client_id": self.client_id, "client_secret": self.client_secret}
        return {"grant_type": "client_credentials", **fields}


def redirected_spec(spec: LoginSpec) -> LoginSpec:
    """The spec to log in with: the one that was configured, or while logins are redirected, one for the emulator.

    That one has the emulator's credentials and keeps its session in memory. Of what was configured it has the name of
    the provider and its kind of login where the emulator has credentials for it, the API version, the observers that
    the application gave, and the options of the source but those that would refuse the emulator's org.

    Args:
        spec: What was configured.
    """
    target = redirection.current()
    if target is None:  # it has ended meanwhile
        return spec
    options = attrs.evolve(spec.options, expected_org_id=None, allowed_instance_hosts=None)
    replaced = spec_for(_authenticator(target, spec), options)
    return attrs.evolve(
        replaced,
        provider=spec.provider,
        environment=spec.environment,
        rows=tuple(attrs.evolve(row, source="redirect_logins") for row in replaced.rows),
        observers=Observers(given=spec.observers.given),
    )


def _authenticator(target: Redirection, spec: LoginSpec) -> object:
    version = spec.displayed("api_version")
    more: dict[str, Any] = {} if version is None else {"api_version": version}
    cls = spec.cls
    is_own = cls is not None and cls.__module__.startswith("kinetic_auth_") and not spec.is_single_use
    if cls is not None and is_own:
        try:
            return cls(**target.settings(spec.provider), **more)
        except ValueError:  # the emulator has no credentials for this provider
            pass
    return EmulatorLogin(**target.settings("client-credentials"), **more)
