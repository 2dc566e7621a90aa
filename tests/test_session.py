"""The session record: its arguments and derived values; `repr` hides the token, a pickle contains it."""

import copy
import inspect
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.session import normal_api_version

ORG, USER = "00D5g00000AbCdEEAC", "0055g00000XyZwVAAA"
ID = f"https://login.salesforce.com/id/{ORG}/{USER}"


def made(**changes: Any) -> kinetic.SalesforceSession:
    return kinetic.SalesforceSession(
        "00D!canary-token", "https://acme.my.salesforce.com", ID, "1700000000000", "canary-signature", **changes
    )


def test_the_first_five_arguments_are_positional_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(kinetic.SalesforceSession).parameters.values()
    by_position = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    by_keyword = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    assert by_position == ["access_token", "instance_url", "id", "issued_at", "signature"]
    assert by_keyword == ["token_type", "scope", "api_version", "username", "expires_at", "extra"]
    session = made()
    assert (session.access_token, session.instance_url, session.id) == (
        "00D!canary-token",
        "https://acme.my.salesforce.com",
        ID,
    )
    assert (session.issued_at, session.signature) == ("1700000000000", "canary-signature")


def test_an_optional_setting_has_its_default() -> None:
    session = kinetic.SalesforceSession("t", "https://a.example.com", "", "0")
    assert (session.signature, session.token_type, session.scope, session.username) == ("", "Bearer", "", None)
    assert session.api_version == "v62.0"


@pytest.mark.parametrize("identity", [ID, f"{ID}/", f"https://acme.my.salesforce.com/id/{ORG[:15]}/{USER[:15]}"])
def test_org_and_user_come_from_the_identity_url(identity: str) -> None:
    session = kinetic.SalesforceSession("t", "https://a.example.com", identity, "0")
    assert session.org_id is not None
    assert session.user_id is not None
    assert ORG.startswith(session.org_id)
    assert USER.startswith(session.user_id)


@pytest.mark.parametrize(
    ("token", "org"),
    [("00D5g00000AbCdE!x", "00D5g00000AbCdE"), ("00D5g!x", None), ("t", None), ("x00D5g00000AbCdE!x", None)],
)
def test_without_an_identity_url_the_org_is_that_of_the_token(token: str, org: str | None) -> None:
    session = kinetic.SalesforceSession(token, "https://a.example.com", "", "0")
    assert (session.org_id, session.user_id) == (org, None)


def test_what_else_the_answer_has_is_kept_unchangeable_hashable_and_pickled() -> None:
    given = {"token_format": "jwt", "refresh_token": "canary", "n": 1}
    session = made(extra=given, expires_at=1_700_000_000)
    given["token_format"] = "opaque"
    assert session.extra == {"token_format": "jwt"}
    assert session.expires_at == 1_700_000_000.0
    changes: tuple[Callable[[Any], object], ...] = (
        lambda extra: extra.update(a="b"),
        lambda extra: extra.__setitem__("a", "b"),
        lambda extra: extra.pop("token_format"),
        lambda extra: extra.clear(),
        lambda extra: extra.__ior__({"a": "b"}),
    )
    for change in changes:
        with pytest.raises(TypeError, match="frozen"):
            change(session.extra)
    for other in (pickle.loads(pickle.dumps(session)), copy.copy(session), copy.deepcopy(session)):
        assert other == session
        assert hash(other) == hash(session)
    assert made().extra == {}
    assert made().expires_at is None


@pytest.mark.parametrize("expires_at", ["soon", True, float("nan"), float("inf")])
def test_an_end_that_is_no_time_is_refused(expires_at: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="expires_at"):
        made(expires_at=expires_at)


def test_the_ids_are_those_of_the_identity_url() -> None:
    session = kinetic.SalesforceSession("t", "https://a.example.com", "https://x/id/00Dshort/005short", "0")
    assert (session.org_id, session.user_id) == ("00Dshort", "005short")


@pytest.mark.parametrize("identity", ["", "https://login.salesforce.com", f"https://x/id/{ORG}", "https://x/id//"])
def test_an_identity_url_without_ids_gives_none(identity: str) -> None:
    session = kinetic.SalesforceSession("t", "https://a.example.com", identity, "0")
    assert (session.org_id, session.user_id) == (None, None)


def test_the_rest_base_url_is_derived() -> None:
    session = kinetic.SalesforceSession("t", "https://a.example.com/", "", "0", api_version="61.0")
    assert session.instance_url == "https://a.example.com"
    assert session.base_url == "https://a.example.com/services/data/v61.0"


def test_the_header_has_type_and_token() -> None:
    assert made().auth_header == {"Authorization": "Bearer 00D!canary-token"}
    assert made(token_type="OAuth").auth_header == {"Authorization": "OAuth 00D!canary-token"}


def test_a_session_without_token_or_instance_is_not_valid() -> None:
    assert made().is_valid()
    assert not attrs.evolve(made(), access_token="").is_valid()
    assert not attrs.evolve(made(), instance_url="").is_valid()


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("62.0", "v62.0"),
        ("v62.0", "v62.0"),
        ("V61.0", "v61.0"),
        ("61", "v61.0"),
        (" v61 ", "v61.0"),
        ("7.5", "v7.5"),
        ("100", "v100.0"),
    ],
)
def test_an_api_version_is_normalised_to_salesforces_form(written: str, normal: str) -> None:
    assert made(api_version=written).api_version == normal


@pytest.mark.parametrize(
    "written", ["", "latest", "v", "v62.0.1", "1000", "62,0", "-1", "v62.", "vv62", "\u0666\u0662.0"]
)
def test_an_invalid_api_version_is_refused(written: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"the API version must look like v62\.0, not"):
        made(api_version=written)


def test_the_traceback_of_a_refused_api_version_does_not_show_the_token() -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        made(api_version="latest")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "canary" not in "".join(str(frame.locals) for frame in shown.stack)


@given(st.integers(0, 999), st.none() | st.integers(0, 9), st.sampled_from(["", "v", "V"]))
def test_a_normal_api_version_is_not_changed(major: int, minor: int | None, prefix: str) -> None:
    normal = normal_api_version(f"{prefix}{major}" if minor is None else f"{prefix}{major}.{minor}")
    assert normal == normal_api_version(normal) == f"v{major}.{minor or 0}"


def test_the_default_api_version_is_read_when_the_session_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made()
    monkeypatch.setenv("SF_API_VERSION", "58.0")
    assert made().api_version == "v58.0"
    assert made(api_version="60.0").api_version == "v60.0"
    assert before.api_version == "v62.0"
    monkeypatch.setenv("SF_API_VERSION", "")
    assert made().api_version == "v62.0"


def test_neither_repr_nor_str_shows_token_or_signature() -> None:
    session = made()
    for text in (repr(session), str(session), f"{session}", repr([session])):
        assert "canary-token" not in text
        assert "canary-signature" not in text
        assert ID in text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_pickled_with_its_token(protocol: int) -> None:
    session = made(scope="api", username="ada@acme.com", api_version="55.0")
    again = pickle.loads(pickle.dumps(session, protocol))
    assert again == session
    assert again.access_token == "00D!canary-token"
    assert copy.deepcopy(session) == session


def test_it_is_frozen_and_has_slots() -> None:
    session = made()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        session.access_token = "other"  # type: ignore[misc]  # the point of the test
    with pytest.raises(AttributeError):
        session.another = 1  # type: ignore[attr-defined]  # as above
    assert not hasattr(session, "__dict__")


def test_equal_sessions_are_equal_and_hash_alike() -> None:
    assert made() == made()
    assert len({made(), made()}) == 1
    assert made() != made(scope="api")


def test_fields_of_the_wrong_type_are_named_without_their_values() -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.SalesforceSession(b"00D!canary", None, 5, ["0"], None, username=7, extra=["canary"])  # type: ignore[arg-type]
    for name, kind in (
        ("access_token", "bytes"),
        ("instance_url", "NoneType"),
        ("id", "int"),
        ("issued_at", "list"),
        ("signature", "NoneType"),
        ("username", "int"),
    ):
        assert f"{name}: expected text, got {kind}" in caught.value.problems
    assert "extra: expected a mapping of text to text, got list" in caught.value.problems
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "canary" not in str([caught.value, *(frame.locals for frame in stack if frame.filename != __file__)])


@pytest.mark.parametrize("url", ["acme.my.salesforce.com", "https://", "ftp://acme.example", "00D!canary"])
def test_an_instance_url_is_a_url(url: str) -> None:
    with pytest.raises(
        kinetic.ConfigurationError, match="instance_url: expected a URL, such as https://acme"
    ) as caught:
        kinetic.SalesforceSession("00D!canary", url, "", "0")
    assert "canary" not in str(caught.value)


def test_a_session_without_token_and_url_can_be_made_and_is_not_valid() -> None:
    assert not kinetic.SalesforceSession("", "", "", "0").is_valid()
