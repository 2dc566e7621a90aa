"""A field of a JSON secret, and the error for a missing one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_secret_manager.loader import field_of
from kinetic_auth_secret_manager.problems import Problem, Secret

WHOLE = ", or omit #... to use the whole secret."

WRONG = [
    (b"-----BEGIN canary", "k", "the secret is not JSON, so it has no fields", f"Store a JSON object there{WHOLE}"),
    (b"\xff\xfe canary", "k", "the secret is not JSON, so it has no fields", f"Store a JSON object there{WHOLE}"),
    (b"[" * 100_000, "k", "the secret is not JSON, so it has no fields", f"Store a JSON object there{WHOLE}"),
    (
        b'["canary"]',
        "k",
        "the secret is JSON but not an object with fields",
        f"Store a JSON object there{WHOLE}",
    ),
    (b'{"canary": 1}', "k", "the secret has no field 'k' among its 1", f"Correct the name after #{WHOLE}"),
    (b'{"": 1}', "k", "the secret has no field 'k' among its 1", f"Correct the name after #{WHOLE}"),
    (b'{"k": {"canary": 1}}', "k", "the field 'k' of the secret is not text", "Store it as a JSON string."),
    (b'{"k": null}', "k", "the field 'k' of the secret is not text", "Store it as a JSON string."),
    (b'{"k": "\\ud800canary"}', "k", "the field 'k' of the secret is not valid text", "Store it again."),
]


@pytest.mark.parametrize(("secret", "field", "what", "remedy"), WRONG)
def test_a_problem_is_reported_without_the_secret(secret: bytes, field: str, what: str, remedy: str) -> None:
    problem = field_of(Secret(secret), field)
    assert isinstance(problem, Problem)
    assert (problem.what, f"{problem.remedy}".rstrip(".") + ".") == (what, remedy)
    assert "canary" not in repr(problem)


def test_without_a_field_the_whole_secret_is_returned() -> None:
    assert field_of(Secret(b"\xff"), None) == Secret(b"\xff")


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.data())
def test_any_text_field_is_found_whatever_its_name(fields: dict[str, str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    found = field_of(Secret(json.dumps(fields).encode()), name)
    assert found == Secret(fields[name].encode())


@given(st.binary())
def test_a_missing_field_of_any_secret_is_reported_and_does_not_raise(secret: bytes) -> None:
    assert isinstance(field_of(Secret(secret), "a field that is not there"), Problem)
