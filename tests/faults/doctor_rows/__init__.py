"""The faults that `kinetic-auth doctor` has to name first, by subject."""

from doctor_rows import configuration, hosts, keys, network, org, stores
from doctor_rows.row import Bench, Row

ROWS = (
    *configuration.ROWS,
    *keys.ROWS,
    *hosts.ROWS,
    *network.ROWS,
    *stores.ROWS,
    *org.ROWS,
)

__all__ = ["ROWS", "Bench", "Row"]
