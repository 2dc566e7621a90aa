"""Checks of the session store, and of what it says of the next login: pauses, and a refresh token that is lost."""

import uuid

import attrs

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.log_warnings import warn_of, warnings_captured
from kinetic_auth_core.cli.exit_codes import NO_KEY, REFUSED, exit_code_of
from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, KineticAuthError
from kinetic_auth_core.login.state import store_unavailable
from kinetic_auth_core.session import decoded
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.stores.base import SessionStore, naming_key_of

#: The record that tries whether the store can be written; it ends by itself.
_LEASE_S = 5.0


def check_store(examination: Examination) -> None:
    """The session store: reachable, readable with this key, and writable."""
    spec, report = examination.spec, examination.report
    row = next(row for row in spec.rows if row.name == "store")
    examination.source = source = SessionSource._of(spec)  # noqa: SLF001 - as `resolve` does
    if spec.never_stored or row.value == "memory":
        report.add("store", "ok", "memory: each process keeps its session in its own memory.", "", "store")
        return
    is_own = row.source == "default" and not spec.is_single_use
    label = f"{row.value} (the command's own, as none is configured)" if is_own else str(row.value)
    store: SessionStore | None = None
    problem = ""
    with warnings_captured() as warnings:
        try:
            store = source.opened_store()
            if store is not None:
                problem = _try_store(store, source)
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            _report_broken(examination, error, store, is_own=is_own)
            return
    unreadable = next((each for each in warnings if "cannot be read" in each or "invalid session" in each), problem)
    if unreadable:
        what = f"the store {label} holds what this configuration cannot read: {unreadable.removesuffix('.')}."
        remedy = (
            "Give the store the key that it was written with (the setting key of the store), or empty it; if it holds "
            "what another application has stored, use another place (path, or prefix)."
        )
        setting = _key_setting(examination)
        report.add("store", "failure", what, remedy, setting, code=NO_KEY, makes_moot=spec.is_single_use)
    else:
        report.add("store", "ok", f"{label}: it can be read and written.", "", "store")
        if examination.instances:  # otherwise they say what the check of the secrets has said
            warn_of(report, "store", warnings)


def _try_store(store: SessionStore, source: SessionSource) -> str:
    """Read the session and write a lease, as a login does; why what is there cannot be read, or nothing."""
    naming_key_of(store)
    name = source.stored_name()
    found = store.get(name)
    holder = uuid.uuid4().hex
    if store.acquire(f"doctor-{holder}", holder, expires_in_s=_LEASE_S):
        store.release(f"doctor-{holder}", holder)
    if found is None:
        return "; ".join(store.key_problems())
    outcome = decoded(found.value, name)
    return outcome if isinstance(outcome, str) else ""


def _key_setting(examination: Examination) -> str:
    return "store.key" if any(row.name == "store.key" for row in examination.spec.rows) else "store"


def _report_broken(examination: Examination, error: Exception, store: SessionStore | None, *, is_own: bool) -> None:
    report, spec = examination.report, examination.spec
    if isinstance(error, ConfigurationError | KeyLoadError):  # such as a key of the store that a vault does not give
        report.failed("store", error, _key_setting(examination) if isinstance(error, KeyLoadError) else "store")
        return
    secrets = secret_texts(store) if attrs.has(type(store)) else ()
    said = store_unavailable(spec.label, error, secrets)
    why = said.message.partition("cannot be used: ")[2] or said.message
    remedy = (
        error.remedy
        if isinstance(error, KineticAuthError) and error.remedy
        else (
            "Check that the store runs and that this process may use it: its address and password, or the folder's "
            "owner and mode, in the settings of the store."
        )
    )
    row = next(row for row in spec.rows if row.name == "store")
    what = f"the session store {row.value} cannot be used: {why}"
    if is_own:
        report.add("store", "warning", f"{what} The command keeps the session in memory.", remedy, "store")
    else:
        code = exit_code_of(said)
        report.add("store", "failure", what, remedy, "store", code=code, makes_moot=spec.is_single_use)


def check_pauses(examination: Examination) -> None:
    """What keeps the next login waiting, and whether a token that can be presented once is lost."""
    report, source = examination.report, examination.source
    assert source is not None  # noqa: S101 - made by the check of the store
    if any(check.name == "store" and check.status != "ok" for check in report.checks):
        report.skip("pauses", "not checked: store comes first.")
        return
    with warnings_captured() as warnings:
        found = source.status()
        try:
            source._flow.grant_record()  # noqa: SLF001 - the status says that it is unknown, and not why
        except KineticAuthError as error:
            report.failed("refresh token", error, "store")
            return
    if found.grant == "lost":
        what = "the refresh token that is kept cannot be used any more."
        report.add(
            "refresh token",
            "failure",
            what,
            "Log in again: kinetic-auth login; or configure a new refresh token.",
            code=REFUSED,
        )
    elif found.grant == "marked":
        what = "a login presents the refresh token at the moment, or its last login had no answer."
        report.add("refresh token", "warning", what, "Wait until that login has ended.")
    elif examination.spec.asks_a_person and not has_a_token(examination):
        what = "none is kept: the next login asks a person, in a browser."
        remedy = "Log in once where there is a terminal, with the same configuration and store: kinetic-auth login."
        report.add("refresh token", "warning", what, remedy)
    for pause in found.pauses:
        report.add("pauses", "warning", pause.reason, pause.remedy)
    if found.grant in (None, "unused", "unknown") and not found.pauses:
        report.add("pauses", "ok", "none: a login may be made now.")
    warn_of(report, "pauses", warnings)


def has_a_token(examination: Examination) -> bool:
    """Whether a refresh token is kept, so that the next login needs no browser."""
    assert examination.source is not None  # noqa: S101 - made by the check of the store
    try:
        record = examination.source._flow.grant_record()  # noqa: SLF001 - the status says whether it is lost only
    except KineticAuthError:
        return False
    return record is not None and record.value is not None and record.lost is None
