"""The org's side that is shipped: its files fit each other, and the handler's rules are those of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

FOLDER = Path(__file__).parents[1] / "salesforce" / "main" / "default"
HANDLER = (FOLDER / "classes" / "KineticTokenHandler.cls").read_text()
FILES = sorted(FOLDER.rglob("*-meta.xml"))
SPACE = "{http://soap.sforce.com/2006/04/metadata}"


def _root(file: str) -> ET.Element:
    return ET.parse(next(FOLDER.rglob(file))).getroot()


def value(file: str, tag: str) -> str | None:
    return _root(file).findtext(f".//{SPACE}{tag}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_metadata_of_the_kind_that_its_folder_holds(path: Path) -> None:
    root = _root(path.name)
    assert root.tag.startswith(SPACE)
    names = [element.text for element in root.iter(f"{SPACE}externalClientApplication")]
    assert set(names) <= {"KineticAuth"}


def test_the_files_name_each_other() -> None:
    assert value("*.oauthtokenexchangehandler-meta.xml", "tokenHandlerApex") == "KineticTokenHandler"
    assert value("*.oauthtokenexchangehandler-meta.xml", "externalClientApp") == "KineticAuth"
    assert value("*.ecaOauthPlcy-meta.xml", "commaSeparatedPermissionSet") == "KineticAuth"
    assert {path.name.partition(".")[0] for path in FILES} == {
        "KineticAuth", "KineticIssuerKeys", "KineticTokenHandler", "KineticTokenHandlerTest",
    }  # fmt: skip


def test_the_flow_is_on_and_every_other_kind_of_token_is_off() -> None:
    assert value("*.ecaGlblOauth-meta.xml", "isTokenExchangeEnabled") == "true"
    assert value("*.ecaOauthPlcy-meta.xml", "isTokenExchangeFlowEnabled") == "true"
    assert value("*.ecaOauthPlcy-meta.xml", "permittedUsersPolicyType") == "AdminApprovedPreAuthorized"
    handler = _root("*.oauthtokenexchangehandler-meta.xml")
    kinds = {each.tag.removeprefix(SPACE): each.text for each in handler if each.tag.endswith(("Supported", "Allowed"))}
    assert {name for name, text in kinds.items() if text == "true"} == {"isJwtSupported"}


def test_the_remote_site_is_that_of_the_keys_and_nothing_in_a_token_names_another() -> None:
    keys = re.search(r"KEYS_ENDPOINT = '(.*?)'", HANDLER)
    assert keys is not None
    assert keys[1].startswith(f"{value('*.remoteSite-meta.xml', 'url')}/")
    assert re.findall(r"validateJWTWith\w+\((.*)\)", HANDLER) == ["incomingToken, KEYS_ENDPOINT, true"]


def test_the_signature_is_verified_before_a_claim_is_used() -> None:
    steps = [HANDLER.index(f"            {step}") for step in (
        "requireAlgorithm(incomingToken)", "Auth.JWTUtil.validateJWTWithKeysEndpoint", "String username = usernameOf(",
    )]  # fmt: skip
    assert steps == sorted(steps)


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "nbf", "sub"])
def test_the_handler_checks_each_claim_and_its_test_changes_it(claim: str) -> None:
    assert f"'{claim}'" in HANDLER.partition("String usernameOf(")[2]
    assert f"isRefused('{claim}'" in (FOLDER / "classes" / "KineticTokenHandlerTest.cls").read_text()


def test_no_constant_of_the_handler_is_hidden_by_a_variable() -> None:
    """Apex does not tell names apart by case: a parameter `audience` would hide a constant `AUDIENCE`."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*|'(?:\\.|[^'\\])*'", "", HANDLER, flags=re.DOTALL)
    constants = set(re.findall(r"static final .*? ([A-Z_]+) =", code))
    assert {"ORG_AUDIENCE", "TRUSTED_ISSUER", "REQUIRED_CLAIMS", "USER_OF_SUBJECT", "KEYS_ENDPOINT"} <= constants
    others = {word.lower() for word in re.findall(r"\w+", code) if word not in constants}
    assert {name.lower() for name in constants} & others == set()
