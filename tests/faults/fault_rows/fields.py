"""Invalid or missing fields of a session."""

from fault_rows.causes import ID, session
from fault_rows.row import ACCESS, Row

ROWS = [
    Row("fields", "no access_token", session(access_token=...)),
    Row("fields", "access_token: null", session(access_token=None)),
    Row("fields", "access_token: a number", session(access_token=5)),
    Row("fields", "access_token with a line break and a header", session(access_token=f"{ACCESS}\r\nX-Injected: 1")),
    Row("fields", "access_token with a space", session(access_token=f"{ACCESS} x")),
    Row("fields", "access_token with a NUL", session(access_token=f"{ACCESS}\0")),
    Row("fields", "access_token that is not ASCII", session(access_token=f"{ACCESS}ö")),
    Row("fields", "access_token with a lone surrogate", session(access_token=f"{ACCESS}\ud800")),
    Row("fields", "access_token of 20,000 characters", session(access_token=ACCESS * 700)),
    Row("fields", "token_type: MAC", session(token_type="MAC")),
    Row("fields", "token_type with a line break", session(token_type="Bearer\r\n")),
    Row("fields", "id: a list", session(id=[ID])),
    Row("fields", "id with an escape sequence", session(id=f"{ID}\x1b[2J")),
    Row("fields", "scope: an object", session(scope={})),
    Row("fields", "scope with a control character", session(scope="api\x07")),
    Row("fields", "issued_at: a word", session(issued_at="yesterday")),
    Row("fields", "issued_at: negative", session(issued_at="-1")),
    Row("fields", "issued_at: of 40 digits", session(issued_at="1" * 40)),
    Row("fields", "issued_at: a number of 4,000 digits", session(issued_at=10**4000)),
    Row("fields", "issued_at: a fraction", session(issued_at=1.5)),
    Row("fields", "issued_at: true", session(issued_at=True)),
    Row("fields", "no instance_url", session(instance_url=...)),
    Row("fields", "instance_url: a number", session(instance_url=5)),
]
