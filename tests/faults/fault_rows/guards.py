"""Good answers with a session that the guards reject: of another host, another org, or another sender."""

from fault_rows.causes import ORG, OTHER_ORG, good, session
from fault_rows.row import ACCESS, TOKEN, Row
from kinetic_auth_core import SessionRejectedError

ROWS = [
    Row("guards", f"instance_url {what}", session(instance_url=url), SessionRejectedError)
    for what, url in {
        "is plain http": "http://acme.my.salesforce.com",
        "has credentials in it": f"https://user:{TOKEN}@acme.my.salesforce.com",
        "has another scheme": "javascript:alert(1)",
        "has a path": "https://acme.my.salesforce.com/evil",
        "has a query": f"https://acme.my.salesforce.com?{TOKEN}",
        "is not a URL": "acme",
        "has a bad port": f"https://acme.my.salesforce.com:{TOKEN}",
        "is plain http, to a host that is the token": f"http://{ACCESS}",
        "has a backslash": "https://evil.example\\.my.salesforce.com",
        "has a line break": "https://acme.my.salesforce.com\r\n",
        "is not ASCII": "https://acme.my.\u017falesforce.com",
        "is of a foreign host": "https://acme.my.salesforce.com.evil.example",
    }.items()
] + [
    Row(
        "guards",
        "a session of another org than expected_org_id",
        session(),
        SessionRejectedError,
        options={"expected_org_id": OTHER_ORG},
        advice="expected_org_id",
    ),
    Row(
        "guards",
        "an identity without an org, where one is expected",
        session(id="https://login.salesforce.com", access_token="opaque"),
        SessionRejectedError,
        options={"expected_org_id": ORG},
    ),
    Row(
        "guards",
        "a host that is not in allowed_instance_hosts",
        session(),
        SessionRejectedError,
        options={"allowed_instance_hosts": ["other.my.salesforce.com"]},
        advice="allowed_instance_hosts",
    ),
    Row(
        "guards",
        "a wrong signature",
        session(signature="d3Jvbmc="),
        SessionRejectedError,
        {"password": 1},
        advice="client_secret",
    ),
    Row("guards", "a signature that is not ASCII", session(signature="ü" * 44), SessionRejectedError, {"password": 1}),
    Row("guards", "no signature", session(signature=...), SessionRejectedError, {"password": 1}),
    Row(
        "guards",
        "a signature of other fields",
        session(issued_at="1700000000001", signature=good()["signature"]),
        SessionRejectedError,
        {"password": 1},
    ),
]
