"""A program of its own: calls an entry point with room on the stack for ever fewer calls; prints the locals that show.

A tracer, such as that of coverage, needs room of its own at each line, also in the boundary: so it is not loaded here.
"""

import inspect
import sys
import traceback
from typing import Any

import kinetic_auth_core as kinetic

kind, secret, password = sys.argv[1:]
settings: dict[str, Any] = {"client_id": "id", "client_secret": secret, "username": "u@x.example", "password": password}
cls = kinetic.OAuthAuthenticator  # loaded here: its loading has no secret among its locals, and no boundary


def make() -> object:
    return cls(**settings) if kind == "class" else kinetic.resolve("password", **settings)


def deeper(levels: int) -> object:
    return deeper(levels - 1) if levels else make()


def shown_by(error: BaseException) -> list[str]:
    """The locals of all frames below this file's, in the tracebacks of an error and its chain."""
    shown = []
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    for link in queue:
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        queue += [link.__cause__, link.__context__]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename != __file__:
                shown += [f"{frame.f_code.co_qualname}: {name}={value!r}" for name, value in frame.f_locals.items()]
    return shown


make()
failures = 0
for room in range(1, 40):
    depth = sys.getrecursionlimit() - len(inspect.stack(0)) - room
    try:
        deeper(depth)
    except (RecursionError, kinetic.KineticAuthError) as error:
        failures += 1
        print(*shown_by(error), sep="\n")
print("failures:", failures)
