"""Faults of the login host's name and of the audience."""

from doctor_rows.row import Row, variable


def _url(what: str, url: str, says: str, check: str = "settings") -> Row:
    return Row("host", what, variable("SF_LOGIN_URL", url), check, says, "login_url")


def _audience(what: str, url: str, audience: str, says: str) -> Row:
    def plant(bench: object) -> None:
        variable("SF_LOGIN_URL", url)(bench)  # type: ignore[arg-type]
        variable("SF_AUDIENCE", audience)(bench)  # type: ignore[arg-type]

    return Row("host", what, plant, "login host", says, "audience")


ROWS = [
    _url("the browser's host", "https://acme.lightning.force.com", "https://acme.my.salesforce.com"),
    _url("the host of Setup", "https://acme.my.salesforce-setup.com", "https://acme.my.salesforce.com"),
    _url("a misspelt host", "https://login.salesforc.com", "https://login.salesforce.com"),
    _url("Salesforce's web site", "https://www.salesforce.com", "https://login.salesforce.com"),
    _url("the address of the SOAP login", "https://login.salesforce.com/services/Soap/u/62.0", "/services/"),
    _url("the token endpoint", "https://login.salesforce.com/services/oauth2/token", "/services/"),
    _url("the SOAP host of an instance", "https://na139-api.salesforce.com", "My Domain", "login host"),
    _url("the host of an instance", "https://na139.salesforce.com", "My Domain", "login host"),
    _url("a My Domain without my", "https://acme.salesforce.com", "https://acme.my.salesforce.com", "login host"),
    _url("My Domain without the org's name", "https://my.salesforce.com", "lacks the name", "login host"),
    _url("the address of pages", "https://acme--c.visualforce.com", "My Domain", "login host"),
    _url("http instead of https", "http://acme.my.salesforce.com", "https"),
    _url("no scheme", "acme.my.salesforce.com", "https"),
    _url("a host in quotes", '"https://login.salesforce.com"', "login_url"),
    _audience(
        "audience of a sandbox, host of production",
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        "different kinds",
    ),
    _audience(
        "audience of production, host of a sandbox",
        "https://test.salesforce.com",
        "https://login.salesforce.com",
        "different kinds",
    ),
    _audience(
        "audience of production, My Domain of a sandbox",
        "https://acme--dev.sandbox.my.salesforce.com",
        "https://login.salesforce.com",
        "different kinds",
    ),
    _audience(
        "audience of another org",
        "https://acme.my.salesforce.com",
        "https://other.my.salesforce.com",
        "different orgs",
    ),
    _audience(
        "audience is the browser's host",
        "https://acme.my.salesforce.com",
        "https://acme.lightning.force.com",
        "browser's address",
    ),
    _audience(
        "audience is the token endpoint",
        "https://login.salesforce.com",
        "https://login.salesforce.com/services/oauth2/token",
        "must be the host alone",
    ),
    Row(
        "host",
        "My Domain is required",
        variable("SF_LOGIN_URL", "https://login.salesforce.com", "client-credentials"),
        "settings",
        "My Domain",
        "login_url",
    ),
]
