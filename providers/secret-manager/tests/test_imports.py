"""When each SDK is imported, and the error for an SDK that is not installed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_core.plugins import load_key_loader, parse_reference
from kinetic_auth_secret_manager.loader import import_sdk

pytestmark = pytest.mark.usefixtures("full_tier")

ASK = """
    import sys
    from kinetic_auth_core.plugins import parse_reference
    from kinetic_auth_core import KeyLoadError, Reference
    from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {absent!r}:
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

    sys.meta_path.insert(0, Absent())
    for uri in {uris!r}:
        loader = KmsLoader() if uri.startswith("kms") else SecretManagerLoader()
        try:
            loader.load_key(parse_reference(uri, ()))
        except KeyLoadError as error:
            print(error)
    """


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_importing_the_package_imports_no_sdk() -> None:
    sdks = {"boto3", "botocore", "azure", "msal", "cryptography", "requests"}
    shown = run(f"import sys, kinetic_auth_secret_manager; print(sorted({sdks!r} & set(sys.modules)))")
    assert "boto" not in shown
    assert "azure" not in shown
    assert "msal" not in shown


def test_a_cloud_imports_only_its_own_sdk() -> None:
    code = ASK.rstrip(" ") + "    print(sorted({{'azure', 'msal'}} & set(sys.modules)))\n"
    uris = ["secret-manager://aws/s", "kms://aws/k", "secret-manager://aws-ssm/s"]
    shown = run(code.format(absent=["azure"], uris=uris)).splitlines()
    assert [line.partition(": ")[2].partition(".")[0] for line in shown[:3]] == ["no AWS region is set"] * 3
    assert shown[3] == "[]"


def test_without_azure_installed_its_extra_is_named() -> None:
    shown = run(ASK.format(absent=["azure"], uris=["secret-manager://azure/acme/s", "kms://azure/acme/k"]))
    assert shown.splitlines() == [
        f'{uri}: azure is not installed. Remedy: pip install "kinetic-auth-secret-manager[azure]"'
        for uri in ("secret-manager://azure/acme/s", "kms://azure/acme/k")
    ]


def test_without_boto3_installed_its_extra_is_named() -> None:
    uris = ["secret-manager://aws/s", "secret-manager://aws-ssm/s", "kms://aws/k"]
    shown = run(ASK.format(absent=["boto3", "botocore"], uris=uris))
    assert [line.partition(": ")[2] for line in shown.splitlines()] == [
        'boto3 is not installed. Remedy: pip install "kinetic-auth-secret-manager[aws]"'
    ] * 3


def test_a_missing_module_other_than_the_sdk_is_not_reported_as_the_sdk() -> None:
    with pytest.raises(ModuleNotFoundError, match="kinetic_auth_secret_manager.absent"):
        import_sdk("kinetic_auth_secret_manager.absent", "aws", "aws://x")  # type: ignore[arg-type]


def test_both_schemes_are_registered_and_match_the_hookspec() -> None:
    for scheme in ("secret-manager", "kms"):
        with pytest.raises(KeyLoadError):
            load_key_loader(scheme).load_key(_reference(scheme))


def _reference(scheme: str) -> Reference:
    parsed = parse_reference(f"{scheme}://nowhere/x", ())
    assert parsed is not None
    return parsed
