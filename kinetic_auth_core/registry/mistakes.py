"""What pluggy does not see in a plugin's class: hooks and methods that are async, generators, static or abstract."""

import inspect
from typing import Any

from kinetic_auth_core.registry.hookspecs import PROJECT

_MARK = f"{PROJECT}_impl"
_CORE = "kinetic_auth_core."


def marked(plugin: object) -> dict[str, Any]:
    """The hook implementations of a plugin's class, object or module: each name with what is there, not bound."""
    found = {}
    for name in dir(plugin):
        raw = inspect.getattr_static(plugin, name, None)
        if _options(raw) is not None:
            found[name] = raw
    return found


def hook_mistake(plugin: object) -> str | None:
    """What is wrong with a hook of a plugin's class, object or module, as the end of a sentence; None if nothing is."""
    for name, raw in marked(plugin).items():
        options = _options(raw) or {}
        may_yield = bool(options.get("wrapper") or options.get("hookwrapper"))
        if mistake := _mistake(name, raw, "a hook", may_yield=may_yield):
            return mistake
    return None


def method_mistake(cls: type) -> str | None:
    """What is wrong with a method that a class has in place of one of the core's base classes; None if nothing is."""
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        return f"lacks {' and '.join(f'{name}()' for name in missing)}, which its base class leaves to it"
    for base in cls.__mro__[1:]:
        if not f"{base.__module__}.".startswith(_CORE):
            continue
        for name, function in vars(base).items():
            raw = inspect.getattr_static(cls, name, None)
            if name.startswith("__") or not inspect.isfunction(function) or raw is function:
                continue
            if mistake := _mistake(name, raw, "it", may_yield=inspect.isgeneratorfunction(function)):
                return mistake
            if _options(raw) is None and (mistake := _argument_mistake(name, raw, function)):
                return mistake
    return None


def _options(raw: Any) -> dict[str, Any] | None:
    """The options of a hook's mark; None without one. The mark is on a static method or on the function in it."""
    for each in (raw, inspect.getattr_static(raw, "__func__", None) and raw.__func__):
        if isinstance(options := inspect.getattr_static(each, _MARK, None), dict):
            return options
    return None


def _mistake(name: str, raw: Any, what: str, *, may_yield: bool) -> str | None:
    if isinstance(raw, staticmethod | classmethod):
        kind = "static" if isinstance(raw, staticmethod) else "class"
        return f"has {name}() as a {kind} method, but {what} is called on the instance: remove @{kind}method"
    if not callable(raw):
        return f"has {name} as {type(raw).__name__}, but it is a method"
    if inspect.iscoroutinefunction(raw) or inspect.isasyncgenfunction(raw):
        return f"has {name}() as an async function, but {what} is called without an event loop: write it without async"
    if inspect.isgeneratorfunction(raw) and not may_yield:
        wrapper = ", or mark it with @hookimpl(wrapper=True)" if what == "a hook" else ""
        return f"has {name}() as a generator: return the value instead of yield{wrapper}"
    return None


def _argument_mistake(name: str, raw: Any, base: Any) -> str | None:
    parameters = inspect.signature(base).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [each.name for each in parameters if each.kind in kinds]
    by_name = {each.name: None for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    try:
        inspect.signature(raw).bind(*wanted, **by_name)
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError):  # a callable without a signature
            return None
        called = ", ".join([*wanted[1:], *(f"{each}=..." for each in by_name)])
        return f"has {name}{inspect.signature(raw)}, but it is called as {name}({called})"
    return None
