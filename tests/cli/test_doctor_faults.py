"""Each planted fault is what `kinetic-auth doctor` names first, with what to do about it, and without a secret.

The rows are in `doctor_rows`. They are also a table in the docs, `docs/doctor.csv`: a run compares them with it, and
one with WRITE_DOCTOR_TABLE=1 in the environment writes it.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from doctor_rows import ROWS, Bench, Row

from kinetic_auth_core.cli.exit_codes import MEANINGS
from kinetic_auth_core.testing import SalesforceEmulator

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

TABLE = Path(__file__).parents[2] / "docs" / "doctor.csv"
COLUMNS = ("group", "what", "check", "status", "message", "remedy", "setting", "exit code", "needs")


@pytest.fixture
def bench(full_tier: None) -> Iterator[Bench]:
    """A deployment that works."""
    with SalesforceEmulator() as sf, ExitStack() as stack:
        yield Bench(sf, sf.env(), Path.cwd(), stack)


def diagnosis(run: Run, bench: Bench, *options: str) -> tuple[dict[str, Any], Any]:
    """The JSON document, and the outcome."""
    outcome = run("doctor", *bench.args, *options, "--json", env=bench.env)
    assert outcome.has_no_secret(*(value for name, value in bench.env.items() if is_secret(name, value))), outcome
    return json.loads(outcome.out), outcome


def is_secret(name: str, value: str) -> bool:
    return len(value) > 8 and name.endswith(("_SECRET", "_PASSWORD", "_TOKEN", "PRIVATE_KEY")) and "://" not in value


def line_of(row: Row, found: dict[str, Any], bench: Bench) -> dict[str, str]:
    """The row of the table, without what differs from run to run."""

    def neutral(text: str) -> str:
        text = text.replace(str(bench.folder), "/srv/app").replace(bench.sf.default.username, "ada@acme.example")
        text = re.sub(r"within [\d.]+ s\.$", "within 3.0 s.", text.replace(os.environ["HOME"], "/home/ada"))
        text = re.sub(r"refused \d s ago", "refused 0 s ago", re.sub(r"again in \d+ s", "again in 60 s", text))
        text = re.sub(r"\d+ s (ahead|behind)", r"90 s \1", re.sub(r"at port \d+", "at port 1717", text))
        text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "login.example", text)
        text = re.sub(r"00D\w{12,15}", "00D000000000001", text)
        text = re.sub(r"\d{4}-\d\d-\d\d", "2026-11-30", text.replace(bench.env.get("SF_CLIENT_ID", "\0"), "3MVG9"))
        return re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", re.sub(r"trustme v[\d.]+", "trustme", text))

    return {
        "group": row.group,
        "what": row.what,
        "check": found["name"],
        "status": found["status"],
        "message": neutral(found["message"]),
        "remedy": neutral(found["remedy"]),
        "setting": found["setting"] or "",
        "exit code": str(row.code),
        "needs": "--login" if row.logs_in else "",
    }


@pytest.fixture(scope="module")
def table() -> Iterator[dict[tuple[str, str], dict[str, str]]]:
    """The table in the docs, by group and description; rewritten with WRITE_DOCTOR_TABLE=1."""
    if os.environ.get("WRITE_DOCTOR_TABLE"):
        written: dict[tuple[str, str], dict[str, str]] = {}
        yield written
        lines = [written[row.group, row.what] for row in ROWS if (row.group, row.what) in written]
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        return
    with TABLE.open(encoding="utf-8", newline="") as file:
        yield {(line["group"], line["what"]): line for line in csv.DictReader(file)}


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.group}: {row.what}") for row in ROWS])
def test_the_fault_is_named_first_with_what_to_do(
    run: Run, bench: Bench, row: Row, table: dict[tuple[str, str], dict[str, str]]
) -> None:
    row.plant(bench)
    document, outcome = diagnosis(run, bench, *(["--login"] if row.logs_in else []))
    first = next((check for check in document["checks"] if check["status"] in ("failure", "warning")), None)
    found = document["root_cause"] if row.code else first
    assert found is not None
    assert (found["name"], found["status"]) == (row.check, row.status), found
    assert row.says in f"{found['message']} {found['remedy']}"
    assert found["remedy"]
    assert found["setting"] == row.setting
    assert outcome.code == row.code
    assert document["root_cause"] == (found if row.code else None)
    line = line_of(row, found, bench)
    if os.environ.get("WRITE_DOCTOR_TABLE"):
        table[row.group, row.what] = line
    worded_by_the_system = {"message", "remedy"} if row.group in ("network", "TLS", "proxy", "store") else set()
    compared = set(COLUMNS) - worded_by_the_system
    assert {name: table[row.group, row.what][name] for name in compared} == {name: line[name] for name in compared}


_OF_ANY_PROVIDER = {  # of the user, the app and the org, whatever the login
    "inactive user": ("user", "active", False, "login"),
    "ip restricted": ("user", "ip_ranges", ["203.0.113.0/24"], "login"),
    "not installed in this org": ("app", "installed", False, "login"),
    "oauth_flow_disabled": ("app", "enabled", False, "login"),
    "inactive organization": ("policy", "active", False, "login"),
    "login rate exceeded": ("policy", "logins_per_hour", 0, "login"),
    "API Access Control": ("policy", "restrict_rest_sessions", True, "REST API"),
}


@pytest.mark.parametrize("provider", ["password", "client-credentials", "refresh-token", "token-exchange"])
@pytest.mark.parametrize("says", _OF_ANY_PROVIDER)
def test_a_fault_of_the_org_has_the_same_cause_for_every_provider(
    run: Run, bench: Bench, provider: str, says: str
) -> None:
    place, name, value, check = _OF_ANY_PROVIDER[says]
    bench.use(provider)
    setattr(bench.sf.policy if place == "policy" else getattr(bench.sf.default, place), name, value)
    cause = diagnosis(run, bench, "--login")[0]["root_cause"]
    assert cause["name"] == check
    assert says in cause["message"]
    assert cause["remedy"]
    assert cause["setting"] in (None, "login_url")  # not one that happens to be called like the provider


def test_the_table_has_these_rows_and_no_others(table: dict[tuple[str, str], dict[str, str]]) -> None:
    assert list(table) == [(row.group, row.what) for row in ROWS]
    assert {row.code for row in ROWS} <= set(MEANINGS)
