"""If only the core is installed: the errors, and what still works."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic

pytestmark = pytest.mark.usefixtures("full_tier")

ASK = """
import json, sys
import kinetic_auth_core as kinetic

def result(ask):
    try:
        ask()
    except Exception as error:
        kinds = [cls.__name__ for cls in type(error).__mro__]
        return {"text": str(error), "kinds": kinds, "remedy": getattr(error, "remedy", None)}

def import_it():
    from kinetic_auth_core import JWTAuthenticator

def import_the_other():
    from kinetic_auth_core import OAuthAuthenticator

asks = [import_it, import_the_other, lambda: kinetic.resolve("jwt-bearer"), lambda: kinetic.resolve("nope"),
        lambda: kinetic.Nothing]
print(json.dumps([result(ask) for ask in asks]))
"""


@pytest.fixture(scope="module")
def results(only_the_core: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The output of a Python with only the core and its dependencies."""
    environment = {**os.environ, "PYTHONPATH": str(only_the_core)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", ASK],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path_factory.mktemp("work"),
    )
    assert done.stderr == ""
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_kinetic_cores_names_are_import_errors_that_say_what_to_install(results: list[dict[str, object]]) -> None:
    for answer, name, provider in (
        (results[0], "JWTAuthenticator", "jwt-bearer"),
        (results[1], "OAuthAuthenticator", "password"),
    ):
        assert {"UnknownProviderError", "ImportError", "LookupError", "ConfigurationError"} <= set(answer["kinds"])  # type: ignore[call-overload]
        assert answer["text"] == (
            f"{name}: no provider '{provider}' is installed; installed: none. "
            f"Remedy: pip install kinetic-auth-{provider}"
        )


def test_a_published_provider_says_what_to_install(results: list[dict[str, object]]) -> None:
    assert results[2]["text"] == (
        "no provider 'jwt-bearer' is installed; installed: none. Remedy: pip install kinetic-auth-jwt-bearer"
    )


def test_the_error_for_an_unknown_provider_guesses_no_package(results: list[dict[str, object]]) -> None:
    assert results[3]["text"] == "no provider 'nope' is installed; installed: none."
    assert results[3]["remedy"] == ""


def test_any_other_name_is_an_ordinary_attribute_error(results: list[dict[str, object]]) -> None:
    assert results[4]["kinds"][0] == "AttributeError"  # type: ignore[index]
    assert results[4]["text"] == "module 'kinetic_auth_core' has no attribute 'Nothing'"


@pytest.fixture
def no_packages() -> Iterator[None]:
    """This process, as if no plugin were installed."""
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if "site-packages" not in entry]
    importlib.invalidate_caches()
    yield
    sys.path[:] = before
    importlib.invalidate_caches()


@pytest.mark.usefixtures("no_packages")
def test_the_cause_of_the_import_error_is_kept() -> None:
    with pytest.raises(ImportError, match="pip install kinetic-auth-jwt-bearer") as caught:
        kinetic.JWTAuthenticator  # noqa: B018 - it is loaded by reading it
    assert isinstance(caught.value, kinetic.UnknownProviderError)
    assert isinstance(caught.value.__cause__, kinetic.UnknownProviderError)
