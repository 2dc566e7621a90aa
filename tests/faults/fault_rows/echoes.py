"""Answers that repeat what was sent, or contain control characters."""

from fault_rows.causes import answer, refusal, wire
from fault_rows.row import PASSWORD, SECRET, TOKEN, Cause, Row
from kinetic_auth_core import AuthenticationError


def echo(place: str) -> Cause:
    """A server that has our secrets, and shows them where an error might quote it."""
    secrets = f"{PASSWORD}{TOKEN} {SECRET}"
    encoded = "canary+PASSWORD%2F1%26%C3%BC"
    sent = f"{encoded}{TOKEN} {SECRET}".encode()
    return {
        "description": refusal("invalid_grant", f"bad password {secrets}"),
        "error": refusal(f"{SECRET}", ""),
        "content type": answer(b"x", kind=sent),
        "location": answer(b"", b"Location: https://evil.example/" + sent + b"?x=" + sent, status=b"302 Found"),
        "status line": wire(b"HTTP/1.1 " + sent + b"\r\n\r\n"),
        "header": wire(b"HTTP/1.1 200 OK\r\n" + sent + b"\r\n\r\n{}"),
        "length": wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + sent + b"\r\n\r\n{}"),
        "chunk": wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + b"\r\n"),
        "coding": answer(b"x", b"Content-Encoding: " + sent),
    }[place]


ROWS = [
    Row("echoes", "our secrets in error_description", echo("description"), AuthenticationError, {"password": 1}),
    Row("echoes", "a secret as the error", echo("error"), AuthenticationError, {"password": 1}),
    Row("echoes", "our secrets as the content type", echo("content type"), tries={"password": 1}),
    Row("echoes", "our secrets in the path of a redirect", echo("location"), tries={"password": 1}),
    Row("echoes", "our secrets in the status line", echo("status line"), tries={"password": 1}),
    Row("echoes", "our secrets among the headers", echo("header"), tries={"password": 1}),
    Row("echoes", "our secrets as a length", echo("length"), tries={"password": 1}),
    Row("echoes", "our secrets as a chunk's length", echo("chunk"), tries={"password": 1}),
    Row("echoes", "our secrets as a content coding", echo("coding"), tries={"password": 1}),
    Row(
        "echoes",
        "escape sequences and line breaks in the error",
        refusal("invalid_grant\x1b[31m", "a\r\nb\x1b]0;c\x07\u202ed\0"),
        AuthenticationError,
    ),
    Row("echoes", "an error_description of 900 KB", refusal("new", "x" * 900_000), AuthenticationError),
]
