"""Faults, a row each; `ROWS` has all of them, in the table's order."""

from fault_rows import connection, echoes, fields, guards, http, json_text, refusals, status, tls
from fault_rows.row import Row, Target

__all__ = ["ROWS", "Row", "Target"]

ROWS: list[Row] = [
    row for part in (connection, tls, status, http, json_text, fields, guards, refusals, echoes) for row in part.ROWS
]
