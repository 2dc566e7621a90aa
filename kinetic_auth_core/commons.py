"""What the sources of one pool have in common: connections and observers."""

from collections.abc import Callable

import attrs

from kinetic_auth_core.budget import LoginBudget
from kinetic_auth_core.concurrency import Once
from kinetic_auth_core.stores.memory import MemoryStore
from kinetic_auth_core.transport.pool import Transports

_BUDGETS_KEPT = 10_000


@attrs.frozen(eq=False)
class Commons:
    """Shared by the sources of a pool; a source that is alone has one of its own.

    Attributes:
        transports: The connections.
        observers: The observers, each with its name, loaded at the first login.
        refusals: What the guards against lockouts remember, so that it outlives a source that makes room for another.
    """

    transports: Transports = attrs.field(factory=Transports)
    observers: Once[list[tuple[str, object]]] = attrs.field(factory=Once)
    refusals: MemoryStore = attrs.field(factory=MemoryStore)
    _budgets: dict[str, LoginBudget] = attrs.field(factory=dict)

    def budget(self, key: str, make: Callable[[], LoginBudget]) -> LoginBudget:
        """The login budget of whoever has this name in a store; it outlives the source as well."""
        if len(self._budgets) > _BUDGETS_KEPT:
            for name in [name for name, budget in list(self._budgets.items()) if budget.is_idle()]:
                self._budgets.pop(name, None)
        return self._budgets.setdefault(key, make())
