"""Keys whose numbers are not those of one RSA key: a bit is wrong, or a factor is not prime. Nothing is signed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kinetic_auth_core import KeyLoadError
from kinetic_auth_core.keys.formats import UnusableKey, parse_private_key
from kinetic_auth_core.keys.signer import read_private_key
from kinetic_auth_core.testing import KeyPair

PARTS = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")
Numbers = dict[str, int]


@pytest.fixture(scope="module")
def numbers(key_pair: KeyPair) -> Numbers:
    key = serialization.load_pem_private_key(key_pair.private_key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private = key.private_numbers()
    public = private.public_numbers
    return {"n": public.n, "e": public.e, **{name: getattr(private, name) for name in PARTS[2:]}}


def made_of(numbers: Numbers) -> bytes:
    """PKCS #1 (RFC 8017, appendix A.1.2)."""
    return _sequence([_integer(0), *(_integer(numbers[name]) for name in PARTS)])


def _integer(number: int) -> bytes:
    return _tagged(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _sequence(items: Sequence[bytes]) -> bytes:
    return _tagged(0x30, b"".join(items))


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    size = bytes([length]) if length < 0x80 else bytes([0x80 + len(digits)]) + digits
    return bytes([tag]) + size + content


def with_factors(p: int, q: int, *, order: Callable[[int, int], int]) -> Numbers:
    """A key of two factors; `order` is what the exponents are inverse to each other by."""
    e = 65537
    d = pow(e, -1, order(p, q))
    return {
        "n": p * q,
        "e": e,
        "d": d,
        "p": p,
        "q": q,
        "dmp1": d % (p - 1),
        "dmq1": d % (q - 1),
        "iqmp": pow(q, -1, p),
    }


def primes(bits: int) -> tuple[int, int]:
    found = rsa.generate_private_key(65537, bits).private_numbers()
    return found.p, found.q


def test_the_key_itself_is_read(numbers: Numbers) -> None:
    assert read_private_key(made_of(numbers)).private_key.key_size == 2048


@pytest.mark.parametrize("part", PARTS)
@hypothesis_settings(deadline=None, max_examples=40)
@given(bits=st.sets(st.integers(0, 2046), min_size=1, max_size=2))
def test_a_key_with_one_or_two_wrong_bits_is_refused(numbers: Numbers, part: str, bits: set[int]) -> None:
    length = numbers[part].bit_length()
    damaged = numbers[part]
    for bit in {bit % length for bit in bits}:
        damaged ^= 1 << bit
    with pytest.raises(KeyLoadError, match=r"is damaged|bits, but"):
        read_private_key(made_of({**numbers, part: damaged}))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", [0, 1, 2, 3])
def test_a_key_with_a_trivial_number_is_refused(numbers: Numbers, part: str, value: int) -> None:
    with pytest.raises(KeyLoadError, match=r"is damaged|bits, but"):
        read_private_key(made_of({**numbers, part: value}))


@pytest.mark.parametrize("one", PARTS[3:])
@pytest.mark.parametrize("other", PARTS[3:])
def test_a_key_with_exchanged_numbers_is_refused(numbers: Numbers, one: str, other: str) -> None:
    if one < other:
        with pytest.raises(KeyLoadError, match="is damaged"):
            read_private_key(made_of({**numbers, one: numbers[other], other: numbers[one]}))


def test_a_key_whose_factor_is_not_prime_is_refused() -> None:
    a, b, q = 0, 0, 0
    while (a * b * q).bit_length() < 2048:  # three numbers at the lower end make a key that is too short
        (a, b), (q, _) = primes(1024), primes(2048)
    crafted = with_factors(a * b, q, order=lambda p, q: (p - 1) * (q - 1))
    with pytest.raises(KeyLoadError, match="is damaged"):
        read_private_key(made_of(crafted))


@pytest.mark.parametrize("even", ["p", "q", "both"])
def test_a_key_of_even_factors_is_refused(numbers: Numbers, even: str) -> None:
    p = numbers["p"] - (even != "q")
    q = numbers["q"] - (even != "p")
    e = next(each for each in range(3, 1000, 2) if math.gcd(each, (p - 1) * (q - 1)) == 1)
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    fitting = {"n": p * q, "e": e, "d": d, "p": p, "q": q, "dmp1": d % (p - 1), "dmq1": d % (q - 1)}
    with pytest.raises(KeyLoadError, match=r"is damaged|bits, but"):
        read_private_key(made_of({**fitting, "iqmp": pow(q, -1, p) if even != "both" else 1}))


def test_a_key_whose_exponents_are_1_is_refused(numbers: Numbers) -> None:
    with pytest.raises(KeyLoadError, match="is damaged"):
        read_private_key(made_of({**numbers, "e": 1, "d": 1, "dmp1": 1, "dmq1": 1}))


def test_no_number_of_a_key_is_a_local_variable_while_it_is_checked(numbers: Numbers) -> None:
    with pytest.raises(UnusableKey) as caught:
        parse_private_key(made_of({**numbers, "d": numbers["d"] ^ 4}), None)
    found = [
        value
        for entry in caught.traceback[1:]
        for value in entry.frame.f_locals.values()
        if isinstance(value, int) and value.bit_length() > 64
    ]
    assert found == []
