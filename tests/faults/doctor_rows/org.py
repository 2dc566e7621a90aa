"""Faults of the org, which only a login or a call tells."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import kinetic_auth_core as kinetic
from doctor_rows.row import Bench, Row, variable
from doctor_rows.servers import unused_port
from kinetic_auth_core.testing import Answer, Html, SalesforceEmulator, new_key_pair

_REST = "/services/data/*"


def _set(of: Callable[[SalesforceEmulator], object]) -> Callable[..., Callable[[Bench], None]]:
    """Set what is wrong in the org: on its policy, or on the user or the app of the login."""

    def with_settings(provider: str = "jwt-bearer", **settings: Any) -> Callable[[Bench], None]:
        def plant(bench: Bench) -> None:
            bench.use(provider)
            for name, value in settings.items():
                setattr(of(bench.sf), name, value)

        return plant

    return with_settings


_policy = _set(lambda sf: sf.policy)
_user = _set(lambda sf: sf.default.user)
_app = _set(lambda sf: sf.default.app)


def _refusal(error: str, description: str = "", status: int = 400) -> Callable[[Bench], None]:
    return lambda bench: bench.sf.refuse(error, description, status, times=None)


def _rest(code: str, message: str, status: int) -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        answer = Answer([{"errorCode": code, "message": message}], status)
        bench.sf.break_transport(answer, times=None, path=_REST)

    return plant


def instance_down(bench: Bench) -> None:
    bench.sf.policy.instance_url = f"http://127.0.0.1:{unused_port()}"


def outside_of_login_hours(bench: Bench) -> None:
    """The hours are those of the other half of the day."""
    is_afternoon = dt.datetime.now(dt.UTC).hour >= 12
    bench.sf.default.user.login_hours = (dt.time(0), dt.time(11)) if is_afternoon else (dt.time(13), dt.time(23))


def no_requests_left(bench: Bench) -> None:
    answer = Answer({"DailyApiRequests": {"Max": 15000, "Remaining": 0}})
    bench.sf.break_transport(answer, times=None, path=_REST)


def another_key(bench: Bench) -> None:
    bench.env["SF_PRIVATE_KEY_PATH"] = str(bench.write("other.key", new_key_pair().private_key_pem))


def refused_before(bench: Bench) -> None:
    bench.use("password")
    bench.env["SF_PASSWORD"] = "wrong-password"
    variables = bench.write("before.env", "".join(f"{name}={value}\n" for name, value in bench.env.items()))
    with kinetic.resolve("password", env_file=variables) as source:
        try:
            source.session()
        except kinetic.CredentialsRejectedError:
            return


def dead_access_token(bench: Bench) -> None:
    bench.use("access-token")
    bench.sf.revoke(bench.env["SF_ACCESS_TOKEN"])


def spent_refresh_token(bench: Bench) -> None:
    bench.use("refresh-token")
    bench.env["SF_REFRESH_TOKEN"] = "5Aep-another-token"


def lost_refresh_token(bench: Bench) -> None:
    """A login before has been refused for good."""
    spent_refresh_token(bench)
    store = {"name": "file", "path": str(bench.folder / "sessions")}
    bench.env |= {"SF_STORE": "file", "SF_STORE_PATH": store["path"]}
    settings = {**bench.sf.settings("refresh-token"), "refresh_token": bench.env["SF_REFRESH_TOKEN"], "store": store}
    with kinetic.resolve("refresh-token", **settings) as source:
        try:
            source.session()
        except kinetic.CredentialsRejectedError:
            return


def token_twice(bench: Bench) -> None:
    bench.use("password")
    bench.env["SF_PASSWORD"] += bench.env["SF_SECURITY_TOKEN"]


def secret_left_out(bench: Bench) -> None:
    bench.use("refresh-token")
    bench.unset("SF_CLIENT_SECRET")


def page_instead_of_rest(bench: Bench) -> None:
    bench.sf.break_transport(Html(), times=None, path=_REST)


def in_quotes(bench: Bench) -> None:
    bench.use("client-credentials")
    bench.env["SF_CLIENT_SECRET"] = f'"{bench.env["SF_CLIENT_SECRET"]}"'


def swapped(bench: Bench) -> None:
    bench.use("client-credentials")
    bench.env |= {"SF_CLIENT_ID": "A1B2C3D4E5F6", "SF_CLIENT_SECRET": bench.env["SF_CLIENT_ID"]}


def key_as_secret(bench: Bench) -> None:
    bench.use("client-credentials")
    bench.env["SF_CLIENT_SECRET"] = bench.env["SF_CLIENT_ID"]


def quoted_in_the_file(bench: Bench) -> None:
    bench.use("client-credentials")
    text = (
        f'[environments.prod]\nprovider = "client-credentials"\nclient_secret = \'"{bench.env["SF_CLIENT_SECRET"]}"\'\n'
    )
    bench.write("kinetic-auth.toml", text)
    bench.args[:] = ["-e", "prod"]


def _stray(before: str = "", after: str = "") -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        bench.use("client-credentials")
        bench.env["SF_CLIENT_SECRET"] = f"{before}{bench.env['SF_CLIENT_SECRET']}{after}"

    return plant


def _login(
    group: str, what: str, plant: Callable[[Bench], object], says: str, setting: str | None = None, code: int = 4
) -> Row:
    return Row(group, what, plant, "login", says, setting, code, logs_in=True)


def _call(what: str, plant: Callable[[Bench], object], says: str, code: int = 4) -> Row:
    return Row("session", what, plant, "REST API", says, None, code, logs_in=True)


ROWS = [
    _login("app", "the consumer key is wrong", variable("SF_CLIENT_ID", "3MVG9.wrong"), "Consumer Key", "client_id"),
    _login(
        "app",
        "the consumer secret is wrong",
        variable("SF_CLIENT_SECRET", "wrong", "client-credentials"),
        "invalid client credentials",
        "client_secret",
    ),
    Row("app", "the secret is in quotes", in_quotes, "settings", "quotes", "client_secret"),
    Row("app", "key and secret are swapped", swapped, "secrets", "look swapped", "client_secret"),
    Row("app", "the consumer key is given as the secret", key_as_secret, "secrets", "Consumer Key", "client_secret"),
    Row("app", "the secret has a line break", _stray(after="\n."), "secrets", "line break", "client_secret"),
    Row("app", "the secret has a blank", _stray(before=" "), "secrets", "blanks", "client_secret"),
    Row("app", "the secret of the file is in quotes", quoted_in_the_file, "secrets", "quotes", "client_secret"),
    _login("app", "the secret is left out, and it wants one", secret_left_out, "is not set", "client_secret"),
    _login("app", "the key is not that of the certificate in the app", another_key, "certificate", "private_key_path"),
    _login("app", "it is blocked", _app(enabled=False), "Unblock"),
    _login(
        "app", "it is not installed in this org", _app(installed=False), "Install the External Client App", "login_url"
    ),
    _login("app", "the flow is disabled", _app(flows={"password"}), "Enable JWT Bearer Flow"),
    _login("app", "it lacks the scope api", _app(scopes={"id", "refresh_token"}), "Add the api scope"),
    _login(
        "app",
        "it lacks the scope refresh_token",
        _app(permitted_users="self", scopes={"api"}),
        "refresh_token, offline_access",
    ),
    _login("app", "client credentials run as nobody", _app("client-credentials", run_as=None), "Run As"),
    _login(
        "app",
        "the audience is wrong",
        variable("SF_AUDIENCE", "https://acme.example"),
        "audience is invalid",
        "audience",
    ),
    _login("user", "the username is wrong", variable("SF_USERNAME", "nobody@acme.example"), "approved", "username"),
    _login("user", "the password is wrong", variable("SF_PASSWORD", "wrong", "password"), "password", "password"),
    _login(
        "user",
        "the security token is missing",
        variable("SF_SECURITY_TOKEN", "", "password"),
        "security token",
        "password",
    ),
    _login("user", "the security token is there twice", token_twice, "gets the token twice", "password"),
    _login("user", "it is inactive", _user(active=False), "reactivate"),
    _login("user", "it is not approved", _app(preauthorised=set(), permitted_users="admin"), "Permission Sets"),
    _login("user", "it is outside of its login hours", outside_of_login_hours, "login hours"),
    _login("user", "it comes from another address", _user(ip_ranges=["203.0.113.0/24"]), "IP"),
    _login("user", "the same password was refused just now", refused_before, "authentication failure", "password"),
    _login("org", "it is locked", _policy(active=False), "locked or closed"),
    _login(
        "org",
        "it blocks the password flow",
        _policy("password", password_flow_blocked=True),
        "username-password flow",
        "password",
    ),
    _login(
        "org",
        "it is another one than expected",
        variable("SF_EXPECTED_ORG_ID", "00D000000000001"),
        "expected_org_id",
        "expected_org_id",
    ),
    _login(
        "org", "the user has logged in too often", _refusal("invalid_grant", "login rate exceeded"), "3,600", None, 5
    ),
    _login("org", "it fails", _refusal("server_error", "", 500), "status.salesforce.com", None, 5),
    _login("token", "the refresh token has expired", spent_refresh_token, "log in again", "refresh_token"),
    Row("token", "the refresh token is lost", lost_refresh_token, "refresh token", "cannot be used any more", None, 4),
    Row(
        "token",
        "the access token has expired",
        dead_access_token,
        "REST API",
        "expired",
        "access_token",
        4,
        logs_in=True,
    ),
    _call(
        "it is locked to another IP address",
        _rest("INVALID_SESSION_ID", "Session expired or invalid", 401),
        "Lock sessions to the IP address",
    ),
    _call("API Access Control", _policy(restrict_rest_sessions=True), "API Access Control"),
    _call(
        "the password has expired",
        _rest("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "The users password has expired", 401),
        "password has expired",
    ),
    _call(
        "the user lacks API Enabled",
        _rest("API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization", 403),
        "API Enabled",
    ),
    _call(
        "the org has no API requests left",
        _rest("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded", 403),
        "24 hours",
        5,
    ),
    _call("the app is blocked", _rest("OAUTH_APP_BLOCKED", "this app is blocked", 403), "unblock the app"),
    _call("a page answers instead of REST", page_instead_of_rest, "not the REST API", 5),
    Row("session", "the limits say 0", no_requests_left, "API limits", "0 of 15000", None, 5, logs_in=True),
    _login(
        "session",
        "its host is not allowed",
        _policy(instance_url="https://acme.example"),
        "allowed_instance_hosts",
        "allowed_instance_hosts",
    ),
    _call("its host cannot be reached", instance_down, "org's own host", 5),
    _call("REST fails", _rest("SERVER_UNAVAILABLE", "", 503), "HTTP 503", 5),
]
