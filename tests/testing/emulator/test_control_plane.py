"""The control plane over HTTP: what it does, and whom it serves."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator

LIMITS = "/services/data/v62.0/limits"


class Control:
    """Calls the control plane of an emulator."""

    def __init__(self, sf: SalesforceEmulator) -> None:
        self.sf = sf

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        if method in {"POST", "PATCH"}:
            options["json"] = {} if body is None else body
        answer = requests.request(method, f"{self.sf.url}/__emulator__/{path}", timeout=10, **options)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def control(sf: SalesforceEmulator) -> Control:
    return Control(sf)


def test_it_describes_itself_completely(control: Control) -> None:
    described = control("GET", "")
    for action in ("expire", "revoke", "policy", "users", "apps", "records/<Object>", "faults", "history"):
        assert any(key.endswith(action) for key in described), action
    requests_of_its_own = control.sf.requests
    assert requests_of_its_own == []


def test_tokens_expire_and_are_revoked_all_or_one(sf: SalesforceEmulator, client: Any, control: Control) -> None:
    first, second = client.token(), client.token()
    assert control("POST", "expire", {"token": first}) == {"expired": 1}
    assert (sf.is_live(first), sf.is_live(second)) == (False, True)
    assert control("POST", "expire") == {"expired": 1}
    assert client.call(LIMITS, second).status_code == 401
    refresh_token, third = sf.grant_refresh_token(client.app, client.user), client.token()
    assert control("POST", "revoke", {"token": third}) == {"revoked": 1}
    assert control("POST", "revoke", {"token": third}) == {"revoked": 0}
    assert client.refresh(refresh_token).status_code == 200
    control("POST", "revoke")
    assert client.refresh(refresh_token).status_code == 400


@pytest.mark.parametrize("action", ["expire", "revoke"])
def test_a_misspelt_field_does_not_end_all_tokens(client: Any, control: Control, action: str) -> None:
    token = client.token()
    assert control("POST", action, {"access_token": token}, 400) == {"error": "unknown: access_token"}
    assert client.call("/services/data/v62.0/limits", token).status_code == 200


def test_policy_is_read_and_changed_all_or_nothing(sf: SalesforceEmulator, client: Any, control: Control) -> None:
    assert control("GET", "policy")["rotate_refresh_tokens"] is False
    changed = control("PATCH", "policy", {"rotate_refresh_tokens": True, "audiences": ["https://a.example"]})
    assert (changed["rotate_refresh_tokens"], changed["audiences"]) == (True, ["https://a.example"])
    assert sf.policy.audiences == {"https://a.example"}
    for wrong in ({"active": False, "nonsense": 1}, {"active": False, "session_timeout_s": "x"}, [1]):
        assert control("PATCH", "policy", wrong, 400)["error"]
    assert sf.policy.active


def test_users_are_made_changed_and_listed_without_secrets(
    sf: SalesforceEmulator, client: Any, control: Control
) -> None:
    made = control("POST", "users", {"username": "new@example.com", "password": "p", "login_hours": ["09:00", "17:00"]})
    assert (made["username"], made["password"], made["login_hours"]) == ("new@example.com", "p", ["09:00", "17:00"])
    assert made["security_token"]
    control("POST", "users", {"username": client.user.username.upper(), "active": False})
    assert client.jwt().json()["error_description"] == "inactive user"
    listed = control("GET", "users")
    assert {each["username"] for each in listed} == {"new@example.com", client.user.username}
    assert client.user.password not in json.dumps(listed)
    assert control("POST", "users", {"username": "x", "nonsense": 1}, 400)["error"].startswith("nonsense is not known")
    assert control("POST", "users", {}, 400)["error"] == "a user has a username"


def test_apps_are_made_changed_and_listed_without_secrets(
    sf: SalesforceEmulator, client: Any, control: Control, keys: Any
) -> None:
    made = control(
        "POST", "apps", {"redirect_uris": ["http://localhost:9/x"], "external": True, "flows": ["jwt-bearer"]}
    )
    assert (made["external"], made["redirect_uris"], made["flows"]) == (True, ["http://localhost:9/x"], ["jwt-bearer"])
    control("POST", "apps", {"client_id": made["client_id"], "certificates": [keys.certificate_pem]})
    assert len(next(app for app in sf.apps if app.client_id == made["client_id"]).certificates) == 1
    control("POST", "apps", {"client_id": client.app.client_id, "enabled": False})
    assert client.jwt().json()["error"] == "oauth_flow_disabled"
    assert client.app.client_secret not in json.dumps(control("GET", "apps"))
    assert control("POST", "apps", {"flows": ["x"]}, 400)["error"].startswith("'x' is not a flow")
    assert control("POST", "apps", {"certificates": ["x"]}, 400)["error"]


def test_one_text_is_a_list_of_one(sf: SalesforceEmulator, control: Control, keys: Any) -> None:
    made = control("POST", "apps", {"preauthorised": "Ada@acme.example", "certificates": keys.certificate_pem})
    assert made["preauthorised"] == ["ada@acme.example"]
    control("POST", "apps", {"client_id": made["client_id"], "certificates": keys.certificate_pem})
    assert len(next(app for app in sf.apps if app.client_id == made["client_id"]).certificates) == 2


def test_records_are_added(client: Any, control: Control) -> None:
    ids = control("POST", "records/Contact", [{"LastName": "a"}, {"LastName": "b"}])["ids"]
    assert client.call(f"/services/data/v62.0/sobjects/Contact/{ids[1]}", client.token()).json()["LastName"] == "b"
    assert len(control("POST", "records/Contact", {"LastName": "c"})["ids"]) == 1
    assert control("POST", "records/Contact", ["x"], 400)["error"]
    assert "read-only" in control("POST", "records/User", {"Email": "x"}, 400)["error"]
    assert "Id" in control("POST", "records/Contact", {"Id": "x"}, 400)["error"]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("users", {"username": "new@acme.example", "active": "no"}),
        ("users", {"username": "new@acme.example", "failed_logins": "3"}),
        ("apps", {"client_id": "new", "enabled": "false"}),
        ("apps", {"client_id": "new", "run_as": 5}),
        ("apps", {"client_id": "new", "client_secret": 5}),
        ("apps", {"client_id": "new", "permitted_users": "all"}),
        ("users", {"username": "new@acme.example", "password": 12345}),
    ],
)
def test_a_field_of_a_wrong_type_is_refused(control: Control, action: str, body: dict[str, object]) -> None:
    assert f"{list(body)[1]} must be" in control("POST", action, body, 400)["error"]
    assert control("GET", action) == []


def test_faults_are_ordered_and_removed(client: Any, control: Control) -> None:
    control("POST", "faults", {"error": "server_error", "error_description": "x", "status": 500, "times": 2})
    assert (client.jwt().status_code, client.jwt().json()["error"]) == (500, "server_error")
    control("POST", "faults", {"fault": "Status", "code": 503, "retry_after": 1, "path": "/services/data/*"})
    refused = client.call(LIMITS, client.token())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    control("POST", "faults", {"fault": "Raw", "data": "HTTP/1.1 418 x\r\nContent-Length: 0\r\n\r\n"})
    assert client.jwt().status_code == 418
    control("POST", "faults", {"fault": "Html", "times": None})
    control("DELETE", "faults")
    assert client.jwt().status_code == 200
    for wrong in ({"fault": "__class__"}, {"fault": "Delay"}, {"fault": "Delay", "x": 1}, {"error": "x", "y": 1}):
        assert control("POST", "faults", wrong, 400)["error"]
    assert "unknown: description" in str(control("POST", "faults", {"error": "x", "description": "y"}, 400))


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"fault": "Huge", "size": "x"}, "size"),
        ({"fault": "Huge", "size": True}, "size"),
        ({"fault": "Huge", "size": 1.5}, "size"),
        ({"fault": "Huge", "compressed": "no"}, "compressed"),
        ({"fault": "Delay", "seconds": "1"}, "seconds"),
        ({"fault": "Reset", "at": "nowhere"}, "at"),
        ({"fault": "Raw", "data": 5}, "data"),
        ({"fault": "Answer", "headers": "X: 1"}, "headers"),
        ({"fault": "Status", "code": "503"}, "code"),
        ({"fault": "Html", "status": None}, "status"),
        ({"fault": "Alter", "drop": 5}, "drop"),
        ({"fault": "Html", "path": 5}, "path"),
        ({"error": 5}, "error"),
        ({"error": "x", "status": "400"}, "status"),
    ],
)
def test_a_fault_of_a_wrong_type_is_refused(client: Any, control: Control, fault: dict[str, object], name: str) -> None:
    assert name in control("POST", "faults", fault, 400)["error"]
    assert client.jwt().status_code == 200


def test_history_has_the_lengths_of_fields_and_no_value(client: Any, control: Control) -> None:
    token = client.password().json()["access_token"]
    client.call(f"{LIMITS}?token=canary", token)
    history = control("GET", "history")
    login, call = history["requests"]
    assert login["fields"]["password"] == len(client.user.password + client.user.security_token)
    assert call["fields"] == {"token": 6}
    assert history["logins"][0]["status"] == "Success"
    shown = json.dumps(history)
    for secret in (token, client.user.password, client.user.username, client.app.client_id, "canary"):
        assert secret not in shown


def test_web_pages_cannot_drive_it(sf: SalesforceEmulator, control: Control) -> None:
    address = f"{sf.url}/__emulator__/expire"
    assert requests.post(address, data="{}", timeout=10).status_code == 415
    assert requests.post(address, data="{}", headers={"Content-Type": "text/plain"}, timeout=10).status_code == 415
    assert "Host" in control("POST", "expire", {}, 403, headers={"Host": "evil.example"})["error"]
    assert (
        "Host"
        in control("GET", "users", None, 403, headers={"Host": f"evil.example:{sf.url.rpartition(':')[2]}"})["error"]
    )
    host = {"Host": f"localhost:{sf.url.rpartition(':')[2]}"}
    assert control("POST", "expire", {}, headers=host) == {"expired": 0}


def test_unknown_actions_and_broken_bodies_are_errors(sf: SalesforceEmulator, control: Control) -> None:
    for method, path in (("GET", "expire"), ("POST", "nowhere"), ("POST", "records"), ("GET", "policy/x")):
        assert "see" in control(method, path, None, 404)
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{sf.url}/__emulator__/expire", data="{", headers=headers, timeout=10)
    assert answer.status_code == 400


def test_on_other_interfaces_it_wants_its_token_and_speaks_of_the_host_that_was_asked() -> None:
    with SalesforceEmulator(host="0.0.0.0") as sf:  # noqa: S104 - as a service container does
        control = Control(sf)
        assert sf.env()["SF_CONTROL_TOKEN"] == sf.control_token
        control("POST", "expire", {}, 401)
        control("POST", "expire", {}, 401, headers={"Authorization": "Bearer wrong"})
        bearer = {"Authorization": f"Bearer {sf.control_token}"}
        assert control("POST", "expire", {}, headers=bearer) == {"expired": 0}
        login = sf.settings("client-credentials")
        form = {"grant_type": "client_credentials", **{k: login[k] for k in ("client_id", "client_secret")}}
        address, host = f"{sf.url}/services/oauth2/token", "salesforce:8080"
        answer = requests.post(address, data=form, headers={"Host": host}, timeout=10).json()
        assert answer["instance_url"] == f"http://{host}"
        assert answer["id"].startswith(f"http://{host}/id/")
        assert requests.post(address, data=form, timeout=10).json()["instance_url"] == sf.url


def test_ipv6_and_localhost_are_loopback() -> None:
    for host, start in (("::1", "http://[::1]:"), ("localhost", "http://localhost:")):
        with SalesforceEmulator(host=host) as sf:
            assert sf.url.startswith(start)
            assert sf.control_token is None
            assert Control(sf)("POST", "expire") == {"expired": 0}


def test_the_same_seed_makes_the_same_org() -> None:
    first, second, other = (SalesforceEmulator(seed=seed) for seed in ("a", "a", "b"))
    assert first.org_id == second.org_id != other.org_id
    assert first.default.private_key_pem == second.default.private_key_pem
    assert first.default.client_secret == second.default.client_secret
    assert first.default.user.id == second.default.user.id
    assert first.refresh_token == second.refresh_token
    with first:
        form = {"client_id": first.default.client_id, "client_secret": first.default.client_secret}
        form |= {"grant_type": "refresh_token", "refresh_token": first.refresh_token}
        assert requests.post(f"{first.url}/services/oauth2/token", data=form, timeout=10).status_code == 200


@pytest.mark.parametrize("seed", [None, "a"])
@pytest.mark.parametrize("kept", [{}, {"keep_user": True}, {"keep_app": True}])
def test_a_renewed_default_logs_in_by_its_key(seed: str | None, kept: dict[str, bool]) -> None:
    with SalesforceEmulator(seed=seed) as sf:
        before = sf.settings("jwt-bearer")
        renewed = sf.renew_default(**kept)
        for settings in (before, sf.settings("jwt-bearer")):
            kinetic.resolve("jwt-bearer", **settings).session()
        assert sf.private_key_path.read_text() == renewed.private_key_pem


def test_the_same_seed_gives_the_same_ids_and_records_move_no_credentials() -> None:
    first, second, plain = (SalesforceEmulator(seed=seed) for seed in ("a", "a", "a"))
    added = [
        (org.add_records("Contact", {"LastName": "x"}), org.add_user("u@acme.example").id) for org in (first, second)
    ]
    assert added[0] == added[1]
    assert first.default.client_secret == plain.default.client_secret
