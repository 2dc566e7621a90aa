"""The settings of a source, for any provider: how long a session is used, the brakes on logging in, and the guards."""

from typing import Any

import attrs

from kinetic_auth_core.config.merge import keyword_layer, settle
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.settings.schema import schema, setting
from kinetic_auth_core.settings.validators import check_seconds
from kinetic_auth_core.stores.guards import check_hosts, check_org_id, default_hosts


def _check_guard(instance: object, attribute: object, value: object) -> None:
    if value != 0:
        check_seconds(instance, attribute, value)


def _check_budget(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ConfigurationError("must be a number of logins, 1 or more")


#: Settings of grants that say how to connect, and nothing of who logs in.
WAYS = frozenset({"connect_timeout", "read_timeout", "deadline", "proxy", "ca_bundle", "api_version"})


@attrs.frozen(kw_only=True)
class SourceOptions:
    """What a source is told beside its provider's settings."""

    session_lifetime: float = setting(
        7200.0, help="Seconds for which a session is taken to live; Salesforce does not say.", validator=check_seconds
    )
    lockout_guard: float = setting(
        60.0, help="Seconds for which a refused credential is not tried again; 0: no guard.", validator=_check_guard
    )
    login_budget: int = setting(1000, help="Logins that a source may make in an hour.", validator=_check_budget)
    expected_org_id: str | None = setting(
        None, help="Id of the only org whose sessions are taken, 15 or 18 characters.", validator=check_org_id
    )
    allowed_instance_hosts: tuple[str, ...] | None = setting(
        None,
        help="Hosts that sessions may be for, such as *.my.salesforce.com; default: Salesforce's, and login_url's.",
        validator=check_hosts,
        derived=lambda given: default_hosts(getattr(given, "login_url", None)),
    )

    @classmethod
    def of(cls, options: dict[str, Any]) -> "SourceOptions":
        """Make them from keywords.

        Raises:
            ConfigurationError: One is unknown or wrong; all are named.
        """
        settled = settle(schema(cls), (), [keyword_layer(options)])
        if settled.problems:
            raise ConfigurationError.of("Cannot make a SessionSource", settled.problems)
        return cls(**settled.values)


DEFAULT_OPTIONS = SourceOptions()
