"""The error tree: the base classes and attributes of each error, which survive copies and pickles."""

import copy
import errno
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import errors
from kinetic_auth_core.errors import ProviderNotInstalledError, ServiceUnavailableError

BASES: dict[type[Exception], tuple[type, ...]] = {
    kinetic.KineticAuthError: (Exception,),
    kinetic.ConfigurationError: (kinetic.KineticAuthError, ValueError),
    kinetic.UnknownProviderError: (kinetic.ConfigurationError, LookupError),
    ProviderNotInstalledError: (kinetic.UnknownProviderError, ImportError),
    kinetic.ProviderLoadError: (kinetic.ConfigurationError,),
    kinetic.KeyLoadError: (kinetic.KineticAuthError, ValueError),
    kinetic.PrivateKeyNotFoundError: (kinetic.KeyLoadError, FileNotFoundError),
    kinetic.AuthenticationError: (kinetic.KineticAuthError,),
    kinetic.CredentialsRejectedError: (kinetic.AuthenticationError,),
    kinetic.InteractionRequiredError: (kinetic.AuthenticationError,),
    kinetic.TransientAuthenticationError: (kinetic.AuthenticationError,),
    kinetic.TransportError: (kinetic.AuthenticationError,),
    ServiceUnavailableError: (kinetic.TransientAuthenticationError, kinetic.TransportError),
    kinetic.SessionRejectedError: (kinetic.AuthenticationError,),
    kinetic.StoreUnavailableError: (kinetic.AuthenticationError,),
    kinetic.LoginBudgetError: (kinetic.AuthenticationError,),
    kinetic.RateLimitedError: (kinetic.AuthenticationError,),
}

EXTRAS: dict[type, dict[str, Any]] = {
    kinetic.ConfigurationError: {"problems": ("one", "two")},
    kinetic.PrivateKeyNotFoundError: {"filename": "/keys/prod.pem"},
    kinetic.AuthenticationError: {
        "error": "invalid_grant",
        "description": "authentication failure",
        "status": 400,
        "retryable": True,
        "provider": "password",
        "host": "login.salesforce.com",
        "username": "ada@acme.com",
    },
    kinetic.TransportError: {"unanswered": True},
}


def extras_of(cls: type) -> dict[str, Any]:
    return {name: value for base, extras in EXTRAS.items() if issubclass(cls, base) for name, value in extras.items()}


def pickled(error: Any, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {each}": functools.partial(pickled, protocol=each) for each in range(pickle.HIGHEST_PROTOCOL + 1)},
}

each_class = pytest.mark.parametrize("cls", BASES, ids=lambda cls: cls.__name__)


def test_the_table_above_has_every_class_of_the_tree() -> None:
    found = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, kinetic.KineticAuthError)}
    assert found == set(BASES)


@each_class
def test_a_class_has_the_bases_that_the_contract_names(cls: type[Exception]) -> None:
    assert cls.__bases__ == BASES[cls]


@each_class
def test_the_drawing_in_the_docstring_names_every_class(cls: type[Exception]) -> None:
    assert cls is ProviderNotInstalledError or cls.__name__ in str(errors.__doc__)


@each_class
def test_message_and_remedy_read_as_one_text(cls: Any) -> None:
    assert str(cls("It broke.")) == "It broke."
    error = cls("It broke.", remedy="Mend it.")
    assert str(error) == "It broke. Remedy: Mend it."
    assert (error.message, error.remedy, error.args) == ("It broke.", "Mend it.", ("It broke.",))


@each_class
@pytest.mark.parametrize("how", COPIES)
def test_an_error_can_be_copied_and_pickled(cls: Any, how: str) -> None:
    error = cls("It broke.", remedy="Mend it.", **extras_of(cls))
    if isinstance(error, kinetic.AuthenticationError):
        error.attempts, error.retry_after_s, error.waited_s = 4, 30.0, 1.5
    error.add_note("first seen on a Monday")
    error.own = "an attribute of the caller's"
    again = COPIES[how](error)
    assert type(again) is cls
    assert again is not error
    assert str(again) == str(error)
    assert again.args == error.args
    for name, value in {**extras_of(cls), "message": "It broke.", "remedy": "Mend it.", "own": error.own}.items():
        assert getattr(again, name) == value
    if isinstance(error, kinetic.AuthenticationError):
        assert (again.attempts, again.retry_after_s, again.waited_s) == (4, 30.0, 1.5)
    assert again.__notes__ == ["first seen on a Monday"]
    if isinstance(error, OSError):
        assert (again.errno, again.strerror, again.filename) == (error.errno, error.strerror, error.filename)


@each_class
def test_an_omitted_detail_has_a_neutral_value(cls: Any) -> None:
    error = cls("It broke.")
    for name, value in extras_of(cls).items():
        expected = ("It broke.",) if name == "problems" else False if value is True else None
        assert getattr(error, name) == expected


def test_a_third_party_subclass_with_its_own_constructor_can_be_pickled() -> None:
    again = copy.copy(Foreign(7))
    assert (again.code, str(again)) == (7, "code 7 Remedy: Ask us.")


class Foreign(kinetic.AuthenticationError):
    """What a plugin might define."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}", remedy="Ask us.")
        self.code = code


def test_a_missing_key_file_is_a_file_not_found_error_with_errno_and_filename() -> None:
    error = kinetic.PrivateKeyNotFoundError("gone.", filename="/keys/prod.pem")
    assert (error.errno, error.filename) == (errno.ENOENT, "/keys/prod.pem")
    assert error.strerror == "No such file or directory"
    with pytest.raises(FileNotFoundError, match=r"^gone\.$"):
        raise error


def test_one_problem_is_a_sentence_and_many_are_a_list() -> None:
    assert str(kinetic.ConfigurationError.of("Cannot do it", ["a is wrong"])) == "Cannot do it: a is wrong"
    error = kinetic.ConfigurationError.of("Cannot do it", (problem for problem in ("a is wrong", "b is wrong")))
    assert str(error) == "Cannot do it, 2 problems:\n  - a is wrong\n  - b is wrong"
    assert error.problems == ("a is wrong", "b is wrong")
    assert isinstance(kinetic.ProviderLoadError.of("No", ["x"]), kinetic.ProviderLoadError)


def test_met_at_adds_the_place_to_a_copy_of_the_error() -> None:
    cause = OSError("the disk")
    error = kinetic.PrivateKeyNotFoundError("it is not there.", filename="/keys/prod.pem", remedy="Look.")
    error.__cause__ = cause
    met = error.met_at("private_key (from SF_PRIVATE_KEY)")
    assert str(met) == "private_key (from SF_PRIVATE_KEY): it is not there. Remedy: Look."
    assert (type(met), met.filename, met.errno, met.__cause__) == (type(error), "/keys/prod.pem", error.errno, cause)
    assert str(pickle.loads(pickle.dumps(met))) == str(met)
    assert str(error) == "it is not there. Remedy: Look."
