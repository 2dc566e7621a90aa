"""References to secrets: which values are references, how they are parsed, and how the built-in ones are resolved."""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.locations import KNOWN_SCHEMES, load_builtin, parse_reference
from kinetic_auth_core.testing import SalesforceEmulator

LOGIN: dict[str, Any] = {"client_id": "key", "client_secret": "canary-secret", "username": "ada@acme.com"}


def parsed(text: str) -> kinetic.Reference:
    reference = parse_reference(text, ())
    assert reference is not None
    return reference


def test_a_reference_has_four_parts_and_is_printed_as_its_uri() -> None:
    uri = "secret-manager://aws/prod/salesforce?region=eu-west-1&version=#private_key"
    reference = parsed(uri)
    assert (reference.scheme, reference.rest, reference.field) == (
        "secret-manager",
        "aws/prod/salesforce",
        "private_key",
    )
    assert dict(reference.query) == {"region": "eu-west-1", "version": ""}
    assert str(reference) == uri
    assert hash(reference) == hash(parsed(uri))
    assert reference == parsed(f" {uri}\n")


def test_the_rest_of_a_reference_is_unchanged() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/sf-AbC%2F"
    assert parsed(f"secret-manager://{arn}").rest == arn
    assert parsed("file:///run/keys/sf.pem").rest == "/run/keys/sf.pem"
    assert parsed("file:///run/keys/sf.pem").field is None


@pytest.mark.parametrize("scheme", sorted(KNOWN_SCHEMES))
def test_known_schemes_are_references_even_without_a_loader(scheme: str) -> None:
    assert parsed(f"{scheme}://x").scheme == scheme


@pytest.mark.parametrize(
    "text",
    [
        "vault://x",
        "password",
        "env:/x",
        "env:x",
        "://x",
        "",
        "-----BEGIN PRIVATE KEY-----",
        "x env://y",
        "https://user:pass@proxy:1",
    ],
)
def test_all_other_text_is_the_secret_itself(text: str) -> None:
    assert parse_reference(text, ()) is None


def test_the_scheme_of_an_installed_key_loader_makes_a_reference() -> None:
    reference = parse_reference("vault://x", {"vault"})
    assert reference is not None
    assert reference.scheme == "vault"


@given(st.text())
def test_text_without_a_known_scheme_is_never_a_reference(text: str) -> None:
    if not text.strip().startswith(tuple(f"{scheme}://" for scheme in KNOWN_SCHEMES)):
        assert parse_reference(text, ()) is None


@given(
    st.sampled_from(sorted(KNOWN_SCHEMES)),
    st.text(alphabet=st.characters(exclude_characters="?#"), min_size=1).filter(lambda text: text == text.strip()),
)
def test_a_known_scheme_keeps_its_rest_whole(scheme: str, rest: str) -> None:
    assert parsed(f"{scheme}://{rest}").rest == rest


@pytest.mark.parametrize("text", ["env://", "file://?x=1", "kms://#key"])
def test_an_incomplete_builtin_reference_is_an_error(text: str) -> None:
    scheme = text.partition(":")[0]
    with pytest.raises(kinetic.ConfigurationError, match=f"names nothing after {scheme}://"):
        parse_reference(text, ())


def test_a_variable_and_a_file_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THE_WORD", "grüezi")
    assert load_builtin(parsed("env://THE_WORD")) == "grüezi".encode()
    (tmp_path / "key").write_bytes(b"\x00\xff")
    assert load_builtin(parsed(f"file://{tmp_path}/key")) == b"\x00\xff"
    (Path.home() / "key").write_bytes(b"home")
    assert load_builtin(parsed("file://~/key")) == b"home"
    (tmp_path / "word").write_text("pa-ss", encoding="utf-8-sig")
    assert load_builtin(parsed(f"file://{tmp_path}/word")) == b"pa-ss"


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_or_empty_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("THE_WORD", value)
    with pytest.raises(kinetic.KeyLoadError) as caught:
        load_builtin(parsed("env://THE_WORD"))
    assert str(caught.value) == (
        "env://THE_WORD: the environment variable THE_WORD is not set. Remedy: Set it, or correct the name."
    )


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(
            kinetic.KeyLoadError, match=f"{path} cannot be read: {why}. Remedy: Correct the path"
        ) as caught:
            load_builtin(parsed(f"file://{path}"))
        assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("uri", ["file://~no-such-user/key", "file://a\0b"])
def test_an_impossible_path_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(kinetic.KeyLoadError):
        load_builtin(parsed(uri))


@pytest.mark.skipif(os.name != "posix", reason="only there can a variable hold bytes that are no text")
def test_a_variable_that_is_not_utf_8_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_WORD", "canary\udcff")
    source = kinetic.resolve("password", **LOGIN, password="env://THE_WORD")
    with pytest.raises(kinetic.KeyLoadError, match="env://THE_WORD") as caught:
        source.authenticate()
    assert "canary" not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"


def test_a_secret_that_is_not_text_is_an_error_when_logging_in(tmp_path: Path) -> None:
    (tmp_path / "word").write_bytes(b"\xff\xfe")
    source = kinetic.resolve("password", **LOGIN, password=f"file://{tmp_path}/word")
    with pytest.raises(
        kinetic.KeyLoadError, match=r"^password \(from keyword\): file://.*word: the secret is not"
    ) as caught:
        source.authenticate()
    assert caught.value.remedy.startswith("Save the file as UTF-8.")


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_key_is_an_error_that_names_its_reference(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    uri = f"file://{tmp_path}/key"
    source = kinetic.resolve("jwt-bearer", client_id="key", username="ada@acme.com", private_key=uri)
    with pytest.raises(kinetic.KeyLoadError) as caught:
        source.session()
    assert str(caught.value) == (
        f"private_key (from keyword): {uri}: what it names is empty. Remedy: Put the key there."
    )


def test_nothing_is_fetched_before_a_login() -> None:
    source = kinetic.resolve("password", **LOGIN, password="env://NOT_SET_YET")
    with pytest.raises(kinetic.KeyLoadError, match="NOT_SET_YET is not set"):
        source.session()


def test_any_secret_may_be_a_reference_and_nothing_else_is() -> None:
    source = kinetic.resolve("password", **{**LOGIN, "username": "env://X"}, password="env://A", proxy="env://B")
    rows = {each.name: each.value for each in source.explain()}
    assert (rows["password"], rows["proxy"], rows["username"]) == ("env://A", "env://B", "env://X")


@pytest.mark.parametrize(
    ("reference", "package"),
    [
        ("secret-manager://aws/x?region=eu-west-1", '"kinetic-auth-secret-manager[aws]"'),
        ("secret-manager://aws-ssm/x", '"kinetic-auth-secret-manager[aws]"'),
        ("secret-manager://azure/vault/x", '"kinetic-auth-secret-manager[azure]"'),
        ("kms://aws/alias/x", '"kinetic-auth-secret-manager[aws]"'),
        ("kms://azure/vault/x", '"kinetic-auth-secret-manager[azure]"'),
        ("kms://gcp/x", "kinetic-auth-secret-manager"),
        ("oidc://github?audience=a", "kinetic-auth-token-exchange"),
    ],
)
def test_a_known_scheme_without_its_loader_names_the_package(
    reference: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = importlib.metadata.entry_points

    def without_key_loaders() -> importlib.metadata.EntryPoints:
        groups = installed().groups
        return importlib.metadata.EntryPoints(
            each for group in groups if group != "kinetic_auth.key_loaders" for each in installed(group=group)
        )

    monkeypatch.setattr(importlib.metadata, "entry_points", without_key_loaders)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **LOGIN, password=reference, proxy=reference)
    why = f"no key loader '{reference.partition(':')[0]}' is installed; installed: none. Remedy: pip install {package}"
    assert sorted(caught.value.problems) == [f"password (from keyword): {why}", f"proxy (from keyword): {why}"]


def test_an_incomplete_reference_is_an_error_of_resolve() -> None:
    with pytest.raises(
        kinetic.ConfigurationError, match=r"password \(from keyword\): the reference 'env://' names nothing"
    ):
        kinetic.resolve("password", **LOGIN, password="env://")


def test_a_file_that_a_config_file_does_not_name_is_an_error_of_resolve(tmp_path: Path) -> None:
    config = tmp_path / "kinetic-auth.toml"
    config.write_text("[environments.prod]\nprovider = 'password'\npassword = 'file://${NOT_SET:-}'\n")
    with pytest.raises(kinetic.ConfigurationError, match="the reference 'file://' names nothing after file://"):
        kinetic.resolve(config=config, environment="prod", **LOGIN)


def test_a_constructor_refuses_a_reference() -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"password: is a reference.*kinetic_auth_core\.resolve"):
        kinetic.OAuthAuthenticator(**LOGIN, password="env://THE_WORD")
    made = kinetic.OAuthAuthenticator(**LOGIN, password="smb://THE_WORD")
    assert made.password == "smb://THE_WORD"


@pytest.mark.parametrize("scheme", ["env", "file"])
def test_a_field_of_a_json_object_can_be_named(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    text = '{"password": "from-json", "size": 5}'
    monkeypatch.setenv("SECRET", text)
    Path("secret.json").write_text(text)
    where = "SECRET" if scheme == "env" else "secret.json"
    assert load_builtin(parsed(f"{scheme}://{where}#password")) == b"from-json"
    for field in ("missing", "size"):
        with pytest.raises(kinetic.KeyLoadError, match=f"there is no JSON object with a text field '{field}'"):
            load_builtin(parsed(f"{scheme}://{where}#{field}"))


@pytest.mark.parametrize("text", ["no json", "[1]", "5", "\x00"])
def test_a_field_of_anything_else_is_an_error_that_does_not_quote_it(text: str) -> None:
    Path("secret").write_text(text)
    with pytest.raises(kinetic.KeyLoadError, match="there is no JSON object"):
        load_builtin(parsed("file://secret#field"))


def test_a_builtin_reference_accepts_no_query() -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"has a \?query, which env:// does not accept"):
        parse_reference("env://NAME?version=1", ())


def test_a_reference_may_name_a_variable_of_the_env_file(sf: SalesforceEmulator) -> None:
    login = sf.settings("password")
    Path(".env").write_text(f"THE_WORD={login['password']}\n")
    Path(".env").chmod(0o600)
    assert kinetic.resolve("password", **login | {"password": "env://THE_WORD"}).session().is_valid()


def test_a_bom_is_not_part_of_a_secret(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = sf.settings("password")
    monkeypatch.setenv("THE_WORD", f"\ufeff{settings['password']}")
    with kinetic.resolve("password", **{**settings, "password": "env://THE_WORD"}) as source:
        assert source.session().is_valid()


def test_a_refused_value_is_reported_with_the_reference_that_names_it(sf: SalesforceEmulator, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "key").write_text("no-fernet-key")
    config = tmp_path / "kinetic-auth.toml"
    lines = [f'{name} = "{value}"' for name, value in {**sf.settings("password"), "password": "file://empty"}.items()]
    config.write_text("\n".join(["[environments.prod]", 'provider = "password"', *lines]))
    with pytest.raises(kinetic.ConfigurationError) as caught, kinetic.resolve(config=config, environment="prod") as it:
        it.session()
    where, reference = f"{config}:environments.prod.password", f"file://{tmp_path}/empty"
    assert str(caught.value) == (f"Cannot make 'password': password (from {where}): is empty (what {reference} names)")
    store = {"name": "file", "path": str(tmp_path / "store"), "key": f"file://{tmp_path}/key"}
    with kinetic.resolve("password", **sf.settings("password"), store=store) as source:
        with pytest.raises(kinetic.ConfigurationError) as caught:
            source.session()
    assert str(caught.value).startswith("Cannot make the store: key (from keyword): is not a Fernet key")
    assert str(caught.value).endswith(f"(what file://{tmp_path}/key names)")
