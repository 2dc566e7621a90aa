"""Uses connections of Airflow as a task would; the token dies at the request for the limits. Prints what failed."""

import json
import sys

from airflow.providers.salesforce.hooks.salesforce import SalesforceHook  # type: ignore[import-not-found]
from simple_salesforce.exceptions import SalesforceExpiredSession


def use(connection: str) -> str | None:
    """What `test_connection` says if it fails."""
    hook = SalesforceHook(connection)
    works, message = hook.test_connection()
    if not works:
        return str(message)
    assert hook.make_query("SELECT Id, Name FROM Account")["totalSize"] == 5
    assert "LastName" in hook.get_available_fields("Contact")
    made = hook.get_conn().Contact.create({"LastName": "Smith"})["id"]
    assert hook.get_conn().Contact.update(made, {"LastName": connection}) == 204
    try:  # new versions of simple-salesforce log in again by themselves
        hook.get_conn().limits()
    except SalesforceExpiredSession:
        hook = SalesforceHook(connection)
    found = hook.get_object_from_salesforce("Contact", ["Id", "LastName"])["records"]
    assert connection in [row["LastName"] for row in found]
    return None


sys.stdout.write("\n" + json.dumps({connection: use(connection) for connection in sys.argv[1:]}))
