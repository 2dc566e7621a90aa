"""What a source logs in with: settled by `resolve`, or taken from an instance that was made by hand."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from kinetic_auth_core.checked import reference_problem
from kinetic_auth_core.credentials import Values
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, mask
from kinetic_auth_core.schema import schema
from kinetic_auth_core.settings import Alternatives, ExplainedSetting


@attrs.frozen
class Plan:
    """What a source logs in with.

    Attributes:
        provider: The provider's entry-point name, or the class name of an instance made by hand.
        make: Makes the instance from the values.
        values: Settings, some of them still references.
        rows: For `explain()`.
        distribution: `name version` of the package that brought the provider.
        environment: The environment of the config file, or None.
        lookup: Gives the value of an environment variable, for `env://NAME`.
        binary: The settings that take bytes.
    """

    provider: str
    make: Callable[..., Any] = attrs.field(repr=False)
    values: Mapping[str, Any] = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...] = attrs.field(repr=False)
    distribution: str | None = None
    environment: str | None = None
    lookup: Callable[[str], str | None] = attrs.field(default=os.environ.get, repr=False)
    binary: Collection[str] = ()


def plan_for(authenticator: Any) -> Plan:
    """The plan for an instance that was made by hand.

    Raises:
        ConfigurationError: One of its secrets is a reference.
    """
    rows = []
    lists: dict[str, Any] = {}
    for each in schema(type(authenticator)):
        if each.secret and (problem := reference_problem(each.value_of(authenticator))):
            raise ConfigurationError(f"Cannot use {type(authenticator).__name__}: {each.name}: {problem}")
    for each in schema(type(authenticator)):
        value = each.value_of(authenticator)
        if value is None and each.derived is not None:
            value = each.default_value(authenticator)
        source = "default" if not each.required and value == each.default_value(authenticator) else "constructor"
        rows.append(ExplainedSetting(each.name, each.shown(value), source, each.secret))
        if each.secret and each.takes_alternatives and isinstance(value, list | tuple):
            lists[each.name] = Alternatives(tuple(value))
    return Plan(
        getattr(authenticator, "provider_name", "") or type(authenticator).__name__,
        lambda **items: attrs.evolve(authenticator, **items) if items else authenticator,
        lists,
        tuple(rows),
    )


def make_instance(plan: Plan, values: Values) -> Any:
    """Make the provider's instance.

    Raises:
        ConfigurationError: Its class refuses the values.
    """
    try:
        return plan.make(**values.by_name)
    except KineticAuthError as error:
        failure = error.with_traceback(None)  # the constructor's frames have the secrets among their locals
    except Exception as error:  # noqa: BLE001 - other people's classes
        secrets = [value for value in values.by_name.values() if isinstance(value, str)]
        failure = ConfigurationError(
            f"Cannot make {plan.provider!r}: {mask(f'{type(error).__name__}: {error}', secrets)}"
        )
        del secrets
    raise failure
