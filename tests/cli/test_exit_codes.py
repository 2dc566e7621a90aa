"""Each error of the tree ends with the code that `--help` promises."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kinetic_auth_core import errors
from kinetic_auth_core.cli import exit_codes
from kinetic_auth_core.cli.exit_codes import MEANINGS, exit_code_of

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


def all_errors(
    kind: type[errors.KineticAuthError] = errors.KineticAuthError,
) -> Iterator[type[errors.KineticAuthError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from all_errors(each)


EXPECTED = {
    "ConfigurationError": 2,
    "UnknownProviderError": 2,
    "ProviderNotInstalledError": 2,
    "ProviderLoadError": 2,
    "KeyLoadError": 3,
    "PrivateKeyNotFoundError": 3,
    "AuthenticationError": 4,
    "CredentialsRejectedError": 4,
    "InteractionRequiredError": 4,
    "SessionRejectedError": 4,
    "StoreUnavailableError": 5,
    "TransientAuthenticationError": 5,
    "TransportError": 5,
    "ServiceUnavailableError": 5,
    "LoginBudgetError": 5,
    "RateLimitedError": 5,
}


@pytest.mark.parametrize("kind", sorted(set(all_errors()), key=str))
def test_every_error_of_the_tree_has_its_code(kind: type[errors.KineticAuthError]) -> None:
    assert exit_code_of(kind("x")) == EXPECTED[kind.__name__]


def test_foreign_errors_are_unexpected() -> None:
    assert exit_code_of(ZeroDivisionError()) == exit_codes.UNEXPECTED == 6


def test_every_code_is_exported_and_has_a_meaning() -> None:
    assert {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)} == set(
        MEANINGS
    )


def test_the_codes_are_in_the_help(run: Run) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    for code, meaning in MEANINGS.items():
        assert f"{code:>3}  {meaning}" in outcome.out
