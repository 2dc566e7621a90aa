"""Adapters are imported by those who want them, and say what to install where their library is missing."""

import subprocess
import sys

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.not_installed import not_installed


def python(code: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_core_imports_no_client() -> None:
    clients = ("requests", "httpx", "simple_salesforce", "kinetic_core", "kinetic_auth_core.adapters")
    code = f"import sys, kinetic_auth_core; print([each for each in {clients} if each in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize(
    ("adapter", "loaded"),
    [
        ("requests", ["requests"]),
        ("httpx", ["httpx"]),
        ("simple_salesforce", ["requests", "simple_salesforce", "httpx"]),  # by zeep
        ("kinetic_core", ["requests", "kinetic_core"]),
    ],
)
def test_an_adapter_imports_its_own_client_alone(adapter: str, loaded: list[str]) -> None:
    others = {"requests", "httpx", "simple_salesforce", "kinetic_core"} - set(loaded)
    code = f"import sys, kinetic_auth_core.adapters.{adapter}; print(sorted({others} & sys.modules.keys()))"
    assert python(code) == "[]"


@pytest.mark.parametrize(
    ("adapter", "library"),
    [("httpx", "httpx"), ("simple_salesforce", "simple-salesforce"), ("kinetic_core", "kinetic-core")],
)
def test_a_missing_library_is_an_import_error_that_says_what_to_install(adapter: str, library: str) -> None:
    code = f"""
import sys
sys.modules["{adapter}"] = None  # as if it were not installed
try:
    import kinetic_auth_core.adapters.{adapter}
except ImportError as error:
    print(type(error).__mro__[1].__name__, error)
"""
    assert python(code) == (
        f"ConfigurationError kinetic_auth_core.adapters.{adapter} needs {library}, which is not installed. "
        f"Remedy: pip install {library}"
    )


def test_a_library_that_is_there_and_lacks_something_is_told_as_it_is() -> None:
    error = ModuleNotFoundError("No module named 'h11'", name="h11")
    assert not_installed("httpx", error) is error
    found = not_installed("httpx", ModuleNotFoundError("no httpx", name="httpx"))
    assert isinstance(found, kinetic.ConfigurationError)
