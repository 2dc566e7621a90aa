"""What the sources of one pool have in common: connections and observers."""

import attrs

from kinetic_auth_core.once import Once
from kinetic_auth_core.transports import Transports


@attrs.frozen(eq=False)
class Commons:
    """Shared by the sources of a pool; a source that is alone has one of its own.

    Attributes:
        transports: The connections.
        observers: The observers, each with its name, loaded at the first login.
    """

    transports: Transports = attrs.field(factory=Transports)
    observers: Once[list[tuple[str, object]]] = attrs.field(factory=Once)
