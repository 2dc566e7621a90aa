"""The provider of the docs, end to end: built as a wheel, installed into a fresh environment, resolved by name."""

import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("full_tier")

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "docs" / "examples" / "sso_provider"

APP = """
import json, sys
import kinetic_auth_core as kinetic

def attempt(**settings):
    try:
        session = kinetic.resolve(**settings).session()
    except kinetic.KineticAuthError as error:
        return [type(error).__name__, str(error)]
    return [session.access_token, session.instance_url, session.username]

try:
    kinetic.resolve("nope")
except kinetic.UnknownProviderError as error:
    unknown = str(error)
print(json.dumps({
    "core": kinetic.__file__,
    "unknown": unknown,
    "explained": [[row.name, row.value, row.source] for row in kinetic.resolve().explain()[:-6]],
    "good": attempt(),
    "bad token": attempt(token="canary-wrong"),
    "bad url": attempt(sso_url="http://sso.example.com"),
    "no server": attempt(sso_url="http://127.0.0.1:1/"),
    "down": attempt(sso_url=sys.argv[1] + "/down"),
}))
"""


class SsoService(http.server.BaseHTTPRequestHandler):
    """Acme's service: accepts one token."""

    def do_POST(self) -> None:
        answer: dict[str, str]
        if self.path == "/down":
            status, answer = 503, {}
        elif self.headers["Authorization"] != "Bearer canary-service":
            status, answer = 401, {}
        else:
            status, answer = (
                200,
                {
                    "access_token": "00D!from-sso",
                    "instance_url": "https://acme.my.salesforce.com",
                    "id": "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA",
                    "issued_at": "1700000000000",
                    "username": "ada@acme.com",
                },
            )
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def sso_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SsoService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(*command: str | Path, **options: object) -> str:
    """Run a command; if it fails, the failure contains its output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def pip(*arguments: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


@pytest.fixture
def environment(tmp_path: Path, link_dependencies: Callable[[Path], None]) -> Path:
    """The Python of a fresh environment with the core and the docs' provider, both from wheels."""
    sources, wheels = tmp_path / "sources", tmp_path / "wheels"
    shutil.copytree(EXAMPLE, sources / "sso_provider")
    core = sources / "core"
    shutil.copytree(
        CHECKOUT / "kinetic_auth_core", core / "kinetic_auth_core", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, core)
    if importlib.util.find_spec("hatchling"):
        from hatchling.builders.wheel import WheelBuilder

        for source in (core, sources / "sso_provider"):
            assert list(WheelBuilder(str(source)).build(directory=str(wheels), versions=["standard"]))
    else:  # pip fetches it
        pip("wheel", "--no-deps", "--wheel-dir", wheels, core, sources / "sso_provider")

    fresh = tmp_path / "fresh"
    run(sys.executable, "-m", "venv", "--without-pip", fresh)
    python = fresh / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    link_dependencies(site)
    pip("--python", python, "install", "--no-compile", "--no-index", "--find-links", wheels, "acme-salesforce-sso")
    return python


@pytest.mark.skipif(os.name != "posix", reason="the environment is made of links, and its Python is bin/python")
def test_the_provider_of_the_docs_works_as_an_installed_wheel(environment: Path, sso_url: str, tmp_path: Path) -> None:
    work = tmp_path / "app"
    work.mkdir()
    config = work / "kinetic-auth.toml"
    config.write_text(
        "default_environment = 'prod'\n[environments.prod]\nprovider = 'acme-sso'\ntoken = 'env://THE_TOKEN'\n"
    )
    config.chmod(0o600)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "ACME_SSO_URL": f"{sso_url}/session",
        "THE_TOKEN": "canary-service",
    }
    results = json.loads(run(environment, "-c", APP, sso_url, cwd=work, env=variables))
    assert Path(results["core"]).is_relative_to(environment.parents[1])
    assert results["unknown"] == "no provider 'nope' is installed; installed: acme-sso."
    assert results["explained"] == [
        ["sso_url", f"{sso_url}/session", "ACME_SSO_URL"],
        ["token", "env://THE_TOKEN", f"{config}:environments.prod.token"],
    ]
    assert results["good"] == ["00D!from-sso", "https://acme.my.salesforce.com", "ada@acme.com"]
    host = sso_url.removeprefix("http://")
    assert results["bad token"] == [
        "CredentialsRejectedError",
        f"{host} does not accept the service token. Remedy: Get a new one from the SSO desk.",
    ]
    assert results["bad url"][0] == "ConfigurationError"
    assert "sso_url (from keyword)" in results["bad url"][1]
    assert results["no server"] == ["TransportError", "no answer from 127.0.0.1:1 (ConnectionError)."]
    assert results["down"] == ["TransportError", f"{host} answered with HTTP status 503."]
    assert "canary" not in json.dumps(results)
