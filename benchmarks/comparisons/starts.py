"""Processes that start: imports, the command's help, and a first session."""

import functools
from collections.abc import Iterator

from comparisons.rounds import Comparison, Contestant, instructions, process_ms
from comparisons.servers import Org

#: What a login by JWT cannot do without: the libraries that this project is made of.
_LIBRARIES = "import attrs, pluggy, stevedore.driver, requests, jose.jwt\n"
_FLOOR = (
    _LIBRARIES
    + """
import sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
_, client_id, username, login_url, path, ca_bundle = sys.argv
with open(path, "rb") as file:
    key = serialization.load_pem_private_key(file.read(), None, unsafe_skip_rsa_key_validation=True)
key.sign(b"header.claims", padding.PKCS1v15(), hashes.SHA256())
requests.post(login_url + "/services/oauth2/token", verify=ca_bundle, data={"grant_type": "none"})
"""
)
_ARGUMENTS = """
import os, sys
_, client_id, username, login_url, path, os.environ["REQUESTS_CA_BUNDLE"] = sys.argv
"""
_RESOLVE = """
import kinetic_auth_core as kinetic
login = {"client_id": client_id, "username": username, "login_url": login_url, "private_key_path": path}
kinetic.resolve("jwt-bearer", **login).session()
"""
#: kinetic-core's program. Ours differs by its import (docs/from-kinetic-core.md).
_JWT = """
JWTAuthenticator(client_id=client_id, username=username, login_url=login_url, private_key_path=path).authenticate()
"""
_HELP = """
import sys
sys.argv = ["kinetic-auth", "--help"]
from kinetic_auth_core.cli import main
main()
"""
_IMPORTS = {
    "kinetic-core": "import kinetic_core",
    "kinetic-auth": "import kinetic_auth_core",
    "simple-salesforce": "import simple_salesforce",
    "google-auth": "import google.auth",
    "keystoneauth1": "import keystoneauth1.session",
    "botocore": "import botocore.session",
    "azure-identity": "import azure.identity",
    "Python alone": "",
}


def comparisons(org: Org, *, has_counts: bool) -> Iterator[Comparison]:
    """Comparisons of processes, with their instructions where valgrind counts them.

    Args:
        org: Speaks https.
        has_counts: Whether instructions are counted, which takes seconds for each process.
    """
    of = functools.partial(_of, has_counts=has_counts)
    login = (*org.settings.values(), org.ca_bundle)
    first_session = {
        "kinetic-core": (f"{_ARGUMENTS}from kinetic_core import JWTAuthenticator{_JWT}", *login),
        "kinetic-auth: the same program": (f"{_ARGUMENTS}from kinetic_auth_core import JWTAuthenticator{_JWT}", *login),
        "kinetic-auth: resolve, SessionSource": (f"{_ARGUMENTS}{_RESOLVE}", *login),
        "floor: the libraries, one signature, one POST": (_FLOOR, *login),
    }
    yield of("import", {name: (code,) for name, code in _IMPORTS.items()})
    yield of("cold process to a first session over TLS", first_session)
    yield of(
        "the help of the command",
        {"import simple_salesforce": (_IMPORTS["simple-salesforce"],), "kinetic-auth --help": (_HELP,)},
    )


def _of(title: str, processes: dict[str, tuple[str, ...]], *, has_counts: bool) -> Comparison:
    contestants = [Contestant(name, functools.partial(process_ms, *each)) for name, each in processes.items()]
    counted = {name: instructions(*each) for name, each in processes.items()} if has_counts else {}
    note = "CPU time of the process, user and system."
    if known := {name: count for name, count in counted.items() if count is not None}:
        note += f" Millions of instructions: {', '.join(f'{name} {count:.0f}' for name, count in known.items())}."
    return Comparison(title, "ms", contestants, note=note)
