"""Validators on settings that make no instance yet, because others are missing, wrong or still references.

A validator may read other settings from its instance. Here it gets an object of the class that has those that are
known; where it reads another, its verdict does not count: it is asked again with the instance.
"""

import functools
from collections.abc import Collection, Mapping
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.settings.schema import Setting, schema

_READ = "_kinetic_auth_read_unknown"


class _Partial:
    """What makes an object of a class one that lacks some of its settings, and knows when one of those was read."""

    __slots__ = ()

    def __init_subclass__(cls, **_options: Any) -> None:
        """Do nothing: hooks of the plugin's class for subclasses do not apply."""

    def __getattr__(self, name: str) -> Any:
        """Called for an attribute that is not there."""
        if not name.startswith("__"):
            object.__setattr__(self, _READ, True)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@functools.cache
def _partial(cls: type) -> type:
    names = {"__qualname__": cls.__qualname__, "__module__": cls.__module__}
    partial: Any = type(cls)(cls.__name__, (_Partial, cls), names)
    partial.__abstractmethods__ = frozenset()
    return partial  # type: ignore[no-any-return]


def refusals(cls: type, values: Mapping[str, Any], unknown: Collection[str] = ()) -> dict[str, str]:
    """For each setting that a validator refuses: why, without a secret. Settings that are not given have defaults.

    Args:
        cls: The attrs class.
        values: The values, as for the constructor.
        unknown: The settings that have no value yet.
    """
    settings = {each.name: each for each in schema(cls)}
    try:
        instance = _instance_of(cls, settings, values, unknown)
    except Exception as error:  # noqa: BLE001 - a metaclass that makes no subclass; the instance itself is checked later
        raise_interruption(error)
        return {}
    secrets = [value for name, value in values.items() if settings[name].secret and isinstance(value, str)]
    found = {}
    for name, setting in settings.items():
        object.__setattr__(instance, _READ, False)
        value = getattr(instance, setting.attribute_name, None)
        if getattr(instance, _READ):
            continue  # it has no value itself
        try:
            setting.validate(instance, value)
        except ValueError as error:
            if not getattr(instance, _READ):
                found[name] = mask(str(error), secrets)
    return found


def _instance_of(
    cls: type, settings: Mapping[str, Setting], values: Mapping[str, Any], unknown: Collection[str]
) -> Any:
    instance: Any = object.__new__(_partial(cls))
    for attribute in attrs.fields(cls):
        name = attribute.alias or attribute.name
        setting = settings.get(name) if attribute.init else None
        if setting is not None and name in unknown:
            continue
        try:
            value = values[name] if setting is not None and name in values else _default(attribute.default, instance)
            object.__setattr__(instance, attribute.name, value if setting is None else setting.converted(value))
        except Exception as error:  # noqa: BLE001 - a plugin's factory or converter; its field is unknown then
            raise_interruption(error)
    return instance


def _default(default: Any, instance: Any) -> Any:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
        return default.factory(instance) if default.takes_self else default.factory()
    if default is attrs.NOTHING:
        raise LookupError
    return default
