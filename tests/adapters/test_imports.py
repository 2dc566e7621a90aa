"""Adapters are imported separately, and say what to install if their library is missing."""

import subprocess
import sys

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.not_installed import not_installed

pytestmark = pytest.mark.usefixtures("full_tier")


def python(code: str) -> str:
    """Run code in another Python and return its output."""
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
def test_an_adapter_imports_only_its_own_client(adapter: str, loaded: list[str]) -> None:
    others = {"requests", "httpx", "simple_salesforce", "kinetic_core"} - set(loaded)
    code = f"import sys, kinetic_auth_core.adapters.{adapter}; print(sorted({others} & sys.modules.keys()))"
    assert python(code) == "[]"


def test_a_missing_library_is_an_import_error_that_says_what_to_install() -> None:
    code = """
import importlib, sys
for adapter in ("httpx", "simple_salesforce", "kinetic_core"):
    sys.modules[adapter] = None  # as if it were not installed
    try:
        importlib.import_module(f"kinetic_auth_core.adapters.{adapter}")
    except ImportError as error:
        print(type(error).__mro__[1].__name__, error)
"""
    assert python(code).splitlines() == [
        f"ConfigurationError kinetic_auth_core.adapters.{library.replace('-', '_')} needs {library}, which is not "
        f"installed. Remedy: pip install {library}"
        for library in ("httpx", "simple-salesforce", "kinetic-core")
    ]


def test_an_import_error_inside_an_installed_library_is_not_wrapped() -> None:
    error = ModuleNotFoundError("No module named 'h11'", name="h11")
    assert not_installed("httpx", error) is error
    found = not_installed("httpx", ModuleNotFoundError("no httpx", name="httpx"))
    assert isinstance(found, kinetic.ConfigurationError)
