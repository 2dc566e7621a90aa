"""Compressed bodies are decompressed up to a limit."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.transport.pools import CodingError, decoded


@given(st.binary(max_size=1000))
def test_a_compressed_body_is_restored(content: bytes) -> None:
    for coding in ("gzip", "x-gzip", " GZIP "):
        assert decoded(gzip.compress(content), coding, 1000) == content
    assert decoded(zlib.compress(content), "deflate", 1000) == content
    for none in ("", "identity"):
        assert decoded(content, none, 1000) == content


@given(st.binary(max_size=1000).filter(lambda body: body[:1] not in {b"\x1f", b"\x78"}))
def test_a_wrongly_compressed_body_is_reported_and_not_quoted(body: bytes) -> None:
    with pytest.raises(CodingError, match="^a body that is not compressed as its header says$"):
        decoded(body, "gzip", 1000)


def test_a_bomb_is_unpacked_up_to_the_limit_and_one_byte_more() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        assert len(decoded(bomb, "deflate", 1000)) == 1001
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [gzip.compress(b"content")[:-1], b""], ids=["cut off", "empty"])
def test_a_truncated_compressed_body_is_refused(body: bytes) -> None:
    with pytest.raises(CodingError):
        decoded(body, "gzip", 1000)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "canary"])
def test_an_unsupported_content_coding_is_refused_and_not_quoted(coding: str) -> None:
    with pytest.raises(CodingError, match="that was not asked for"):
        decoded(b"x", coding, 1000)
